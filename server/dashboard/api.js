// SPDX-License-Identifier: Apache-2.0
// What the server is asked, who asks, and what it tells by itself.

export const session = { who: null, showPatients: false };

export class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail || `the server answered ${status}`);
    this.status = status;
  }
}

let onLoggedOut = () => {};
export function whenLoggedOut(f) {
  onLoggedOut = f;
}

async function ask(method, path, body, signal) {
  const headers = { Accept: 'application/json, application/problem+json' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (method !== 'GET' && session.who) headers['X-CSRF-Token'] = session.who.csrf;
  let answer;
  try {
    answer = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Refused(0, { detail: 'The server does not answer. Is sctd running, and the network there?' });
  }
  if (answer.status === 204) return null;
  const value = await answer.json().catch(() => null);
  if (answer.status === 401 && session.who) {
    session.who = null;
    onLoggedOut();
  }
  if (!answer.ok && !(path === '/readyz' && value)) throw new Refused(answer.status, value);
  return value;
}

export const get = (path, signal) => ask('GET', path, undefined, signal);
export const post = (path, body) => ask('POST', path, body);
export const remove = (path) => ask('DELETE', path);

/** ?a=b of what is set; patients are named where they are to be shown. */
export function query(path, values = {}, withPatients = false) {
  const params = new URLSearchParams(Object.entries(values).filter(([, v]) => v !== '' && v !== null && v !== undefined));
  if (withPatients && session.showPatients) params.set('identity', 'true');
  return params.size > 0 ? `${path}?${params}` : path;
}

export async function whoAmI() {
  try {
    session.who = await get('/api/v1/session');
  } catch (error) {
    if (error.status !== 401) throw error;
    session.who = null;
  }
  return session.who;
}

export async function login(token) {
  session.who = await post('/api/v1/session', { token });
}

export async function logout() {
  await remove('/api/v1/session');
  session.who = null;
}

export const may = {
  operate: () => session.who?.role === 'operator' || session.who?.role === 'admin',
  administer: () => session.who?.role === 'admin',
};

/** f at once, but not more often than every so many milliseconds: what comes meanwhile is one call afterwards. */
export function seldom(ms, f) {
  let timer = null;
  let wanted = false;
  function run() {
    wanted = timer !== null;
    if (wanted) return;
    f();
    timer = setTimeout(() => {
      timer = null;
      if (wanted) run();
    }, ms);
  }
  return { run, stop: () => clearTimeout(timer) };
}

// Live changes: events where they come through, a look every ten seconds where they do not.

const POLL_MS = 10000;
const GATHER_MS = 250;

export class Live {
  constructor(onChange, onState) {
    this.onChange = onChange;
    this.onState = onState;
    this.kinds = new Set();
    this.timer = null;
  }

  start() {
    this.source = new EventSource('/api/v1/events');
    this.source.onopen = () => this.setState(true);
    this.source.onerror = () => {
      this.setState(false);
      if (this.source.readyState === EventSource.CLOSED) {
        clearTimeout(this.again);
        this.again = setTimeout(() => session.who && this.restart(), POLL_MS);
      }
    };
    for (const kind of ['job', 'series', 'batch', 'status', 'reset']) {
      this.source.addEventListener(kind, (event) => this.gather(kind, JSON.parse(event.data)));
    }
  }

  restart() {
    this.stop();
    this.start();
  }

  stop() {
    this.source?.close();
    clearInterval(this.poll);
    clearTimeout(this.again);
    this.poll = null;
  }

  setState(live) {
    this.onState(live);
    clearInterval(this.poll);
    this.poll = live ? null : setInterval(() => this.gather('reset', {}), POLL_MS);
  }

  gather(kind, data) {
    this.kinds.add(data.id === undefined ? kind : `${kind}/${data.id}`).add(kind);
    if (data.series_id !== undefined) this.kinds.add(`series/${data.series_id}`);
    // Not put off by the next one: while a series arrives they never end.
    this.timer ??= setTimeout(() => {
      const kinds = this.kinds;
      this.kinds = new Set();
      this.timer = null;
      this.onChange(kinds);
    }, GATHER_MS);
  }
}
