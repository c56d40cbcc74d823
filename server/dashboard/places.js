// SPDX-License-Identifier: Apache-2.0
// What the node works with: destinations, models, rules; and who did what.
import { h, replace, tag, moment, ago, isLate, bytes, duration, table, facts, confirm, plural, filterForm, paging } from './dom.js';
import { get, post, query, may } from './api.js';
import { card } from './card.js';

// Destinations

export async function destinations(holder) {
  const list = h('div', { class: 'grid' });
  const said = {};
  function one(d) {
    const answer = h('p', { class: 'small', role: 'status' }, said[d.name] ?? '');
    const echo = h('button', { type: 'button', onclick: async () => {
      echo.disabled = true;
      answer.textContent = 'asking …';
      try {
        const result = await post(`/api/v1/destinations/${encodeURIComponent(d.name)}/echo`, {});
        said[d.name] = result.ok ? `✓ it answers in ${duration(result.milliseconds / 1000)}` : `✕ ${result.detail}`;
      } catch (error) {
        said[d.name] = `✕ ${error.message}`;
      }
      await draw();
    } }, 'Echo');
    return h('section', { class: 'card half' },
      h('div', { class: 'row head' }, h('h2', {}, d.name), !d.configured ? tag('bad', 'not configured') : d.failures > 0 ? tag('bad', 'not reached') : isLate(d.uncommitted_since) ? tag('warning', 'not committed') : tag('ok')),
      d.failures > 0 && h('p', { class: 'error' }, d.reason),
      !d.configured && h('p', { class: 'error' }, 'The configuration does not name it any more: add it again, or cancel its jobs.'),
      facts([['AE title', d.ae_title], ['Address', d.configured ? `${d.host} port ${d.port}` : ''], ['Storage commitment', d.storage_commitment ? 'asked for' : 'not asked for'],
        ['Under way', d.backlog > 0 ? plural(d.backlog, 'delivery', 'deliveries') : 'nothing'], ['Oldest of these', d.oldest && moment(d.oldest)],
        ['Not committed yet', d.uncommitted > 0 ? `${plural(d.uncommitted, 'sCT')} of these, the oldest asked for ${ago(d.uncommitted_since)}` : ''],
        ['Last stored', moment(d.last_success)], ['Last failure', d.last_failure && moment(d.last_failure)],
        ['Next try', d.next_try_s !== null ? `in ${duration(d.next_try_s)}` : '']]),
      h('p'), d.configured && may.operate() && h('div', { class: 'row' }, echo, answer));
  }
  async function draw() {
    const { items } = await get('/api/v1/destinations');
    replace(list, items.length === 0 ? h('p', { class: 'quiet' }, 'The configuration names none: sCTs are kept here.') : items.map(one));
  }
  holder.append(h('h1', {}, 'Destinations'), list);
  await draw();
  return { update: () => draw().catch(() => {}) };
}

// Models

export async function models(holder) {
  const { items } = await get('/api/v1/models');
  holder.append(h('h1', {}, 'Models'), h('section', { class: 'card' }, table(['Model', 'State', 'For', 'Description', 'Size', 'Weights'], items.map((m) => [
    h('a', { href: `#/models/${m.name}@${m.version}` }, `${m.name}@${m.version}`),
    h('span', { class: 'row' }, m.error ? tag('bad', 'damaged') : tag('ok', m.in_use ? 'in use' : 'sound'), m.active && items.filter((o) => o.name === m.name).length > 1 && tag('ok', 'active')),
    m.modality, m.error || m.description, bytes(m.weights_bytes), h('code', { title: m.weights_sha256 }, m.weights_sha256.slice(0, 12))]), 'None is imported: sctd model import.')));
  return {};
}

export async function model(holder, { id }) {
  const m = await get(`/api/v1/models/${id}`);
  const answer = h('p', { role: 'status' });
  const act = (text, ask, work, cls = '') => h('button', { type: 'button', class: cls, onclick: async (event) => {
    if (ask && (await confirm(ask)) === null) return;
    event.target.disabled = true;
    answer.textContent = 'working …';
    try {
      answer.textContent = await work();
    } catch (error) {
      answer.textContent = `✕ ${error.message}`;
    }
    event.target.disabled = false;
  } }, text);
  holder.append(h('div', { class: 'row head' }, h('h1', {}, `${m.name}@${m.version}`), m.error ? tag('bad', 'damaged') : tag('ok', m.in_use ? 'in use' : 'sound'),
    may.operate() && act('Verify', null, async () => {
      const result = await post(`/api/v1/models/${id}/verify`, {});
      return result.ok ? '✓ its files are what their hashes say' : `✕ ${result.detail}`;
    }),
    may.administer() && !m.active && act('Activate', { title: `Activate ${m.name}@${m.version}?`, text: 'Rules that name no version get this one from now on; jobs that are made already keep theirs.', action: 'Activate' },
      async () => (await post(`/api/v1/models/${id}/activate`, {})).detail, 'main')),
  answer,
  m.error && h('div', { class: 'banner bad' }, h('h2', {}, 'It cannot be used'), h('p', {}, m.error)),
  m.research_only && h('div', { class: 'banner warn' }, h('h2', {}, 'For research only'), h('p', {}, 'What it makes is marked as such.')),
  h('div', { class: 'grid' },
    h('section', { class: 'card third' }, h('h2', {}, 'Facts'), facts([['Description', m.description], ['For', m.modality], ['Network size', `${m.width} × ${m.height}`], ['Weights', bytes(m.weights_bytes)],
      ['Checks', m.manifest && (m.manifest.quality ? 'its sCTs are judged by the limits in the manifest' : 'none: it has no limits, nothing needs review')],
      ['SHA-256', h('code', {}, m.weights_sha256)]])),
    h('section', { class: 'card two-thirds' }, h('h2', {}, 'Model card'), m.card ? card(m.card) : h('p', { class: 'quiet' }, 'It has none (MODEL_CARD.md beside its files).')),
    m.manifest && h('section', { class: 'card' }, h('details', {}, h('summary', {}, 'Manifest'), h('pre', { class: 'small' }, JSON.stringify(m.manifest, null, 2))))));
  return {};
}

// Rules

const SUBJECT = [['modality', 'Modality'], ['calling_ae_title', 'Calling AE title'], ['station_name', 'Station'], ['manufacturer', 'Manufacturer'],
  ['series_description', 'Series description'], ['body_part_examined', 'Body part'], ['image_type', 'Image type (values by \\)'], ['slices', 'Slices']];

function tested(result) {
  return h('div', {}, h('p', {}, result.rule === null ? '✕ No rule holds: nothing would be done with it.' : result.ignored ? `⊘ Rule “${result.rule}” ignores it.` : `✓ Rule “${result.rule}” converts it.`),
    table(['Rule', 'Holds', 'Why not'], result.rules.map((r) => [r.name, r.holds ? tag('ok', 'yes') : tag('discarded', 'no'), r.why]), ''));
}

export async function rules(holder) {
  const { items } = await get('/api/v1/rules');
  const answer = h('div', { role: 'status' });
  const form = h('form', { onsubmit: async (event) => {
    event.preventDefault();
    const given = Object.fromEntries([...new FormData(form)].filter(([, v]) => v !== ''));
    if (given.slices !== undefined) given.slices = Number(given.slices);
    try {
      replace(answer, tested(await post('/api/v1/rules/test', given)));
    } catch (error) {
      replace(answer, h('p', { class: 'error' }, error.message));
    }
  } }, h('div', { class: 'row filters' }, SUBJECT.map(([name, text]) => h('label', {}, text, h('input', { name, type: name === 'slices' ? 'number' : 'text', min: '0', max: '65536' }))), h('button', { class: 'main' }, 'Test')));
  holder.append(h('h1', {}, 'Rules'), h('div', { class: 'grid' },
    h('section', { class: 'card' }, h('p', { class: 'quiet' }, 'The first whose conditions all hold decides. They stand in sctd.yaml; SIGHUP reads it again.'),
      table(['Rule', 'If', 'Then', 'To', 'What fails a check', 'Priority (higher first)'], items.map((r) => [r.name,
        Object.keys(r.match).length === 0 ? 'always' : h('ul', { class: 'list small' }, Object.entries(r.match).map(([k, v]) => h('div', {}, h('code', {}, `${k}: ${Array.isArray(v) ? v.join('\\') : v}`)))),
        r.ignore ? 'ignore' : r.model, r.destinations.join(', ') || 'kept here',
        r.ignore ? '–' : r.destinations.length === 0 ? 'is marked' : r.review === 'hold' ? 'is held for review' : 'is sent, and marked', String(r.priority)]), 'There are none: nothing is ever made of a series.')),
    h('section', { class: 'card' }, h('h2', {}, 'Which rule would a series meet?'), form, answer)));
  return {};
}

// Audit

const KINDS = ['identity', 'login', 'login-refused', 'logout', 'job-accept', 'job-reject', 'job-retry', 'job-cancel', 'job-prioritise', 'result-delete',
  'series-complete', 'series-discard', 'series-reopen', 'batch-create', 'batch-pause', 'batch-resume', 'batch-cancel', 'model-activate', 'conflict', 'mixed-study'];

function auditFilter(params) {
  const kind = params.get('kind') ?? '';
  const kinds = kind === '' || KINDS.includes(kind) ? KINDS : [kind, ...KINDS];
  return filterForm('audit', params, [
    { name: 'kind', text: 'What', any: 'anything', choices: kinds.map((k) => [k, k]) },
    { name: 'subject', text: 'Of what (id, UID or name)', size: '24', max: '64' },
    { name: 'order', text: 'Order', any: 'newest first', choices: [['oldest', 'oldest first']] }]);
}

export async function audit(holder, { params }) {
  const asked = Object.fromEntries(['kind', 'subject', 'order', 'cursor'].map((name) => [name, params.get(name)]));
  const page = await get(query('/api/v1/audit', { ...asked, limit: 100 }));
  const isRising = asked.order === 'oldest';
  holder.append(h('h1', {}, 'Audit'), h('section', { class: 'card' }, auditFilter(params),
    table(['When', 'What', 'Who', 'Of what', 'Details'], page.items.map((e) => [moment(e.at), e.kind, e.actor || 'the daemon', h('code', {}, e.subject), e.text]), 'There is no such entry.'),
    h('div', { class: 'row end' }, isRising ? paging('audit', params, page.next, 'To the oldest', 'Newer ones') : paging('audit', params, page.next))));
  return {};
}
