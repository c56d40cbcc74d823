// SPDX-License-Identifier: Apache-2.0
// Is it well? What is it doing, what went wrong, and what is to be done?
import { h, replace, tag, moment, ago, isLate, bytes, duration, plural, number } from './dom.js';
import { get, seldom } from './api.js';
import { activity } from './charts.js';
import { stateTags } from './review.js';

const DETAILS_MS = 30000;
const MORE_MS = 3000;
const UNDER_WAY_MAX = 10;

function banner(status) {
  const bad = status.checks.filter((check) => !check.ok);
  if (status.draining) {
    return h('div', { class: 'banner warn' }, h('h2', {}, '⚠ The daemon is ending'), h('p', {}, 'What is on its way is finished; nothing new is taken.'));
  }
  if (bad.length > 0) {
    return h('div', { class: 'banner bad' }, h('h2', {}, '✕ Not ready'),
      h('ul', {}, bad.map((check) => h('li', {}, h('b', {}, `${check.name.replace('_', ' ')}: ${check.detail}. `), check.mend))));
  }
  const { failed, poison } = status.jobs;
  const { held, held_since: since, needed } = status.review;
  const down = status.destinations.filter((d) => d.failures > 0 || !d.configured);
  const uncommitted = status.destinations.filter((d) => !down.includes(d) && isLate(d.uncommitted_since));
  const unheard = status.reports_owed.filter((m) => isLate(m.since));
  if (failed + poison + needed + down.length + uncommitted.length + unheard.length > 0) {
    return h('div', { class: 'banner warn' }, h('h2', {}, '⚠ Ready, and somebody should look at this'),
      h('ul', {},
        held > 0 && h('li', {}, h('a', { href: '#/jobs?state=delivering&review=needed' }, `${plural(held, 'sCT is', 'sCTs are')} held for review`), `, the oldest of them made ${ago(since)}: a check failed, and somebody has to look`),
        needed > held && h('li', {}, h('a', { href: '#/jobs?review=needed' }, `${plural(needed - held, 'sCT needs', 'sCTs need')} review`), ' and was not held back'),
        failed > 0 && h('li', {}, h('a', { href: '#/jobs?state=failed' }, plural(failed, 'failed job'))),
        poison > 0 && h('li', {}, h('a', { href: '#/jobs?state=poison' }, plural(poison, 'parked job'))),
        down.map((d) => h('li', {}, h('a', { href: '#/destinations' }, `${d.name} is not reached`), `: ${plural(d.backlog, 'delivery waits', 'deliveries wait')}`)),
        uncommitted.map((d) => h('li', {}, h('a', { href: '#/destinations' }, `${d.name} has not committed the storage of ${plural(d.uncommitted, 'sCT')}`), `, the oldest of them asked for ${ago(d.uncommitted_since)}`)),
        unheard.map((m) => h('li', {}, `${m.ae_title} has not heard its storage commitment (${plural(m.reports, 'report')}), asked for ${ago(m.since)}`))));
  }
  return h('div', { class: 'banner good' }, h('h2', {}, '✓ Ready'), h('p', {}, `It takes series as ${status.ae_title} on port ${status.port}.`));
}

function queue(status) {
  const jobs = status.jobs;
  const bad = jobs.failed + jobs.poison;
  return h('section', { 'aria-label': 'Now' }, h('ul', { class: 'numbers' },
    number(status.series_open, 'series arriving', '#/series?state=open'),
    number(jobs.queued + jobs.retry, 'jobs waiting', `#/jobs?state=${jobs.queued > 0 ? 'queued' : 'retry'}`),
    number(jobs.running, 'running', '#/jobs?state=running'),
    number(jobs.delivering - status.review.held, 'being delivered', '#/jobs?state=delivering'),
    number(jobs.done, 'done', '#/jobs?state=done'),
    number(bad, 'failed or parked', `#/jobs?state=${jobs.failed > 0 ? 'failed' : 'poison'}`, bad > 0 ? 'bad' : ''),
    number(status.review.needed, status.review.needed === 1 ? 'needs review' : 'need review', '#/jobs?review=needed', status.review.needed > 0 ? 'warn' : '')));
}

function running(list) {
  return h('section', { class: 'card' }, h('h2', {}, 'Under way'),
    list.length === 0 ? h('p', { class: 'quiet' }, 'Nothing is being converted or delivered.')
      : h('ul', { class: 'list' }, list.map((job) => h('li', {},
        h('div', { class: 'row' }, h('a', { href: `#/jobs/${job.id}` }, `Job ${job.id}`), stateTags(job),
          h('span', {}, `${job.modality} ${job.series_description}`), h('span', { class: 'quiet small' }, `made ${ago(job.created)}`))))));
}

function destinationList(items) {
  return h('section', { class: 'card' }, h('h2', {}, h('a', { href: '#/destinations' }, 'Destinations')),
    items.length === 0 ? h('p', { class: 'quiet' }, 'The configuration names none: sCTs are kept here.')
      : h('ul', { class: 'list' }, items.map((d) => h('li', {}, h('div', { class: 'row' },
        h('b', {}, d.name),
        d.failures > 0 || !d.configured ? tag('bad', d.configured ? 'not reached' : 'not configured') : isLate(d.uncommitted_since) ? tag('warning', 'not committed') : tag('ok', d.backlog > 0 ? 'busy' : 'well'),
        h('span', { class: 'quiet small' }, d.backlog > 0 ? `${plural(d.backlog, 'delivery', 'deliveries')} under way, ` : '',
          d.uncommitted > 0 ? `${d.uncommitted} stored and not committed, ` : '',
          d.last_success ? `last stored ${ago(d.last_success)}` : 'nothing stored yet')),
      d.failures > 0 && h('p', { class: 'small error' }, d.reason)))));
}

function owedList(items) {
  return items.length > 0 && h('section', { class: 'card' }, h('h2', {}, 'Storage commitment not heard'),
    h('ul', { class: 'list' }, items.map((m) => h('li', {}, h('div', { class: 'row' },
      h('b', {}, m.ae_title), tag(m.reason ? 'warning' : 'waiting', m.reason ? 'not reached' : 'waits'),
      h('span', { class: 'quiet small' }, `${plural(m.reports, 'report')} about ${plural(m.instances, 'instance')}, asked for ${ago(m.since)}`,
        m.next_try_s !== null && `, next try in ${duration(m.next_try_s)}`)),
    m.reason && h('p', { class: 'small error' }, m.reason)))));
}

function modelList(items) {
  return h('section', { class: 'card' }, h('h2', {}, h('a', { href: '#/models' }, 'Models')),
    items.length === 0 ? h('p', { class: 'quiet' }, 'None is imported.')
      : h('ul', { class: 'list' }, items.map((m) => h('li', {}, h('div', { class: 'row' },
        h('a', { href: `#/models/${m.name}@${m.version}` }, `${m.name}@${m.version}`),
        m.error ? tag('bad', 'damaged') : m.in_use ? tag('ok', 'in use') : tag('waiting', 'not in use'),
        h('span', { class: 'quiet small' }, m.modality))))));
}

function trouble(t) {
  return h('li', {}, h('div', { class: 'trouble' }, tag(t.severity), h('b', {}, t.title)), h('p', {}, t.mend),
    h('p', { class: 'small quiet' }, [t.peer && `from ${t.peer}`, t.ae_title && `as ${t.ae_title}`, plural(t.count, 'time')].filter(Boolean).join(', '), ', last ', moment(t.last)));
}

const TROUBLES_SHOWN = 4;

function troubles(items) {
  const list = (some) => h('ul', { class: 'list' }, some.map(trouble));
  return h('section', { class: 'card' }, h('h2', {}, 'What went wrong, and what to do'),
    items.length === 0 ? h('p', { class: 'quiet' }, 'Nothing that somebody should look at.') : list(items.slice(0, TROUBLES_SHOWN)),
    items.length > TROUBLES_SHOWN && h('details', {}, h('summary', {}, `${items.length - TROUBLES_SHOWN} more`), list(items.slice(TROUBLES_SHOWN))));
}

const runsOn = (engine) => h('div', {}, `slot ${engine.slot}: `, !engine.works ? 'cannot work' : engine.backend
  ? `${engine.backend}${engine.device ? ` (${engine.device})` : ''}, ${engine.arithmetic}${engine.fallback ? ', although a GPU is expected' : ''}` : 'nothing loaded');

function machine(status) {
  const disk = status.disk;
  return h('section', { class: 'card' }, h('h2', {}, 'This node'),
    h('dl', { class: 'facts' },
      h('dt', {}, 'Version'), h('dd', {}, status.version),
      h('dt', {}, 'Running for'), h('dd', {}, duration((new Date(status.now) - new Date(status.started)) / 1000)),
      h('dt', {}, 'Associations'), h('dd', {}, `${status.associations.open} of ${status.associations.max}`),
      h('dt', {}, 'Workers'), h('dd', {}, `${status.workers.running} of ${status.workers.slots} busy, precision ${status.workers.precision}`),
      h('dt', {}, 'Engines'), h('dd', {}, status.workers.engines.map(runsOn)),
      h('dt', {}, 'Disk'), h('dd', {}, `${bytes(disk.free_bytes)} of ${bytes(disk.total_bytes)} free (${disk.free_percent.toFixed(0)} %; nothing is taken below ${disk.min_free_percent} %)`),
      h('dt', {}, 'Job store'), h('dd', {}, bytes(status.job_store.database_bytes))));
}

export async function overview(holder, { announce }) {
  const parts = Object.fromEntries(['banner', 'queue', 'running', 'troubles', 'day', 'destinations', 'owed', 'models', 'machine'].map((name) => [name, h('div')]));
  holder.append(h('h1', { class: 'unseen' }, 'Overview'), parts.banner, parts.queue, h('div', { class: 'columns' },
    h('div', {}, parts.running, parts.troubles, parts.day),
    h('div', {}, parts.destinations, parts.owed, parts.models, parts.machine)));

  async function now() {
    const [status, run, deliver] = await Promise.all([get('/api/v1/status'), get('/api/v1/jobs?state=running&limit=10'), get('/api/v1/jobs?state=delivering&limit=50')]);
    replace(parts.banner, banner(status));
    replace(parts.queue, queue(status));
    replace(parts.running, running([...run.items, ...deliver.items.filter((job) => !job.held).slice(0, UNDER_WAY_MAX)]));
    replace(parts.destinations, destinationList(status.destinations));
    replace(parts.owed, owedList(status.reports_owed));
    replace(parts.machine, machine(status));
    announce(status.ready ? `Ready. ${status.jobs.running} running.` : 'Not ready.');
  }
  async function more() {
    const [day, known, wrong] = await Promise.all([get('/api/v1/activity'), get('/api/v1/models'), get('/api/v1/diagnosis')]);
    replace(parts.day, h('section', { class: 'card' }, h('h2', {}, 'The last day'), activity(day)));
    replace(parts.models, modelList(known.items));
    replace(parts.troubles, troubles(wrong.items));
  }
  await Promise.all([now(), more()]);
  const again = seldom(MORE_MS, () => more().catch(() => {}));
  const timer = setInterval(() => Promise.all([now(), more()]).catch(() => {}), DETAILS_MS);
  return {
    update() {
      now().catch(() => {});
      again.run();
    },
    close() {
      clearInterval(timer);
      again.stop();
    },
  };
}
