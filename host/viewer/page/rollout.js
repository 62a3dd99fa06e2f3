// SPDX-License-Identifier: Apache-2.0
// One rollout.

import * as api from './api.js';
import { announce, badge, element, number, placeInWords } from './dom.js';
import { conversation } from './conversation.js';
import { facts, heading } from './facts.js';
import { filter } from './list.js';
import { go, state } from './main.js';

export function rolloutView(main, summary, id) {
  let closed = false;
  let neighbours = {};
  let others = [];
  const body = element('div', { class: 'split' }, element('p', { class: 'faint' }, 'Loading…'));
  const title = element('h2', { class: 'place' });
  const previous = element('button', { type: 'button', disabled: true, title: 'Previous (k)', onclick: () => to(neighbours.previous) }, '← Previous');
  const next = element('button', { type: 'button', disabled: true, title: 'Next (j)', onclick: () => to(neighbours.next) }, 'Next →');
  const same = element('select', { 'aria-label': 'Compare with another rollout of the same task' });
  const compare = element('label', { class: 'choice', hidden: true }, element('span', {}, 'Compare with'), same);
  same.addEventListener('change', () => { if (same.value) go(`#/compare/${id}/${same.value}`); });

  main.replaceChildren(element('article', { class: 'rollout' },
    element('div', { class: 'toolbar' },
      element('a', { href: '#/', class: 'button', title: 'Back to the list (Esc)' }, 'List'), previous, next, title, compare),
    body));

  function to(other) {
    if (other) go(`#/rollout/${other.id}`, true);
  }

  async function load() {
    const answer = await api.rollout(id);
    if (closed) return;
    const { row } = answer;
    title.replaceChildren(...heading(row, summary.files), ' ', badge(row));
    document.title = `${placeInWords(row)} – rollouts`;
    announce(`${placeInWords(row)}, ${row.state === 'scored' ? `reward ${number(row.reward)}` : row.state}`);
    body.replaceChildren(...(answer.record ? split(row, answer, summary) : unreadable(row, answer)));
    window.scrollTo(0, 0);
  }

  async function loadAround() {
    const [around, task] = await Promise.all([
      api.rows({ filter: filter(), sort: state.list.sort, around: id, count: 3 }),
      api.sameTask(id),
    ]);
    if (closed) return;
    if (around.position !== null) {
      state.list.position = around.position;
      const at = around.position - around.start;
      neighbours = { previous: around.rows[at - 1], next: around.rows[at + 1] };
    }
    previous.disabled = !neighbours.previous;
    next.disabled = !neighbours.next;
    others = task.filter((row) => row.id !== id);
    compare.hidden = others.length === 0;
    const name = (row) => {
      const side = summary.files.length > 1 ? `${'AB'[row.side]} · ` : '';
      return `${side}${placeInWords(row)} · ${row.state === 'scored' ? number(row.reward) : row.state}`;
    };
    same.replaceChildren(element('option', { value: '' }, `${others.length} of the same task`), ...others.map((row) => element('option', { value: row.id }, name(row))));
  }

  const show = (problem) => {
    if (!closed) body.replaceChildren(element('p', { class: 'error', role: 'alert' }, problem.message));
  };
  load().catch(show);
  // Keys that need the neighbours wait for them: a fast reader presses them before the answer is here.
  const around = loadAround().catch(() => {});
  const once = (act) => around.then(() => closed || act());
  main.focus({ preventScroll: true });

  return {
    close: () => { closed = true; },
    changed: (now) => { summary = now; },
    key: (key) => {
      if (key === 'j' || key === 'ArrowRight') once(() => to(neighbours.next));
      else if (key === 'k' || key === 'ArrowLeft') once(() => to(neighbours.previous));
      else if (key === 'n' || key === 'p') step(body, key === 'n' ? 1 : -1);
      else if (key === 'c') once(() => others.length > 0 && go(`#/compare/${id}/${others[0].id}`));
      else if (key === 'Escape' || key === 'u') go('#/');
      else return false;
      return true;
    },
  };
}

function split(row, { record, task }, summary) {
  return [
    element('section', { class: 'talk', 'aria-label': 'Conversation' }, conversation(record, task)),
    element('aside', { class: 'facts', 'aria-label': 'Verdict and task' }, facts(row, record, task, summary.files)),
  ];
}

/** A line that is no JSON object, as it is. */
function unreadable(row, answer) {
  return [element('section', { class: 'talk' }, element('p', { class: 'error' }, row.title.split(':')[0]), element('pre', { tabIndex: 0 }, answer.text))];
}

/** Moves to the next or previous item. */
export function step(body, by) {
  const items = [...body.querySelectorAll('.turn')];
  const now = items.indexOf(document.activeElement?.closest('.turn'));
  const next = items[Math.min(Math.max(now + by, 0), items.length - 1)];
  next?.focus({ preventScroll: true });
  next?.scrollIntoView({ block: 'start' });
}
