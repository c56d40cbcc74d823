// SPDX-License-Identifier: Apache-2.0
// Is it well? What is it doing, what went wrong, and what is to be done?
import { h, replace, tag, moment, ago, bytes, duration, plural } from './dom.js';
import { get } from './api.js';
import { activity } from './charts.js';

const DETAILS_MS = 30000;

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
  const down = status.destinations.filter((d) => d.failures > 0 || !d.configured);
  if (failed + poison + down.length > 0) {
    return h('div', { class: 'banner warn' }, h('h2', {}, '⚠ Ready, and something needs somebody'),
      h('ul', {},
        failed > 0 && h('li', {}, h('a', { href: '#/jobs?state=failed' }, plural(failed, 'failed job'))),
        poison > 0 && h('li', {}, h('a', { href: '#/jobs?state=poison' }, plural(poison, 'parked job'))),
        down.map((d) => h('li', {}, h('a', { href: '#/destinations' }, `${d.name} is not reached`), `: ${plural(d.backlog, 'delivery waits', 'deliveries wait')}`))));
  }
  return h('div', { class: 'banner good' }, h('h2', {}, '✓ Ready'), h('p', {}, `It takes series as ${status.ae_title} on port ${status.port}.`));
}

function number(n, text, href) {
  const inner = [h('b', {}, String(n)), h('span', {}, text)];
  return h('li', {}, href ? h('a', { href }, inner) : inner);
}

function queue(status) {
  const jobs = status.jobs;
  return h('section', { class: 'card half' }, h('h2', {}, 'Now'),
    h('ul', { class: 'numbers' },
      number(status.series_open, 'series arriving', '#/series?state=open'),
      number(jobs.queued + jobs.retry, 'jobs waiting', '#/jobs?state=queued'),
      number(jobs.running, 'running', '#/jobs?state=running'),
      number(jobs.delivering, 'being delivered', '#/jobs?state=delivering'),
      number(jobs.done, 'done', '#/jobs?state=done'),
      number(jobs.failed + jobs.poison, 'failed or parked', '#/jobs?state=failed')));
}

function running(list) {
  return h('section', { class: 'card half' }, h('h2', {}, 'Under way'),
    list.length === 0 ? h('p', { class: 'quiet' }, 'Nothing is being converted or delivered.')
      : h('ul', { class: 'list' }, list.map((job) => h('li', {},
        h('div', { class: 'row' }, h('a', { href: `#/jobs/${job.id}` }, `Job ${job.id}`), tag(job.state, job.stage || undefined),
          h('span', {}, `${job.modality} ${job.series_description}`), h('span', { class: 'quiet small' }, `since ${ago(job.created)}`))))));
}

function destinationList(items) {
  return h('section', { class: 'card half' }, h('h2', {}, h('a', { href: '#/destinations' }, 'Destinations')),
    items.length === 0 ? h('p', { class: 'quiet' }, 'The configuration names none: sCTs are kept here.')
      : h('ul', { class: 'list' }, items.map((d) => h('li', {}, h('div', { class: 'row' },
        h('b', {}, d.name),
        d.failures > 0 || !d.configured ? tag('bad', d.configured ? 'not reached' : 'not configured') : tag('ok', d.backlog > 0 ? 'busy' : 'well'),
        h('span', { class: 'quiet small' }, d.backlog > 0 ? `${plural(d.backlog, 'delivery', 'deliveries')} under way, ` : '',
          d.last_success ? `last stored ${ago(d.last_success)}` : 'nothing stored yet')),
      d.failures > 0 && h('p', { class: 'small error' }, d.reason)))));
}

function modelList(items) {
  return h('section', { class: 'card half' }, h('h2', {}, h('a', { href: '#/models' }, 'Models')),
    items.length === 0 ? h('p', { class: 'quiet' }, 'None is imported.')
      : h('ul', { class: 'list' }, items.map((m) => h('li', {}, h('div', { class: 'row' },
        h('a', { href: `#/models/${m.name}@${m.version}` }, `${m.name}@${m.version}`),
        m.error ? tag('bad', 'damaged') : m.in_use ? tag('ok', 'in use') : tag('waiting', 'not in use'),
        h('span', { class: 'quiet small' }, m.modality))))));
}

function troubles(items) {
  return h('section', { class: 'card' }, h('h2', {}, 'What went wrong lately'),
    items.length === 0 ? h('p', { class: 'quiet' }, 'Nothing that somebody should look at.')
      : h('ul', { class: 'list' }, items.map((t) => h('li', {},
        h('div', { class: 'row' }, tag(t.severity),
          h('b', {}, t.title)),
        h('p', {}, t.mend),
        h('p', { class: 'small quiet' }, [t.peer && `from ${t.peer}`, t.ae_title && `as ${t.ae_title}`, `${plural(t.count, 'time')}`].filter(Boolean).join(', '), ', last ', moment(t.last))))));
}

function machine(status) {
  const disk = status.disk;
  return h('section', { class: 'card half' }, h('h2', {}, 'This node'),
    h('dl', { class: 'facts' },
      h('dt', {}, 'Version'), h('dd', {}, status.version),
      h('dt', {}, 'Running for'), h('dd', {}, duration((new Date(status.now) - new Date(status.started)) / 1000)),
      h('dt', {}, 'Associations'), h('dd', {}, `${status.associations.open} of ${status.associations.max}`),
      h('dt', {}, 'Workers'), h('dd', {}, `${status.workers.running} of ${status.workers.slots} busy, precision ${status.workers.precision}`),
      h('dt', {}, 'Disk'), h('dd', {}, `${bytes(disk.free_bytes)} of ${bytes(disk.total_bytes)} free (${disk.free_percent.toFixed(0)} %; nothing is taken below ${disk.min_free_percent} %)`),
      h('dt', {}, 'Job store'), h('dd', {}, bytes(status.job_store.database_bytes))));
}

export async function overview(holder, { announce }) {
  const parts = { banner: h('div'), now: h('div', { class: 'grid' }), more: h('div', { class: 'grid' }) };
  holder.append(h('h1', { class: 'unseen' }, 'Overview'), parts.banner, parts.now, parts.more);

  async function now() {
    const [status, run, deliver] = await Promise.all([get('/api/v1/status'), get('/api/v1/jobs?state=running&limit=10'), get('/api/v1/jobs?state=delivering&limit=10')]);
    replace(parts.banner, banner(status));
    replace(parts.now, queue(status), running([...run.items, ...deliver.items]), destinationList(status.destinations), machine(status));
    announce(status.ready ? `Ready. ${status.jobs.running} running.` : 'Not ready.');
  }
  async function more() {
    const [day, known, wrong] = await Promise.all([get('/api/v1/activity'), get('/api/v1/models'), get('/api/v1/diagnosis')]);
    replace(parts.more, h('section', { class: 'card half' }, h('h2', {}, 'The last day'), activity(day)), modelList(known.items), troubles(wrong.items));
  }
  await Promise.all([now(), more()]);
  let moreAt = Date.now();
  const timer = setInterval(() => Promise.all([now(), more()]).catch(() => {}), DETAILS_MS);
  return {
    update() {
      now().catch(() => {});
      if (Date.now() - moreAt > 3000) {
        moreAt = Date.now();
        more().catch(() => {});
      }
    },
    close: () => clearInterval(timer),
  };
}
