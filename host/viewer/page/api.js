// SPDX-License-Identifier: Apache-2.0
// Questions to the server, which only answers.

async function ask(path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) {
    if (value !== '' && value !== null && value !== undefined) query.set(key, value);
  }
  const text = query.toString();
  let response;
  try {
    response = await fetch(text ? `${path}?${text}` : path);
  } catch {
    throw new Error('The viewer does not answer. Is `gym-host view` still running?');
  }
  const body = await response.json();
  if (!response.ok) throw new Error(body.error ?? `the viewer answered ${response.status}`);
  return body;
}

export const summary = () => ask('/api/summary');
export const rows = (parameters) => ask('/api/rows', parameters);
export const rollout = (id) => ask(`/api/rollouts/${id}`);
export const sameTask = (id) => ask(`/api/rollouts/${id}/task`);
export const pairs = (parameters) => ask('/api/pairs', parameters);
export const textAddress = (id) => `/api/rollouts/${id}/text`;
