// SPDX-License-Identifier: Apache-2.0
// Two rollouts beside each other, and two files task by task.

import * as api from './api.js';
import { badge, element, number, place, placeInWords } from './dom.js';
import { conversation, parting, turns } from './conversation.js';
import { flat, heading, sort, tree } from './facts.js';
import { Grid } from './grid.js';
import { go, state } from './main.js';
import { step } from './rollout.js';
import { choice } from './list.js';

/** Two rollouts. */
export function compareView(main, summary, left, right) {
  let closed = false;
  const body = element('div', {}, element('p', { class: 'faint' }, 'Loading…'));
  const pickers = [0, 1].map((side) => {
    const select = element('select', { 'aria-label': side === 0 ? 'Left rollout' : 'Right rollout' });
    select.addEventListener('change', () => go(side === 0 ? `#/compare/${select.value}/${right}` : `#/compare/${left}/${select.value}`, true));
    return select;
  });
  main.replaceChildren(element('article', { class: 'compare' },
    element('div', { class: 'toolbar' },
      element('button', { type: 'button', title: 'Back (Esc)', onclick: () => history.back() }, 'Back'),
      element('h2', { class: 'place' }, 'Comparison'),
      element('button', { type: 'button', onclick: () => go(`#/compare/${right}/${left}`, true) }, 'Swap')),
    body));

  async function load() {
    const [one, other, ofOne, ofOther] = await Promise.all([api.rollout(left), api.rollout(right), api.sameTask(left), api.sameTask(right)]);
    if (closed) return;
    [[ofOne, left], [ofOther, right]].forEach(([rows, chosen], side) => {
      const files = summary.files.length > 1;
      pickers[side].replaceChildren(...rows.map((row) => element('option', { value: row.id },
        `${files ? `${'AB'[row.side]} · ` : ''}${placeInWords(row)} · ${row.state === 'scored' ? number(row.reward) : row.state}`)));
      pickers[side].value = String(chosen);
    });
    body.replaceChildren(...columns(one, other, pickers, summary.files));
    document.title = `${place(one.row)} and ${place(other.row)} – rollouts`;
  }
  load().catch((problem) => { if (!closed) body.replaceChildren(element('p', { class: 'error', role: 'alert' }, problem.message)); });
  main.focus({ preventScroll: true });

  return {
    close: () => { closed = true; },
    changed: () => {},
    key: (key) => {
      if (key === 'Escape' || key === 'u') history.back();
      else if (key === 'n' || key === 'p') step(body, key === 'n' ? 1 : -1);
      else return false;
      return true;
    },
  };
}

function columns(one, other, pickers, files) {
  const records = [one.record ?? {}, other.record ?? {}];
  const differs = parting(turns(records[0], one.task), turns(records[1], other.task));
  const sides = [one, other].map((answer, side) => element('section', { class: 'column', 'aria-label': side === 0 ? 'Left rollout' : 'Right rollout' },
    element('header', {}, element('h3', {}, ...heading(answer.row, files), ' ', badge(answer.row)), pickers[side]),
    answer.record ? conversation(answer.record, answer.task, differs) : element('pre', {}, answer.text)));
  const same = differs === undefined ? element('p', { class: 'counts' }, 'The two conversations are the same.') : null;
  return [verdicts([one, other], files), same, element('div', { class: 'two' }, ...sides)].filter(Boolean);
}

/** All fields of both verdicts; those that differ first and marked. */
function verdicts(answers, files) {
  const sorted = answers.map((answer) => {
    const { verdict, given } = sort(answer.record ?? {}, answer.task);
    const { row } = answer;
    const components = verdict.reward_components;
    if (components !== null && typeof components === 'object') {
      delete verdict.reward_components;
      Object.assign(verdict, flat(components, 'component.'));
    }
    return { ...verdict, ...given, 'tool calls': row.calls, tokens: row.tokens, agent: row.agent, model: row.model };
  });
  const names = [...new Set(sorted.flatMap((fields) => Object.keys(fields)))].filter((name) => sorted.some((fields) => !empty(fields[name])));
  const differ = (name) => JSON.stringify(sorted[0][name] ?? null) !== JSON.stringify(sorted[1][name] ?? null);
  const cell = (value) => (empty(value) ? element('span', { class: 'faint' }, '–') : typeof value === 'number' ? number(value) : typeof value === 'object' ? tree(value) : String(value));
  const count = names.filter(differ).length;
  // The reward is what everybody looks for.
  const shown = names.filter((name) => name === 'reward' || differ(name));
  const same = names.filter((name) => !shown.includes(name));
  const rows = (list) => element('tbody', {}, list.map((name) => element('tr', { class: differ(name) ? 'differs' : null },
    element('th', { scope: 'row' }, name), ...sorted.map((fields) => element('td', {}, cell(fields[name]))))));
  const head = element('thead', {}, element('tr', {}, element('th', { scope: 'col' }, 'Field'),
    ...answers.map(({ row }) => element('th', { scope: 'col' }, ...heading(row, files)))));
  return element('details', { class: 'panel', open: true },
    element('summary', {}, element('h2', {}, count === 0 ? 'Verdicts: the same' : `Verdicts: ${count} of ${names.length} fields differ`)),
    element('div', { class: 'body' },
      element('table', { class: 'verdicts' }, head, rows(shown)),
      same.length === 0 ? null : element('details', { class: 'alike' },
        element('summary', {}, `${same.length} fields are the same`), element('table', { class: 'verdicts' }, rows(same)))));
}

function empty(value) {
  return value === null || value === undefined || value === '';
}

/** Two files, task by task. */
export function pairsView(main, summary) {
  const view = state.pairs;
  const [a, b] = summary.files;
  const totals = element('div', { class: 'totals' });
  const error = element('p', { class: 'error', role: 'alert' });
  const input = element('input', { type: 'search', value: view.text, placeholder: 'Words of the prompt', 'aria-label': 'Words of the prompt', autocomplete: 'off' });
  const order = choice('Order', [
    ['delta', 'Lost most first'], ['-delta', 'Won most first'], ['task', 'Task'],
    ['-a', 'Highest in A'], ['a', 'Lowest in A'], ['-b', 'Highest in B'], ['b', 'Lowest in B'],
  ], view.sort);
  const grid = new Grid({
    label: 'Tasks',
    columns: 5,
    fetchPage: async (start, count) => {
      const answer = await api.pairs({ outcome: view.outcome, text: view.text, sort: view.sort, start, count });
      tell(answer.totals);
      return { rows: answer.pairs, matched: answer.matched };
    },
    draw: cells,
    name: (pair) => `Task ${pair.task}, A ${number(pair.sides[0].mean)}, B ${number(pair.sides[1].mean)}, ${pair.title}`,
    open: (pair, position) => {
      view.position = position;
      const [left, right] = pair.sides.map((side) => side.row);
      go(left === null || right === null ? `#/rollout/${left ?? right}` : `#/compare/${left}/${right}`);
    },
  });

  function tell(now) {
    const card = (outcome, count, text) => element('button', {
      type: 'button', class: `card ${outcome || 'all'}`, 'aria-pressed': String(view.outcome === outcome),
      onclick: () => { view.outcome = view.outcome === outcome ? '' : outcome; reload(); },
    }, element('strong', {}, number(count)), text);
    const delta = now.means[0] === null ? null : now.means[1] - now.means[0];
    totals.replaceChildren(
      element('p', { class: 'means' },
        element('span', {}, element('span', { class: 'side side-0' }, 'A'), ` ${a.name} `, element('strong', {}, number(now.means[0]))),
        element('span', {}, element('span', { class: 'side side-1' }, 'B'), ` ${b.name} `, element('strong', {}, number(now.means[1]))),
        delta === null ? null : element('span', { class: `delta ${sign(delta)}` }, signed(delta))),
      element('div', { class: 'cards', role: 'group', 'aria-label': 'Outcomes' },
        card('better', now.better, 'better in B'), card('worse', now.worse, 'worse in B'), card('same', now.same, 'the same'), card('unpaired', now.unpaired, 'in one only')));
    error.textContent = '';
  }

  function cells(pair) {
    const cell = (name, ...content) => element('span', { class: `cell ${name}`, role: 'gridcell' }, ...content);
    const side = (index) => {
      const { mean, rollouts, scored } = pair.sides[index];
      const count = rollouts === 0 ? 'none' : scored < rollouts ? `${scored}/${rollouts}` : `×${rollouts}`;
      return cell(`mean-${index}`, element('span', { class: `side side-${index}` }, 'AB'[index]), number(mean), element('span', { class: 'faint' }, ` ${count}`));
    };
    return [
      cell('task', pair.task === null ? '–' : String(pair.task)),
      cell('delta', element('span', { class: `delta ${sign(pair.delta)}` }, signed(pair.delta))),
      side(0), side(1),
      cell('prompt', pair.title || element('span', { class: 'faint' }, 'no prompt')),
    ];
  }

  async function reload(position = 0) {
    try {
      await grid.load(position);
    } catch (problem) {
      error.textContent = problem.message;
    }
  }

  let timer;
  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => { view.text = input.value.trim(); reload(); }, 120);
  });
  order.select.addEventListener('change', () => { view.sort = order.select.value; reload(); });
  const head = (name, text) => element('span', { class: `cell ${name}`, role: 'columnheader' }, text);
  main.replaceChildren(element('section', { class: 'list pairs', 'aria-label': 'Tasks of both files' },
    totals,
    element('div', { class: 'bar', role: 'search' }, input, order.label),
    error,
    element('div', { class: 'table' },
      element('div', { class: 'heads row', role: 'row' }, head('task', 'Task'), head('delta', 'B − A'), head('mean-0', 'Mean in A'), head('mean-1', 'Mean in B'), head('prompt', 'Prompt')),
      grid.scroller)));
  reload(view.position).then(() => grid.scroller.focus({ preventScroll: true }));

  return {
    close: () => grid.close(),
    changed: () => { grid.refresh().catch((problem) => { error.textContent = problem.message; }); },
    key: (key) => {
      if (key === '/') input.focus();
      else if (key === 'Escape' || key === 'u') go('#/');
      else return false;
      return true;
    },
  };
}

function sign(delta) {
  return delta === null ? 'none' : delta > 1e-9 ? 'up' : delta < -1e-9 ? 'down' : 'none';
}

function signed(delta) {
  if (delta === null) return '–';
  const text = number(Math.abs(delta));
  return sign(delta) === 'none' ? '±0' : `${delta > 0 ? '+' : '−'}${text}`;
}
