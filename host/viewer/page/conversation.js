// SPDX-License-Identifier: Apache-2.0
// A rollout's items as a conversation.

import { element, number } from './dom.js';
import { tree } from './facts.js';

// Longer texts are shown in part at first: a page with megabytes of text does not scroll.
const CLIP = 6000;
const IMAGE = /^data:image\/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+$/;

/** The items of a rollout in order, each tool call with its result: `{kind, from, item, result}`. */
export function turns(record, task) {
  const params = record.responses_create_params ?? task?.responses_create_params ?? {};
  const made = [];
  if (typeof params.instructions === 'string' && params.instructions) {
    made.push({ from: 'task', kind: 'message', item: { role: 'instructions', content: params.instructions } });
  }
  const input = typeof params.input === 'string' ? [{ role: 'user', content: params.input }] : params.input;
  const output = record.response?.output;
  const calls = new Map();
  for (const [from, items] of [['task', input], ['rollout', output]]) {
    for (const item of Array.isArray(items) ? items : []) {
      const kind = kindOf(item);
      const id = item?.call_id;
      if (kind === 'result' && calls.has(id) && calls.get(id).result === undefined) {
        calls.get(id).result = item;
        continue;
      }
      const turn = { from, kind, item };
      if (kind === 'call' && typeof id === 'string') calls.set(id, turn);
      made.push(turn);
    }
  }
  return made;
}

function kindOf(item) {
  if (item === null || typeof item !== 'object') return 'other';
  if (item.type === 'reasoning') return 'reasoning';
  if (item.type === 'function_call') return 'call';
  if (item.type === 'function_call_output') return 'result';
  if ((item.type === 'message' || item.type === undefined) && typeof item.role === 'string') return 'message';
  return 'other';
}

/** A conversation. `differs` is the position from which on two conversations are not the same. */
export function conversation(record, task, differs) {
  const all = turns(record, task);
  const list = element('ol', { class: 'conversation' });
  let from = null;
  all.forEach((turn, index) => {
    if (turn.from !== from) {
      from = turn.from;
      list.append(element('li', { class: 'divider' }, from === 'task' ? 'Task' : 'Rollout'));
    }
    if (index === differs) list.append(element('li', { class: 'divider parting' }, 'They differ from here on'));
    list.append(turnElement(turn));
  });
  const response = record.response;
  if (response?.error) list.append(notice('Error', response.error));
  if (response?.incomplete_details) list.append(notice('Incomplete', response.incomplete_details));
  if (!all.some((turn) => turn.from === 'rollout') && !response?.error) {
    list.append(element('li', { class: 'faint empty' }, 'No output was recorded.'));
  }
  return list;
}

/** The position of the first turn that two rollouts do not share; `undefined` if they share all. */
export function parting(left, right) {
  const length = Math.max(left.length, right.length);
  for (let index = 0; index < length; index += 1) {
    if (signature(left[index]) !== signature(right[index])) return index;
  }
  return undefined;
}

/** What counts when items are compared: not their ids. */
function signature(turn) {
  if (!turn) return '';
  const { item, result } = turn;
  const content = (of) => JSON.stringify([of?.role, of?.content, of?.summary, of?.name, of?.arguments, of?.output]);
  return JSON.stringify([turn.kind, content(item), content(result), turn.kind === 'other' ? item : null]);
}

function turnElement(turn) {
  const { item, kind, result } = turn;
  switch (kind) {
    case 'message': {
      const role = item.role;
      const long = turn.from === 'task' && role !== 'user' && lengthOf(item.content) > 1200;
      return entry(turn, `role-${known(role)}`, role, ids(item), long ? folded(content(item.content), lengthOf(item.content)) : content(item.content));
    }
    case 'reasoning': {
      const texts = [...parts(item.summary), ...parts(item.content)];
      const hidden = item.encrypted_content ? element('p', { class: 'faint' }, 'Encrypted reasoning') : null;
      const body = texts.length > 0 ? texts : hidden ?? element('p', { class: 'faint' }, 'Empty reasoning');
      return entry(turn, 'reasoning', 'reasoning', ids(item), body);
    }
    case 'call':
      return entry(turn, 'call', ['tool call ', element('code', {}, String(item.name))], ids(item),
        code(item.arguments, 'Arguments'),
        element('div', { class: 'result' }, element('h4', {}, 'Result'),
          result ? content(result.output, true) : element('p', { class: 'faint' }, 'No result was recorded.')));
    case 'result':
      return entry(turn, 'call', 'tool result', ids(item), content(item.output, true));
    default:
      return entry(turn, 'other', typeof item?.type === 'string' ? item.type.replaceAll('_', ' ') : 'item', null, tree(item));
  }
}

function known(role) {
  return ['user', 'assistant', 'system', 'developer', 'instructions'].includes(role) ? role : 'other';
}

function entry(turn, kind, title, chips, ...body) {
  return element('li', { class: `turn ${kind} from-${turn.from}`, tabIndex: -1 },
    element('h3', {}, title, chips), element('div', { class: 'body' }, ...body));
}

/** Numbers that trainers need, in short. */
function ids(item) {
  const chips = [];
  for (const [name, text] of [['prompt_token_ids', 'prompt ids'], ['generation_token_ids', 'ids'], ['generation_log_probs', 'log probs']]) {
    if (Array.isArray(item[name])) chips.push(element('span', { class: 'chip', title: name }, `${number(item[name].length)} ${text}`));
  }
  if (item.status && item.status !== 'completed') chips.push(element('span', { class: 'chip warn' }, String(item.status)));
  return chips;
}

function lengthOf(value) {
  return typeof value === 'string' ? value.length : JSON.stringify(value ?? '').length;
}

function folded(body, length) {
  return element('details', {}, element('summary', {}, `${number(length)} characters`), ...[body].flat());
}

function parts(value) {
  return value === undefined || value === null ? [] : [content(value)].flat();
}

/** A message's content: a text, or a list of parts. */
function content(value, tool = false) {
  if (typeof value === 'string') return tool ? code(value, 'Result') : prose(value);
  if (!Array.isArray(value)) return value === null || value === undefined ? element('p', { class: 'faint' }, 'Empty') : tree(value);
  return value.map((part) => {
    if (typeof part === 'string') return prose(part);
    if (typeof part?.text === 'string') return prose(part.text);
    if (typeof part?.refusal === 'string') return element('div', { class: 'refusal' }, element('h4', {}, 'Refusal'), prose(part.refusal));
    if (typeof part?.image_url === 'string') return image(part.image_url);
    return tree(part);
  });
}

/** Pictures that are part of the file are shown; those elsewhere are not fetched. */
function image(address) {
  if (IMAGE.test(address)) return element('img', { class: 'picture', src: address, alt: 'Picture in the conversation' });
  return element('p', { class: 'faint' }, 'Picture elsewhere: ', element('code', {}, clipped(address, 300)));
}

/** Text as it was written. */
export function prose(text) {
  if (text === '') return element('p', { class: 'faint' }, 'Empty text');
  return clip(text, (shown) => element('div', { class: 'prose', dir: 'auto' }, shown));
}

/** Arguments and results: JSON is laid out. */
function code(text, label) {
  if (typeof text !== 'string') return tree(text);
  let shown = text;
  try {
    const value = JSON.parse(text);
    // Numbers that JavaScript cannot hold would change.
    if (value !== null && typeof value === 'object' && !/[^.\d]\d{16}|\.\d{18}/.test(text)) shown = JSON.stringify(value, null, 2);
  } catch {
    // It is text then.
  }
  if (shown === '') return element('p', { class: 'faint' }, 'Empty');
  return clip(shown, (part) => element('pre', { tabIndex: 0, 'aria-label': label }, part));
}

function clip(text, make) {
  if (text.length <= CLIP * 1.25) return make(text);
  const box = element('div', {}, make(clipped(text, CLIP)));
  box.append(element('button', {
    type: 'button', class: 'more', onclick: () => box.replaceChildren(make(text)),
  }, `Show all ${number(text.length)} characters`));
  return box;
}

function clipped(text, length) {
  return text.length <= length ? text : `${text.slice(0, length)}…`;
}

function notice(title, value) {
  return element('li', { class: 'turn failed' }, element('h3', {}, title), element('div', { class: 'body' }, tree(value)));
}
