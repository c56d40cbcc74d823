// SPDX-License-Identifier: Apache-2.0
// The jobs as a table, and one job with all that is known of it.
import { h, replace, tag, moment, duration, table, facts, patient, confirm, paging, plural, filterForm } from './dom.js';
import { get, post, remove, query, may } from './api.js';
import { stages, spent, histogram } from './charts.js';
import { viewer } from './viewer.js';
import { checks, failures, stateTags, verdicts } from './review.js';

const STATES = ['queued', 'retry', 'running', 'delivering', 'done', 'failed', 'poison', 'cancelled'];
const REVIEWS = [['needed', 'needs review'], ['accepted', 'accepted'], ['rejected', 'rejected'], ['passed', 'checks passed'], ['unchecked', 'unchecked']];

const FIELDS = [
  { name: 'state', text: 'State', choices: STATES.map((state) => [state, state === 'poison' ? 'parked' : state]) },
  { name: 'review', text: 'Review', choices: REVIEWS },
  { name: 'source_ae', text: 'From (AE title)' }, { name: 'rule', text: 'Rule' }, { name: 'model', text: 'Model' }];

function jobRow(job) {
  return [
    h('a', { href: `#/jobs/${job.id}` }, String(job.id)),
    h('div', { class: 'tags' }, stateTags(job)),
    patient(job.patient),
    `${job.modality} ${job.series_description}`,
    job.source_ae,
    job.model,
    moment(job.created),
    job.timings ? h('div', {}, stages(job.timings), h('span', { class: 'small quiet' }, duration(spent(job.timings)), job.ended === null && ' so far')) : '–',
  ];
}

export const JOB_HEADINGS = ['Job', 'State', 'Patient', 'Series', 'From', 'Model', 'Made', 'Time spent'];

export async function jobs(holder, { params }) {
  const filter = Object.fromEntries(FIELDS.map(({ name }) => [name, params.get(name)]));
  const list = h('div');
  const pages = h('div', { class: 'row end' });
  const cursor = params.get('cursor');
  async function draw() {
    const page = await get(query('/api/v1/jobs', { ...filter, cursor, limit: 50, timings: true }, true));
    replace(list, table(JOB_HEADINGS, page.items.map(jobRow), 'There is no such job.'));
    replace(pages, paging('jobs', params, page.next));
  }
  holder.append(h('h1', {}, 'Jobs'), h('section', { class: 'card' }, filterForm('jobs', params, FIELDS), list, pages));
  await draw();
  return { update: (kinds) => (kinds.has('job') || kinds.has('reset')) && draw().catch(() => {}) };
}

// One job

function actions(job, done) {
  const button = (name, text, ask, act, danger = false) => job.actions.includes(name)
    && h('button', { type: 'button', class: danger ? 'danger' : name === 'retry' ? 'main' : '', onclick: async (event) => {
      const said = await confirm({ ...ask, danger });
      if (said === null) return;
      event.target.disabled = true;
      try {
        await act(said === '' ? {} : { reason: said });
        done(null);
      } catch (error) {
        done(error);
      }
    } }, text);
  const level = h('select', { name: 'priority' }, [...Array(10).keys()].map((n) =>
    h('option', { value: n, selected: n === job.priority }, n === 0 ? '0, first' : n === 9 ? '9, last' : String(n))));
  return h('div', { class: 'row' },
    verdicts(job, done),
    may.operate() && button('retry', 'Retry', { title: `Retry job ${job.id}?`, text: 'It is queued again with the same input, model and UIDs; what is stored at a destination is not sent twice.', action: 'Retry' },
      (body) => post(`/api/v1/jobs/${job.id}/retry`, body)),
    may.operate() && button('prioritise', 'Priority', { title: `Priority of job ${job.id}`, text: 'Jobs with a lower number go first.', action: 'Set', extra: h('label', {}, 'Priority', level) },
      (body) => post(`/api/v1/jobs/${job.id}/prioritise`, { ...body, priority: Number(level.value) })),
    may.operate() && button('cancel', 'Cancel', { title: `Cancel job ${job.id}?`, text: 'Nothing more is made or delivered of it. It can be retried later.', action: 'Cancel it' },
      (body) => post(`/api/v1/jobs/${job.id}/cancel`, body), true),
    may.administer() && button('delete_result', 'Delete result', { title: `Delete the sCT of job ${job.id} here?`, text: 'Its files are removed from this node. What was delivered stays where it is.', action: 'Delete' },
      () => remove(`/api/v1/jobs/${job.id}/result`), true));
}

function deliveries(job) {
  if (job.deliveries.length === 0) return h('p', { class: 'quiet' }, 'It goes nowhere: the sCT is kept here.');
  return h('ul', { class: 'list' }, job.deliveries.map((d) => h('li', {},
    h('div', { class: 'row' }, h('b', {}, d.destination), tag(d.state, job.held && d.state === 'waiting' ? 'waits for review' : undefined),
      h('span', { class: 'quiet small' }, d.instances > 0 ? `${d.stored} of ${d.instances} stored` : '',
        d.commitment && d.instances > 0 ? `, ${d.committed} committed` : '',
        d.due_s !== null ? `, next try in ${duration(d.due_s)}` : '', d.failures > 0 ? `, ${plural(d.failures, 'failure')} in a row` : '')),
    d.instances > 0 && h('progress', { max: d.instances, value: d.stored, 'aria-label': `stored at ${d.destination}` }),
    d.reason && (d.failures > 0 || ['failed', 'cancelled', 'committing'].includes(d.state)) && h('p', { class: 'small' }, d.reason))));
}

function historyLine(t, i, all) {
  const bad = ['failed', 'poison', 'retry'].includes(t.to) && t.to !== t.from;
  const what = t.from === t.to ? (t.to === 'running' ? t.reason : `${t.to}: ${t.reason}`) : `${t.to}${t.reason ? `: ${t.reason}` : ''}`;
  const next = all.slice(i + 1).find((other) => other.destination === t.destination);
  const took = next ? (new Date(next.at) - new Date(t.at)) / 1000 : null;
  return h('li', { class: bad ? 'bad' : t.to === 'done' ? 'good' : '' },
    h('span', { class: 'small quiet' }, moment(t.at)),
    h('div', {}, t.destination && h('b', {}, `${t.destination} `), what, t.attempt > 1 && h('span', { class: 'small quiet' }, ` (attempt ${t.attempt})`),
      t.detail && h('div', {}, h('code', { class: 'small' }, t.detail))),
    h('span', { class: 'small quiet took' }, took !== null && took > 0 && [h('span', { class: 'unseen' }, 'for '), duration(took)]));
}

function trouble(job, report) {
  if (!job.diagnosis) return null;
  const kind = ['failed', 'poison'].includes(job.state) || job.review === 'rejected' ? 'bad' : 'warn';
  return h('div', { class: `banner ${kind}` }, h('h2', {}, job.diagnosis.title), h('p', {}, h('b', {}, job.reason)),
    job.review !== 'accepted' && failures(report).length > 0 && h('ul', {}, failures(report).map((check) => h('li', {}, check.text))),
    job.deliveries.filter((d) => d.state === 'failed').map((d) => h('p', {}, h('b', {}, `${d.destination}: ${d.reason}`))),
    h('p', {}, job.diagnosis.mend));
}

export async function job(holder, { id, announce }) {
  const head = h('div');
  const pictures = h('section', { class: 'card' }, h('h2', {}, 'Source and sCT'));
  const side = h('section', { class: 'card' });
  const found = h('div');
  const below = h('div', { class: 'grid' });
  const complaint = h('p', { class: 'error', role: 'alert' });
  holder.append(head, complaint, h('div', { class: 'columns' }, h('div', {}, pictures, found, below), h('div', {}, side)));
  let shown = null;
  let images = null;
  let report = null;

  function drawHead(data) {
    replace(head, h('div', { class: 'row head' }, h('h1', {}, `Job ${data.id}`), stateTags(data), actions(data, async (error) => {
      complaint.textContent = error ? error.message : '';
      await draw();
    })), trouble(data, report));
  }
  function drawChecks() {
    replace(found, report && h('section', { class: 'card' }, h('h2', {}, 'Checks of the sCT'), checks(report)));
  }
  function drawSide(data) {
    replace(side, h('h2', {}, 'Facts'), facts([
      ['Patient', patient(data.patient)],
      ['Series', h('a', { href: `#/series/${data.series_id}` }, `${data.modality} ${data.series_description}`)],
      ['From', data.source_ae], ['Rule', data.rule],
      ['Model', h('a', { href: `#/models/${data.model}` }, data.model)],
      ['Weights', h('code', { title: data.model_sha256 }, data.model_sha256.slice(0, 16))],
      ['Computed with', data.engine || null],
      ['Closed by', data.evidence], ['Revision', data.revision], ['Instances', data.outputs], ['Priority', data.priority],
      ['Attempts', data.attempt], ['Made', moment(data.created)], ['Ended', moment(data.ended)],
      ['Reviewed', ['accepted', 'rejected'].includes(data.review) ? moment(data.reviewed) : null],
      ['Superseded by', data.superseded_by && h('a', { href: `#/jobs/${data.superseded_by}` }, `job ${data.superseded_by}`)],
      ['Source UID', h('code', {}, data.series_uid)], ['sCT UID', h('code', {}, data.output_series_uid)],
    ]));
  }
  function drawBelow(data) {
    replace(below,
      h('section', { class: 'card half' }, h('h2', {}, 'Time spent'), stages(data.timings, true), data.timings.total_s !== null && h('p', { class: 'small quiet' }, `${duration(data.timings.total_s)} in all`),
        h('h3', {}, 'Deliveries'), deliveries(data)),
      h('section', { class: 'card half' }, h('h2', {}, 'How often each HU is there'), images?.chart ?? h('p', { class: 'quiet' }, 'There is no sCT yet.')),
      h('section', { class: 'card' }, h('h2', {}, 'History'), h('ol', { class: 'timeline' }, data.history.map(historyLine))));
  }
  async function drawImages(data) {
    const has = data.state === 'done' || data.state === 'delivering' || data.history.some((t) => t.to === 'delivering' || t.to === 'done');
    const key = `${data.revision} ${has}`;
    if (images?.key === key) return;
    images = { key, chart: null };
    const shownViewer = await viewer(`/api/v1/jobs/${data.id}`);
    replace(pictures, h('h2', {}, 'Source and sCT'), shownViewer);
    if (has) {
      const counts = await get(`/api/v1/jobs/${data.id}/histogram`).catch(() => null);
      if (counts?.sct) images.chart = histogram(counts);
    }
  }
  async function draw() {
    const data = await get(query(`/api/v1/jobs/${id}`, {}, true));
    const now = data.held ? 'held for review' : data.state;
    if (shown !== null && shown !== now) announce(`Job ${id} is ${now}`);
    shown = now;
    if (data.review === 'unchecked') report = null;
    else report ??= await get(`/api/v1/jobs/${id}/quality`).catch(() => null);
    drawHead(data);
    drawSide(data);
    drawChecks();
    drawBelow(data);
    await drawImages(data).catch((error) => replace(pictures, h('h2', {}, 'Source and sCT'), h('p', { class: 'quiet' }, error.message)));
    drawBelow(data);
  }
  await draw();
  return { update: (kinds) => (kinds.has(`job/${id}`) || kinds.has('reset')) && draw().catch(() => {}) };
}
