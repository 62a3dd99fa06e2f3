// SPDX-License-Identifier: Apache-2.0
// Which view is shown, and keys that work everywhere.

import * as api from './api.js';
import { byId, number } from './dom.js';
import { compareView, pairsView } from './compare.js';
import { listView } from './list.js';
import { rolloutView } from './rollout.js';

/** What lists remember while something else is shown. */
export const state = {
  list: { words: '', agent: '', outcome: '', sort: '', position: 0 },
  pairs: { text: '', outcome: '', sort: 'delta', position: 0 },
};

/** Rollouts that are marked for comparison. */
export const marked = [];

const POLL = 1500;
const POLL_WHILE_READING = 300;

let summary;
let view;

/** Shows another view. `instead` leaves no trace in the history. */
export function go(hash, instead = false) {
  if (instead) {
    history.replaceState(null, '', hash);
    show();
  } else {
    location.hash = hash;
  }
}

function show() {
  const main = byId('main');
  const [, name, one, other] = location.hash.split('/');
  view?.close();
  document.title = 'Rollouts';
  document.body.className = `view-${name || 'all'}`;
  const two = summary.files.length > 1;
  byId('nav-list').setAttribute('aria-current', name ? 'false' : 'page');
  byId('nav-pairs').setAttribute('aria-current', name === 'pairs' ? 'page' : 'false');
  const isId = (text) => /^\d+$/.test(text ?? '');
  if (name === 'rollout' && isId(one)) view = rolloutView(main, summary, Number(one));
  else if (name === 'compare' && isId(one) && isId(other)) view = compareView(main, summary, Number(one), Number(other));
  else if (name === 'pairs' && two) view = pairsView(main, summary);
  else view = listView(main, summary);
}

function tell() {
  const names = summary.files.map((file) => file.name).join(' and ');
  byId('title').textContent = names;
  byId('title').title = summary.files.map((file) => file.path).join('\n');
  byId('nav-pairs').hidden = summary.files.length < 2;
  const problem = summary.files.map((file) => file.error).find(Boolean);
  const [done, all] = summary.files.reduce(([done, all], file) => [done + file.bytes, all + file.length], [0, 0]);
  const share = all > 0 ? ` (${Math.floor((100 * done) / all)} %)` : '';
  const text = problem ?? (summary.complete ? '' : `Reading, ${number(summary.rows)} rollouts so far${share}`);
  if (byId('progress').textContent !== text) byId('progress').textContent = text;
  byId('progress').classList.toggle('error', Boolean(problem));
}

async function poll() {
  let wait = POLL;
  try {
    const next = await api.summary();
    const changed = next.revision !== summary.revision;
    summary = next;
    tell();
    if (changed) view.changed(summary);
    if (!summary.complete) wait = POLL_WHILE_READING;
  } catch (problem) {
    byId('progress').textContent = problem.message;
    byId('progress').classList.add('error');
  }
  setTimeout(poll, wait);
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (byId('help').open) return;
  const typing = event.target.closest?.('input:not([type=checkbox]), select, textarea');
  if (typing) {
    if (event.key === 'Escape') event.target.blur();
    return;
  }
  if (event.key === '?') byId('help').showModal();
  else if (!view?.key(event.key)) return;
  event.preventDefault();
}

async function start() {
  byId('help-button').addEventListener('click', () => byId('help').showModal());
  try {
    summary = await api.summary();
  } catch (problem) {
    byId('main').textContent = problem.message;
    return;
  }
  tell();
  show();
  window.addEventListener('hashchange', show);
  document.addEventListener('keydown', press);
  setTimeout(poll, summary.complete ? POLL : POLL_WHILE_READING);
}

start();
