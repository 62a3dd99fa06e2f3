// SPDX-License-Identifier: Apache-2.0
// Making elements. Data only ever becomes text nodes and properties, never markup.

/**
 * An element. `properties` are set as properties, except `class`, `data-…`, `aria-…` and `role`, which are attributes,
 * and `on…`, which are listeners. Children are elements, texts, or nothing.
 */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else if (key === 'class' || key === 'role' || key.includes('-')) made.setAttribute(key, value === true ? '' : value);
    else made[key] = value;
  }
  append(made, children);
  return made;
}

function append(parent, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(parent, child);
    else parent.append(child instanceof Node ? child : String(child));
  }
}

export const byId = (id) => document.getElementById(id);

/** Says something to those who do not see the page. */
export function announce(text) {
  byId('announce').textContent = text;
}

const WHOLE = new Intl.NumberFormat('en');

/** A number for people: at most four decimals, groups of digits in large ones. */
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  if (Math.abs(value) >= 10000) return WHOLE.format(Math.round(value));
  return String(Number(value.toFixed(4)));
}

export function bytes(value) {
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (value < 1024 || unit === 'GiB') return `${value < 10 && unit !== 'B' ? value.toFixed(1) : Math.round(value)} ${unit}`;
    value /= 1024;
  }
  return '';
}

/** The reward of a row, or what it has in place of one, with a colour and in words. */
export function badge(row) {
  if (row.state === 'scored') {
    const level = row.reward >= 1 ? 'good' : row.reward <= 0 ? 'bad' : 'half';
    return element('span', { class: `badge ${level}` }, number(row.reward));
  }
  const text = row.state === 'unscored' ? 'no reward' : row.state;
  return element('span', { class: `badge ${row.state}`, title: row.failure || text }, text);
}

/** Which task and rollout a row is, in few characters. */
export function place(row) {
  if (row.task === null) return `line ${row.line}`;
  return row.rollout === null ? `${row.task}` : `${row.task}:${row.rollout}`;
}

/** The same in words. */
export function placeInWords(row) {
  if (row.task === null) return `Line ${row.line}`;
  const attempt = row.attempt > 0 ? `, attempt ${row.attempt + 1}` : '';
  return row.rollout === null ? `Task ${row.task}${attempt}` : `Task ${row.task}, rollout ${row.rollout}${attempt}`;
}
