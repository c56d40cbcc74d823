// SPDX-License-Identifier: Apache-2.0
// Elements out of plain values, and values out of facts. Text is only ever set as text.

/** h('a', {href: '#x', class: 'y', onclick: f}, 'text', child, [more]) */
export function h(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same of SVG. */
export function s(name, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? '' : String(value));
  }
  element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

const REACHED = 'a[href], button, input, select, summary, [tabindex]';

const sign = (e) => `${e.tagName} ${e.getAttribute('href') ?? e.getAttribute('name') ?? e.getAttribute('aria-label') ?? e.textContent}`;

/** Remember what has the focus within an element; the answer gives it to its like after that was drawn anew. */
export function keepFocus(element) {
  const held = document.activeElement;
  if (held === element || !element.contains(held)) return () => {};
  const wanted = sign(held);
  const alike = () => [...element.querySelectorAll(REACHED)].filter((e) => sign(e) === wanted);
  const which = alike().indexOf(held);
  return () => {
    if (!held.isConnected) alike()[which]?.focus({ preventScroll: true });
  };
}

export function replace(element, ...children) {
  const focus = keepFocus(element);
  element.replaceChildren(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  focus();
}

const STATES = {
  queued: ['quiet', '◷', 'queued'],
  retry: ['warn', '↻', 'tries again'],
  running: ['busy', '●', 'running'],
  delivering: ['busy', '➜', 'delivering'],
  done: ['good', '✓', 'done'],
  failed: ['bad', '✕', 'failed'],
  poison: ['bad', '☠', 'parked'],
  cancelled: ['quiet', '⊘', 'cancelled'],
  waiting: ['quiet', '◷', 'waits for the sCT'],
  sending: ['busy', '➜', 'sending'],
  committing: ['busy', '⧗', 'waits for commitment'],
  open: ['busy', '●', 'arriving'],
  closed: ['good', '✓', 'complete'],
  discarded: ['quiet', '⊘', 'left alone'],
  ok: ['good', '✓', 'well'],
  bad: ['bad', '✕', 'not well'],
  warning: ['warn', '⚠', 'warning'],
  error: ['bad', '✕', 'error'],
  info: ['quiet', 'ⓘ', 'note'],
  needed: ['warn', '⚠', 'needs review'],
  accepted: ['good', '✓', 'accepted'],
  rejected: ['bad', '✕', 'rejected'],
  passed: ['good', '✓', 'passed'],
  measured: ['quiet', '–', 'no limit'],
  planning: ['busy', '●', 'looks for its series'],
  paused: ['warn', '‖', 'paused'],
  fetching: ['busy', '⇣', 'being fetched'],
  ready: ['quiet', '◷', 'here, not begun'],
  converting: ['busy', '●', 'converting'],
  skipped: ['quiet', '↷', 'skipped'],
};

/** A state as icon and word. */
export function tag(state, words) {
  const [kind, icon, text] = STATES[state] ?? ['quiet', '?', state];
  return h('span', { class: `tag ${kind}` }, h('span', { class: 'mark', 'aria-hidden': 'true' }, icon), words ?? text);
}

/** A moment in the reader's own zone; UTC on hovering. */
export function moment(text) {
  if (!text) return h('span', { class: 'quiet' }, '–');
  const date = new Date(text);
  const today = date.toDateString() === new Date().toDateString();
  const shown = today
    ? date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' })
    : date.toLocaleString([], { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
  return h('time', { datetime: text, title: text.replace('T', ' ').replace('Z', ' UTC') }, shown);
}

/** The same of milliseconds since 1970, 0 being never. */
export function momentOf(ms) {
  return moment(ms > 0 ? new Date(ms).toISOString().replace(/\.\d+Z/, 'Z') : null);
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return '–';
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 90) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export function ago(text) {
  if (!text) return 'never';
  const seconds = Math.max(0, (Date.now() - new Date(text)) / 1000);
  return seconds < 10 ? 'just now' : `${duration(seconds)} ago`;
}

const PATIENCE_MS = 600000; // after it storage commitment is asked for again

/** Whether storage commitment that is awaited since then is late; null: none is. */
export function isLate(since) {
  return since !== null && Date.now() - new Date(since) > PATIENCE_MS;
}

export function bytes(n) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) {
    n /= 1000;
    unit += 1;
  }
  return `${n.toFixed(unit > 0 && n < 10 ? 1 : 0)} ${units[unit]}`;
}

export function plural(n, one, many = `${one}s`) {
  return `${n} ${n === 1 ? one : many}`;
}

/** A table whose cells keep their heading where there is no room for columns. */
export function table(headings, rows, empty) {
  if (rows.length === 0) return h('p', { class: 'quiet' }, empty);
  return h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'table' },
    h('table', { class: 'stack' },
      h('thead', {}, h('tr', {}, headings.map((text) => h('th', { scope: 'col' }, text)))),
      h('tbody', {}, rows.map((cells) => h('tr', {},
        cells.map((cell, i) => h('td', { 'data-label': headings[i] }, cell)))))));
}

/** A number and what it counts, within a list of class `numbers`. */
export function number(n, text, href, kind = '') {
  const marks = { bad: '✕ ', warn: '⚠ ' };
  return h('li', { class: kind }, h('a', { href }, h('b', {}, kind && h('span', { 'aria-hidden': 'true' }, marks[kind]), String(n)), h('span', {}, text)));
}

/** The address of a page with other parameters; an empty one is left out. */
function address(place, params, changes) {
  const next = new URLSearchParams(params);
  for (const [key, value] of Object.entries(changes)) {
    if (value) next.set(key, value);
    else next.delete(key);
  }
  return `#/${place}${next.size > 0 ? `?${next}` : ''}`;
}

/** A choice of one state, which stands in the address. states: [[value, text], ...] */
export function stateFilter(place, params, states) {
  return h('form', { class: 'row filters' }, h('label', {}, 'State', h('select', { onchange: (event) => {
    location.hash = address(place, params, { state: event.target.value, cursor: null });
  } }, [['', 'any'], ...states].map(([value, text]) => h('option', { value, selected: value === (params.get('state') ?? '') }, text)))));
}

/** What a list is narrowed to, which stands in the address. fields: a text { name, text, size, max }, or one of
 * { name, text, any, choices: [[value, text], ...] }, where `any` is said of none. */
export function filterForm(place, params, fields) {
  const said = (name) => params.get(name) ?? '';
  const choice = ({ name, any = 'any', choices }) => h('select', { name, onchange: (event) => event.target.form.requestSubmit() },
    [['', any], ...choices].map(([value, text]) => h('option', { value, selected: value === said(name) }, text)));
  const entry = ({ name, size = '14', max }) => h('input', { name, value: said(name), size, maxlength: max });
  return h('form', { class: 'row filters', role: 'search', onsubmit: (event) => {
    event.preventDefault();
    const wanted = new URLSearchParams([...new FormData(event.target)].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value !== ''));
    location.hash = `#/${place}${wanted.size > 0 ? `?${wanted}` : ''}`;
  } }, fields.map((field) => h('label', {}, field.text, field.choices ? choice(field) : entry(field))), h('button', {}, 'Filter'));
}

/** Links to the first page of a list and to the one after this. */
export function paging(place, params, next, first = 'To the newest', more = 'Older ones') {
  return [params.get('cursor') && h('a', { href: address(place, params, { cursor: null }) }, first),
    next && h('a', { href: address(place, params, { cursor: next }) }, more)];
}

export function facts(pairs) {
  return h('dl', { class: 'facts' }, pairs.filter(([, value]) => value !== '' && value !== null && value !== undefined)
    .map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
}

export function patient(p) {
  return p.name !== undefined ? `${p.name.replaceAll('^', ' ').trim()} (${p.id})` : p.pseudonym;
}

/** Ask before something is changed; gives the reason, or null.  required: it is not done without one. */
export function confirm({ title, text, action, danger = false, extra = null, required = false }) {
  if (document.querySelector('dialog[open]')) return Promise.resolve(null); // a key that was pressed twice
  return new Promise((resolve) => {
    const reason = h('input', { name: 'reason', maxlength: '60', autocomplete: 'off', required });
    // Not a submit button: Enter in the reason would take the first of these.
    const no = h('button', { type: 'button', onclick: () => dialog.close('') }, 'No');
    const dialog = h('dialog', { 'aria-labelledby': 'dialog-title' },
      h('form', { method: 'dialog' },
        h('h2', { id: 'dialog-title' }, title),
        h('p', {}, text),
        extra,
        h('label', {}, required ? 'Reason, for the history (no names)' : 'Reason, for the history (may be left empty)', reason),
        h('div', { class: 'row end' },
          no,
          h('button', { value: 'yes', type: 'submit', class: danger ? 'danger' : 'main' }, action))));
    const focus = keepFocus(document.getElementById('main'));
    const before = document.activeElement;
    dialog.addEventListener('close', () => {
      const said = dialog.returnValue === 'yes' ? reason.value : null;
      dialog.remove();
      if (before?.isConnected) before.focus();
      else focus();
      resolve(said);
    });
    document.body.append(dialog);
    dialog.showModal();
    (danger && !required ? no : reason).focus();
  });
}
