// SPDX-License-Identifier: Apache-2.0
// What is known of a rollout beside its conversation: verdict, task, tools, where it comes from.

import { textAddress } from './api.js';
import { badge, bytes, element, number, placeInWords } from './dom.js';
import { prose } from './conversation.js';

const LARGE = new Set(['responses_create_params', 'response', 'ng_trajectory', 'ng_model_call_capture', 'ng_agent_observations']);
const ORIGIN = new Set(['agent_ref', 'task_source', 'gym_host', 'skills_ref']);

/** The fields of a record by what they are about. */
export function sort(record, task) {
  const verdict = {};
  const origin = {};
  const given = {};
  // A field that came with the task is the task's. Where the task is not known, what the verdict says is all there is.
  const taskFields = task ?? {};
  for (const [name, value] of Object.entries(record)) {
    if (LARGE.has(name)) continue;
    if (name.startsWith('_ng_failure')) verdict[name] = value;
    else if (name.startsWith('_ng_') || ORIGIN.has(name)) origin[name] = value;
    else if (name in taskFields) given[name] = value;
    else verdict[name] = value;
  }
  for (const [name, value] of Object.entries(taskFields)) {
    if (!LARGE.has(name) && !name.startsWith('_ng_') && !ORIGIN.has(name)) given[name] = value;
  }
  return { verdict, origin, given };
}

/** The panels beside a conversation. */
export function facts(row, record, task, files) {
  const { verdict, origin, given } = sort(record, task);
  const params = record.responses_create_params ?? task?.responses_create_params ?? {};
  const usage = record.response?.usage;
  const settings = Object.fromEntries(Object.entries(params).filter(
    ([name, value]) => !['input', 'tools', 'instructions'].includes(name) && value !== null,
  ));
  const file = files[row.side];
  return [
    panel('Verdict', verdictBody(row, verdict), true),
    panel('Task', fields(given), Object.keys(given).length > 0),
    panel('Tools', tools(params.tools), Array.isArray(params.tools) && params.tools.length > 0 && params.tools.length <= 6),
    panel('Tokens', usage ? fields(flat(usage)) : null, true),
    panel('Settings', fields(settings), false),
    panel('Where it comes from', fields({ file: file?.path ?? '', line: row.line, size: bytes(row.bytes), model: row.model || undefined, ...origin }), false),
    panel('Everything', element('div', {}, tree(record), element('p', {}, element('a', { href: textAddress(row.id), target: '_blank', rel: 'noopener' }, 'The line as it stands in the file'))), false),
  ];
}

function panel(title, body, wanted) {
  if (!body) return null;
  // On a phone the conversation comes below the panels.
  const open = wanted && (title === 'Verdict' || !matchMedia('(max-width: 760px)').matches);
  return element('details', { class: 'panel', open }, element('summary', {}, element('h2', {}, title)), element('div', { class: 'body' }, body));
}

/** The reward, its components as bars, then the other fields. */
function verdictBody(row, verdict) {
  const components = numbers(verdict);
  const rest = Object.fromEntries(Object.entries(verdict).filter(
    ([name, value]) => name !== 'reward' && value !== null && !components.some(([other]) => other === name),
  ));
  const why = row.failure ? element('span', { class: 'failure' }, row.failure) : null;
  const nested = Object.entries(rest).filter(([, value]) => isNumbers(value));
  nested.forEach(([name]) => delete rest[name]);
  return element('div', {},
    element('p', { class: 'reward-line' }, badge(row), why),
    components.length > 0 ? bars(components) : null,
    nested.map(([name, value]) => element('section', {}, element('h3', {}, name), bars(numbers(value)))),
    fields(rest));
}

function isNumbers(value) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return false;
  const all = Object.values(value);
  return all.length > 0 && all.every((one) => typeof one === 'number' || typeof one === 'boolean');
}

function numbers(fieldsOf) {
  const pairs = Object.entries(fieldsOf).filter(([name]) => name !== 'reward' && name !== 'mask_sample' && !name.startsWith('_'));
  return pairs.filter(([, value]) => typeof value === 'number' || typeof value === 'boolean');
}

/** Numbers from 0 to 1 have a bar, others stand as they are. */
function bars(components) {
  return element('dl', { class: 'bars' }, components.map(([name, value]) => {
    const shown = typeof value === 'boolean' ? (value ? 'yes' : 'no') : number(value);
    const part = Number(value);
    const meter = typeof value === 'number' && part >= 0 && part <= 1 ? element('meter', { min: 0, max: 1, value: part, 'aria-label': name }) : null;
    return [element('dt', {}, name), element('dd', {}, meter, element('span', {}, shown))];
  }));
}

export function flat(value, before = '') {
  const made = {};
  for (const [name, inner] of Object.entries(value)) {
    if (inner !== null && typeof inner === 'object') Object.assign(made, flat(inner, `${before}${name}.`));
    else made[before + name] = inner;
  }
  return made;
}

/** Names and values. */
export function fields(values) {
  const shown = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== '');
  if (shown.length === 0) return null;
  return element('dl', { class: 'fields' }, shown.map(([name, value]) => [element('dt', {}, name), element('dd', {}, leaf(value))]));
}

function leaf(value) {
  if (typeof value === 'string') return value.includes('\n') || value.length > 300 ? prose(value) : value;
  if (value !== null && typeof value === 'object') return tree(value);
  return String(value);
}

function tools(list) {
  if (!Array.isArray(list) || list.length === 0) return null;
  return element('ul', { class: 'tools' }, list.map((tool) => element('li', {},
    element('details', {},
      element('summary', {}, element('code', {}, String(tool?.name ?? tool?.type ?? 'tool'))),
      typeof tool?.description === 'string' ? prose(tool.description) : null,
      tool?.parameters ? tree(tool.parameters) : null))));
}

const CHILDREN = 200;

/** Any JSON value; what is inside objects and lists appears when it is opened. */
export function tree(value) {
  if (value === null || typeof value !== 'object') return element('span', { class: `json ${typeof value}` }, typeof value === 'string' ? value : String(value));
  const entries = Array.isArray(value) ? value.map((one, index) => [index, one]) : Object.entries(value);
  if (entries.length === 0) return element('span', { class: 'json' }, Array.isArray(value) ? '[ ]' : '{ }');
  const small = entries.length <= 8 && JSON.stringify(value).length <= 400;
  return branch(value, entries, small);
}

function branch(value, entries, open) {
  const list = element('ul', { class: 'tree' });
  const fill = (from) => {
    list.append(...entries.slice(from, from + CHILDREN).map(([name, inner]) => element('li', {}, element('span', { class: 'key' }, `${name}: `), tree(inner))));
    if (entries.length > from + CHILDREN) {
      const more = element('li', {}, element('button', { type: 'button', class: 'more', onclick: () => { more.remove(); fill(from + CHILDREN); } }, `${number(entries.length - from - CHILDREN)} more`));
      list.append(more);
    }
  };
  const what = Array.isArray(value) ? `list of ${number(entries.length)}` : preview(entries);
  const box = element('details', { class: 'branch', open }, element('summary', {}, what), list);
  if (open) fill(0);
  else box.addEventListener('toggle', () => fill(0), { once: true });
  return box;
}

function preview(entries) {
  const names = entries.slice(0, 4).map(([name]) => name).join(', ');
  return `{ ${names.length > 60 ? `${names.slice(0, 60)}…` : names}${entries.length > 4 ? ', …' : ''} }`;
}

/** A heading for a rollout. */
export function heading(row, files) {
  const side = files.length > 1 ? element('span', { class: `side side-${row.side}`, title: files[row.side].path }, 'AB'[row.side]) : null;
  return [side, placeInWords(row)].filter(Boolean);
}
