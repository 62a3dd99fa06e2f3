// SPDX-License-Identifier: Apache-2.0
// The list of rollouts.

import * as api from './api.js';
import { announce, badge, element, number, place, placeInWords } from './dom.js';
import { Grid } from './grid.js';
import { go, marked, state } from './main.js';

const COLUMNS = [
  ['task', 'Task', 'task'],
  ['reward', 'Reward', 'reward'],
  ['prompt', 'Prompt', 'prompt'],
  ['agent', 'Agent', 'agent'],
  ['failure', 'Failure', 'failure'],
  ['calls', 'Calls', 'calls'],
  ['tokens', 'Tokens', 'tokens'],
];
// These are read from the highest down at first.
const DOWNWARDS = new Set(['reward', 'calls', 'tokens', 'output', 'bytes', 'items']);

const OUTCOMES = [
  ['', 'All outcomes'],
  ['is:full', 'Full reward'],
  ['reward>0 reward<1', 'Part of the reward'],
  ['is:zero', 'Zero reward'],
  ['is:failed', 'Failed'],
  ['is:masked', 'Masked'],
  ['is:unscored', 'No reward'],
  ['is:unreadable', 'Unreadable lines'],
];

/** The filter in force: the words that were typed, and what was chosen beside them. */
export function filter() {
  const { words, agent, outcome } = state.list;
  const quoted = agent ? `agent="${agent.replaceAll('"', '')}"` : '';
  return [words, outcome, quoted].filter(Boolean).join(' ');
}

export function listView(main, summary) {
  const list = state.list;
  const input = element('input', {
    type: 'search', id: 'filter', value: list.words, placeholder: 'Filter: words, reward<1, agent:math, is:failed …',
    autocomplete: 'off', spellcheck: false, 'aria-describedby': 'filter-error', 'aria-label': 'Filter',
  });
  const error = element('p', { id: 'filter-error', class: 'error', role: 'alert' });
  const outcome = choice('Outcome', OUTCOMES, list.outcome);
  const agents = choice('Agent', agentOptions(summary), list.agent);
  const order = choice('Order', orderOptions(summary), list.sort);
  const counts = element('p', { class: 'counts', role: 'status' });
  const compare = element('button', { type: 'button', class: 'primary', hidden: true, onclick: compareMarked }, 'Compare');
  const heads = element('div', { class: 'heads row', role: 'row' });
  const two = summary.files.length > 1;

  const grid = new Grid({
    label: 'Rollouts',
    columns: COLUMNS.length + 1,
    fetchPage: async (start, count) => {
      const answer = await api.rows({ filter: filter(), sort: list.sort, start, count, number: otherNumber(summary) });
      tell(answer);
      return answer;
    },
    draw: (row) => cells(row, two, otherNumber(summary)),
    name: (row) => `${placeInWords(row)}, ${row.state === 'scored' ? `reward ${number(row.reward)}` : row.state}, ${row.agent}, ${row.title}`,
    open: (row, position) => {
      list.position = position;
      go(`#/rollout/${row.id}`);
    },
    key: (key, row) => {
      if (key === 'x') mark(row);
      else return false;
      return true;
    },
  });

  function tell(answer) {
    const mean = answer.mean === null ? '' : ` · mean reward ${number(answer.mean)}`;
    const files = two ? '' : '';
    const text = `${number(answer.matched)} of ${number(summary.rows)} rollouts${mean}${files}`;
    if (counts.textContent !== text) counts.textContent = text;
    error.textContent = '';
  }

  async function reload(position = 0) {
    list.position = position;
    try {
      await grid.load(position);
    } catch (problem) {
      error.textContent = problem.message;
    }
  }

  function drawHeads() {
    heads.replaceChildren(
      element('span', { class: 'cell mark', role: 'columnheader' }, element('span', { class: 'hidden' }, 'Marked')),
      ...COLUMNS.map(([name, title, field]) => {
        const shown = name === 'tokens' && otherNumber(summary) ? otherNumber(summary) : title;
        const by = name === 'tokens' && otherNumber(summary) ? otherNumber(summary) : field;
        const up = list.sort === by;
        const down = list.sort === `-${by}`;
        const arrow = up ? ' ↑' : down ? ' ↓' : '';
        return element(
          'span',
          { class: `cell ${name}`, role: 'columnheader', 'aria-sort': up ? 'ascending' : down ? 'descending' : 'none' },
          element('button', {
            type: 'button',
            title: `Order by ${shown.toLowerCase()}`,
            onclick: () => {
              const start = DOWNWARDS.has(by) ? `-${by}` : by;
              list.sort = list.sort === start ? (start === by ? `-${by}` : by) : start;
              order.select.value = list.sort;
              drawHeads();
              reload();
            },
          }, shown, element('span', { 'aria-hidden': 'true' }, arrow)),
        );
      }),
    );
  }

  function mark(row) {
    const at = marked.findIndex((other) => other.id === row.id);
    if (at >= 0) marked.splice(at, 1);
    else marked.push({ id: row.id, place: place(row), title: row.title });
    while (marked.length > 2) marked.shift();
    showMarked();
    announce(at >= 0 ? 'No longer marked' : `Marked, ${marked.length} of 2`);
    grid.render(true);
  }

  function showMarked() {
    compare.hidden = marked.length === 0;
    compare.disabled = marked.length < 2;
    compare.textContent = marked.length < 2 ? 'Mark one more to compare' : `Compare ${marked[0].place} and ${marked[1].place}`;
  }

  function cells(row, withFile, other) {
    const isMarked = marked.some((one) => one.id === row.id);
    const box = element('input', {
      type: 'checkbox', checked: isMarked, tabIndex: -1, 'aria-label': `Mark ${placeInWords(row)}`, onchange: () => mark(row),
    });
    const file = withFile ? element('span', { class: `side side-${row.side}`, title: summary.files[row.side].path }, 'AB'[row.side]) : null;
    const cell = (name, ...content) => element('span', { class: `cell ${name}`, role: 'gridcell' }, ...content);
    return [
      cell('mark', element('label', {}, box)),
      cell('task', file, place(row)),
      cell('reward', badge(row)),
      cell('prompt', row.title || element('span', { class: 'faint' }, 'no prompt')),
      cell('agent', row.agent),
      cell('failure', row.failure),
      cell('calls', element('span', { class: 'unit' }, 'calls '), String(row.calls)),
      cell('tokens', element('span', { class: 'unit' }, `${other || 'tokens'} `), number(other ? row.number : row.tokens)),
    ];
  }

  let timer;
  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      list.words = input.value.trim();
      reload();
    }, 120);
  });
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' || event.key === 'ArrowDown') {
      event.preventDefault();
      grid.scroller.focus();
    } else if (event.key === 'Escape' && input.value === '') {
      grid.scroller.focus();
    }
  });
  outcome.select.addEventListener('change', () => { list.outcome = outcome.select.value; reload(); });
  agents.select.addEventListener('change', () => { list.agent = agents.select.value; reload(); });
  order.select.addEventListener('change', () => { list.sort = order.select.value; drawHeads(); reload(); });

  drawHeads();
  showMarked();
  main.replaceChildren(
    element(
      'section',
      { class: 'list', 'aria-label': 'Rollouts' },
      element('div', { class: 'bar', role: 'search' }, input, outcome.label, agents.label, order.label),
      error,
      element('div', { class: 'under' }, counts, compare),
      element('div', { class: 'table' }, heads, grid.scroller),
    ),
  );
  reload(list.position).then(() => {
    if (document.activeElement === document.body || document.activeElement === main) grid.scroller.focus({ preventScroll: true });
  });

  return {
    close: () => grid.close(),
    changed: (next) => {
      summary = next;
      agents.fill(agentOptions(next));
      order.fill(orderOptions(next));
      grid.refresh().catch((problem) => { error.textContent = problem.message; });
    },
    key: (key) => {
      if (key === '/') input.focus();
      else if (key === 'c' && marked.length === 2) compareMarked();
      else if (['j', 'k'].includes(key)) {
        grid.scroller.focus();
        grid.select(grid.selected + (key === 'j' ? 1 : -1));
      } else return false;
      return true;
    },
  };
}

function compareMarked() {
  if (marked.length === 2) go(`#/compare/${marked[0].id}/${marked[1].id}`);
}

/** The verdict's number that the list is ordered by, if it is one. */
function otherNumber(summary) {
  const field = state.list.sort.replace(/^-/, '');
  return summary.numbers.includes(field) ? field : '';
}

function agentOptions(summary) {
  return [['', 'All agents'], ...summary.agents.map(({ name, rows }) => [name, `${name} (${number(rows)})`])];
}

function orderOptions(summary) {
  const plain = [
    ['', 'Order of the file'], ['-', 'Newest first'], ['task', 'Task'], ['-task', 'Task, highest first'],
    ['-reward', 'Reward, highest first'], ['reward', 'Reward, lowest first'],
    ['-tokens', 'Tokens, most first'], ['tokens', 'Tokens, fewest first'],
    ['-output', 'Written tokens, most first'], ['output', 'Written tokens, fewest first'],
    ['-calls', 'Tool calls, most first'], ['calls', 'Tool calls, fewest first'],
    ['-bytes', 'Size, largest first'], ['bytes', 'Size, smallest first'],
    ['agent', 'Agent'], ['-agent', 'Agent, from Z'], ['failure', 'Failure'], ['-failure', 'Failure, from Z'],
    ['prompt', 'Prompt'], ['-prompt', 'Prompt, from Z'], ['model', 'Model'],
  ];
  const numbers = summary.numbers.flatMap((name) => [[`-${name}`, `${name}, highest first`], [name, `${name}, lowest first`]]);
  return [...plain, ...numbers];
}

/** A labelled choice. */
export function choice(title, options, value) {
  const select = element('select', {});
  const fill = (choices) => {
    const chosen = select.value || value;
    select.replaceChildren(...choices.map(([key, text]) => element('option', { value: key }, text)));
    select.value = chosen;
    if (select.selectedIndex < 0) select.selectedIndex = 0;
  };
  fill(options);
  return { select, fill, label: element('label', { class: 'choice' }, element('span', {}, title), select) };
}
