// SPDX-License-Identifier: Apache-2.0
// The series that came in, and one of them.
import { h, replace, tag, moment, bytes, table, facts, patient, paging, stateFilter } from './dom.js';
import { get, query } from './api.js';
import { buttons } from './acts.js';
import { viewer } from './viewer.js';

export async function seriesList(holder, { params }) {
  const list = h('div');
  const pages = h('div', { class: 'row end' });
  const state = params.get('state') ?? '';
  const cursor = params.get('cursor');
  async function draw() {
    const page = await get(query('/api/v1/series', { state, cursor, limit: 50 }, true));
    replace(list, table(['Series', 'State', 'Patient', 'Description', 'Instances', 'From', 'Arrived', 'Why'], page.items.map((s) => [
      h('a', { href: `#/series/${s.id}` }, String(s.id)), tag(s.state), patient(s.patient), `${s.modality} ${s.series_description}`,
      s.expected === null ? String(s.instances) : `${s.instances} of ${s.expected}`, s.calling_ae, moment(s.first), s.reason,
    ]), 'There is no such series.'));
    replace(pages, paging('series', params, page.next));
  }
  holder.append(h('h1', {}, 'Series'), h('section', { class: 'card' },
    stateFilter('series', params, [['open', 'arriving'], ['closed', 'complete'], ['discarded', 'left alone']]), list, pages));
  await draw();
  return { update: (kinds) => (kinds.has('series') || kinds.has('reset')) && draw().catch(() => {}) };
}

const ACTIONS = {
  complete: { button: 'Complete now', title: 'Complete series', text: 'It is converted as it is now. Instances that come later make a new revision.', action: 'Complete it' },
  discard: { button: 'Discard', title: 'Discard series', text: 'Nothing is made of it. It can be opened again.', action: 'Discard it', danger: true },
  reopen: { button: 'Open again', title: 'Reopen series', text: 'The rules look at it again.', action: 'Open it' },
};

export async function series(holder, { id }) {
  const head = h('div');
  const complaint = h('p', { class: 'error', role: 'alert' });
  const pictures = h('section', { class: 'card half' }, h('h2', {}, 'Images'));
  const side = h('section', { class: 'card half' });
  const jobs = h('section', { class: 'card' });
  holder.append(head, complaint, h('div', { class: 'grid' }, pictures, side, jobs));
  let instances = -1;

  async function done(error) {
    complaint.textContent = error ? error.message : '';
    await draw();
  }
  async function draw() {
    const s = await get(query(`/api/v1/series/${id}`, {}, true));
    replace(head, h('div', { class: 'row head' }, h('h1', {}, `Series ${s.id}`), tag(s.state), buttons('series', s, ACTIONS, done)),
      s.state !== 'closed' && h('div', { class: 'banner warn' }, h('h2', {}, s.state === 'open' ? 'Not complete yet' : 'Nothing is made of it'), h('p', {}, s.completion.reason)));
    replace(side, h('h2', {}, 'Facts'), facts([
      ['Patient', patient(s.patient)], ['Description', `${s.modality} ${s.series_description}`], ['Study', s.study_description], ['Protocol', s.protocol],
      ['Body part', s.body_part], ['Instances', s.expected === null ? `${s.instances} (${bytes(s.bytes)})` : `${s.instances} of ${s.expected} announced (${bytes(s.bytes)})`],
      ['Complete by', `${s.evidence === 'none' ? '' : `${s.evidence}: `}${s.completion.reason}`], ['Revision', s.revision],
      ['From', `${s.calling_ae} at ${s.peer}`], ['Device', [s.manufacturer, s.model_name, s.station].filter(Boolean).join(', ')], ['Image type', s.image_type],
      ['First instance', moment(s.first)], ['Last instance', moment(s.last)], ['Series UID', h('code', {}, s.series_uid)], ['Study UID', h('code', {}, s.study_uid)],
    ]));
    replace(jobs, h('h2', {}, 'Jobs'), table(['Job', 'State', 'Rule', 'Model', 'Made', 'Reason'], s.jobs.map((j) => [
      h('a', { href: `#/jobs/${j.id}` }, String(j.id)), tag(j.state, j.stage || undefined), j.rule, j.model, moment(j.created), j.reason]), 'None was made of it.'));
    if (instances !== s.instances) {
      instances = s.instances;
      try {
        replace(pictures, h('h2', {}, 'Images'), await viewer(`/api/v1/series/${id}`, false));
      } catch (error) {
        replace(pictures, h('h2', {}, 'Images'), h('p', { class: 'quiet' }, error.message));
      }
    }
  }
  await draw();
  return { update: (kinds) => (kinds.has(`series/${id}`) || kinds.has('reset')) && draw().catch(() => {}) };
}
