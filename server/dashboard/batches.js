// SPDX-License-Identifier: Apache-2.0
// Batches of old series as a table, and one batch with how far each of its series is.
import { h, replace, tag, momentOf, duration, table, facts, number, paging, stateFilter, plural } from './dom.js';
import { get, query, seldom } from './api.js';
import { buttons } from './acts.js';

// The node counts thousands of series for each answer.
const LIST_MS = 3000;
const ONE_MS = 1000;
const STATES = [['planning', 'looks for its series'], ['running', 'running or paused'], ['done', 'done'], ['failed', 'failed'], ['cancelled', 'cancelled']];
const SERIES_STATES = [['waiting', 'waiting'], ['fetching', 'being fetched'], ['ready', 'here, not begun'], ['converting', 'converting'], ['done', 'converted'],
  ['skipped', 'skipped'], ['failed', 'failed'], ['cancelled', 'cancelled']];

/** All images are here, and something is being made of them, or was. */
const fetched = ({ series }) => series.ready + series.converting + series.done;

function left(batch) {
  if (!['planning', 'running', 'paused'].includes(batch.state) || batch.total === 0) return '';
  return batch.left_ms === null ? ', nobody knows yet how long the rest takes' : batch.left_ms > 0 ? `, about ${duration(batch.left_ms / 1000)} left` : '';
}

const progress = (batch) => `${batch.ended} of ${batch.total} ended${left(batch)}`;

function stateTags(batch) {
  return [tag(batch.state), batch.held > 0 && tag('needed', `${batch.held} held for review`)];
}

function batchRow(batch) {
  const { series } = batch;
  return [
    h('a', { href: `#/batches/${batch.id}` }, String(batch.id)),
    h('div', {}, h('div', { class: 'tags' }, stateTags(batch)), batch.total > 0 && h('span', { class: 'small quiet' }, progress(batch))),
    h('div', {}, batch.name && h('div', {}, h('b', {}, batch.name)), batch.description),
    String(batch.total), String(fetched(batch)), String(series.done), String(series.skipped),
    series.failed > 0 ? h('a', { href: `#/batches/${batch.id}?state=failed` }, tag('failed', String(series.failed))) : '0',
    momentOf(batch.created_ms), batch.created_by,
  ];
}

export async function batches(holder, { params }) {
  const list = h('div');
  const pages = h('div', { class: 'row end' });
  async function draw() {
    const page = await get(query('/api/v1/batches', { state: params.get('state'), cursor: params.get('cursor'), limit: 20 }));
    replace(list, table(['Batch', 'State', 'What was asked for', 'Planned', 'Fetched', 'Converted', 'Skipped', 'Failed', 'Begun', 'By'], page.items.map(batchRow),
      params.size > 0 ? 'There is no such batch.' : 'Nobody has begun one: sctd reprocess, or POST /api/v1/batches.'));
    replace(pages, paging('batches', params, page.next));
  }
  holder.append(h('h1', {}, 'Batches'), h('section', { class: 'card' },
    h('p', { class: 'quiet' }, 'Old series of a PACS or a folder, or held here, that are converted when live work leaves room.'),
    stateFilter('batches', params, STATES), list, pages));
  await draw();
  const again = seldom(LIST_MS, () => draw().catch(() => {}));
  return { update: (kinds) => (kinds.has('batch') || kinds.has('job') || kinds.has('reset')) && again.run(), close: again.stop };
}

// One batch

const ACTIONS = {
  pause: { button: 'Pause', title: 'Pause batch', text: 'No further series of it is begun. What is on its way goes on to its end.', action: 'Pause it' },
  resume: { button: 'Resume', title: 'Resume batch', text: 'It goes on with the series that wait.', action: 'Resume it' },
  cancel: { button: 'Cancel', title: 'Cancel batch', text: 'It ends for good, with its jobs that have no result yet. What was made and delivered stays.', action: 'Cancel it', danger: true },
};

function banner(batch) {
  const look = [
    batch.failures > 0 && h('li', {}, `Its source was not reached, ${plural(batch.failures, 'time')} in a row; it is tried again by itself`,
      batch.request.source.pacs !== undefined && [': see ', h('a', { href: '#/destinations' }, 'Destinations')]),
    batch.held > 0 && h('li', {}, h('a', { href: '#/jobs?state=delivering&review=needed' }, `${plural(batch.held, 'result is', 'results are')} held for review`),
      ': the batch does not end before somebody has decided'),
    batch.series.failed > 0 && h('li', {}, h('a', { href: `#/batches/${batch.id}?state=failed` }, `${batch.series.failed} series failed`), ': the reasons stand beside them'),
  ].filter(Boolean);
  const words = {
    paused: ['warn', '‖ Paused', 'Nothing more of it is begun.'],
    failed: ['bad', '✕ Its series could not be found out', ''],
    cancelled: ['warn', '⊘ Cancelled', 'What was made and delivered before stays.'],
  }[batch.state] ?? (batch.state === 'planning' && batch.actions.includes('resume') && ['warn', '‖ Paused', 'Its series are looked for, and none is begun.']);
  return [
    words && h('div', { class: `banner ${words[0]}` }, h('h2', {}, words[1]), h('p', {}, h('b', {}, batch.reason)), words[2] && h('p', {}, words[2])),
    look.length > 0 && h('div', { class: 'banner warn' }, h('h2', {}, '⚠ Somebody should look at this'), h('ul', {}, look)),
  ];
}

function numbers(batch) {
  const kinds = { failed: 'bad' };
  const shown = SERIES_STATES.filter(([state]) => state !== 'cancelled' || batch.series.cancelled > 0);
  return h('section', { 'aria-label': 'Its series in numbers' }, h('ul', { class: 'numbers' },
    number(batch.total, 'series planned', `#/batches/${batch.id}`),
    shown.map(([state, text]) => number(batch.series[state], text, `#/batches/${batch.id}?state=${state}`, batch.series[state] > 0 ? kinds[state] : ''))));
}

const HIDDEN = 'not shown';
const day = (date) => (date ? `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}` : '');
const shown = (value) => (value === null ? h('span', { class: 'quiet' }, HIDDEN) : value);

function asked(name, { source, select, ...more }) {
  const images = [select.min_images && `at least ${select.min_images}`, select.max_images && `at most ${select.max_images}`].filter(Boolean).join(', ');
  const code = (text) => text && h('code', {}, text);
  return facts([
    ['Name', name],
    ['From', source.pacs !== undefined ? `PACS ${source.pacs}` : source.held ? 'what is held here' : source.folder === null ? ['a folder, ', shown(null)] : code(source.folder)],
    ['Study dates', select.from || select.to ? `${day(select.from) || 'any'} to ${day(select.to) || 'now'}` : ''],
    ['Patient', shown(select.patient)], ['Accession', shown(select.accession)], ['Modality', select.modality],
    ['Description', code(select.description)], ['Station', code(select.station)], ['Protocol', code(select.protocol)], ['Images', images],
    ['Studies named', select.studies], ['Series named', select.series],
    ['Rule', more.rule || 'the first that holds'], ['Model', more.model || 'that of the rule'],
    ['Results go to', more.keep ? 'nowhere, they are kept here' : more.deliver?.join(', ') ?? 'where the rule says'],
    ['Fetched by', more.method && { get: 'C-GET', move: 'C-MOVE' }[more.method]],
    ['Begun', more.force ? 'also what was made before' : ''],
  ]);
}

function course(batch) {
  return facts([
    ['Begun', momentOf(batch.created_ms)], ['By', batch.created_by],
    ['Ended', batch.ended_ms > 0 && momentOf(batch.ended_ms)], ['Last change', [momentOf(batch.changed_ms), ` ${batch.reason}`]],
    ['At a time', `${batch.moves} series`], ['In an hour', batch.per_hour > 0 ? `${batch.per_hour} series at most` : ''],
    ['Hours', batch.hours && `${batch.hours}, the node's local time`],
  ].filter(([, value]) => value !== false));
}

function images(series) {
  if (series.instances > 0) return String(series.instances);
  return h('span', { class: 'whole' }, series.expected >= 0 ? `${series.expected} expected` : '–');
}

function seriesRow(series) {
  const name = `${series.modality} ${series.series_description}`;
  const known = { waiting: 'waiting', done: series.review === 'rejected' ? undefined : 'converted' };
  return [
    h('div', { class: 'tags' }, tag(series.state, known[series.state]), ['needed', 'accepted', 'rejected'].includes(series.review) && tag(series.review)),
    h('div', {}, series.series > 0 ? h('a', { href: `#/series/${series.series}` }, name) : name, h('div', { class: 'small quiet' }, h('code', {}, series.series_uid))),
    h('span', { class: 'whole' }, day(series.study_date) || '–'),
    images(series),
    series.job > 0 ? h('a', { href: `#/jobs/${series.job}` }, String(series.job)) : '–',
    momentOf(series.begun_ms), momentOf(series.ended_ms),
    series.reason || '–',
  ];
}

export async function batch(holder, { id, params, announce }) {
  const parts = Object.fromEntries(['head', 'queue', 'course', 'asked', 'list'].map((name) => [name, h('div')]));
  const pages = h('div', { class: 'row end' });
  const complaint = h('p', { class: 'error', role: 'alert' });
  const series = h('section', { class: 'card' }, h('h2', {}, 'Its series'), stateFilter(`batches/${id}`, params, SERIES_STATES), parts.list, pages);
  holder.append(parts.head, complaint, parts.queue, h('div', { class: 'grid below' },
    h('section', { class: 'card half' }, h('h2', {}, 'How it goes'), parts.course),
    h('section', { class: 'card half' }, h('h2', {}, 'What was asked for'), parts.asked), series));
  let told = null;

  async function done(error) {
    complaint.textContent = error ? error.message : '';
    await draw();
  }
  async function draw() {
    const [data, page] = await Promise.all([get(query(`/api/v1/batches/${id}`, {}, true)),
      get(query(`/api/v1/batches/${id}/series`, { state: params.get('state'), cursor: params.get('cursor'), limit: 50 }))]);
    if (told !== null && told !== data.state) announce(`Batch ${id} is ${data.state}`);
    told = data.state;
    replace(parts.head, h('div', { class: 'row head' }, h('h1', {}, `Batch ${data.id}`), stateTags(data), buttons('batches', data, ACTIONS, done),
      h('a', { href: `/api/v1/batches/${data.id}/report.csv`, download: `batch-${data.id}.csv` }, 'Report (CSV)')), banner(data));
    replace(parts.queue, numbers(data));
    replace(parts.course, data.total > 0 && [h('progress', { max: data.total, value: data.ended, 'aria-label': 'series that have ended' }), h('p', {}, progress(data))], course(data));
    replace(parts.asked, asked(data.name, data.request));
    replace(parts.list, table(['State', 'Series', 'Study date', 'Images', 'Job', 'Begun', 'Ended', 'Reason'], page.items.map(seriesRow),
      data.state === 'planning' ? 'They are being looked for.' : params.size > 0 ? 'There is no such series.' : 'It found none.'));
    replace(pages, paging(`batches/${id}`, params, page.next, 'To the first', 'Further ones'));
  }
  await draw();
  if (params.size > 0) series.scrollIntoView();
  const again = seldom(ONE_MS, () => draw().catch(() => {}));
  return { update: (kinds) => (kinds.has(`batch/${id}`) || kinds.has('job') || kinds.has('reset')) && again.run(), close: again.stop };
}
