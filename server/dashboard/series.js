// SPDX-License-Identifier: Apache-2.0
// The series that came in, and one of them.
import { h, replace, tag, moment, bytes, table, facts, patient, confirm } from './dom.js';
import { get, post, query, may } from './api.js';
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
    replace(pages, cursor && h('a', { href: `#/series${state ? `?state=${state}` : ''}` }, 'To the newest'),
      page.next && h('a', { href: `#/series?${new URLSearchParams({ ...(state && { state }), cursor: page.next })}` }, 'Older ones'));
  }
  holder.append(h('h1', {}, 'Series'), h('section', { class: 'card' },
    h('form', { class: 'row filters' }, h('label', {}, 'State', h('select', { onchange: (event) => {
      location.hash = event.target.value ? `#/series?state=${event.target.value}` : '#/series';
    } }, [['', 'any'], ['open', 'arriving'], ['closed', 'complete'], ['discarded', 'left alone']].map(([value, text]) =>
      h('option', { value, selected: value === state }, text))))), list, pages));
  await draw();
  return { update: (kinds) => (kinds.has('series') || kinds.has('reset')) && draw().catch(() => {}) };
}

const ACTIONS = {
  complete: ['Complete now', 'It is converted as it is now. Instances that come later make a new revision.', 'Complete it', false],
  discard: ['Discard', 'Nothing is made of it. It can be opened again.', 'Discard it', true],
  reopen: ['Open again', 'The rules look at it again.', 'Open it', false],
};

export async function series(holder, { id }) {
  const head = h('div');
  const complaint = h('p', { class: 'error', role: 'alert' });
  const pictures = h('section', { class: 'card half' }, h('h2', {}, 'Images'));
  const side = h('section', { class: 'card half' });
  const jobs = h('section', { class: 'card' });
  holder.append(head, complaint, h('div', { class: 'grid' }, pictures, side, jobs));
  let instances = -1;

  function button(name) {
    const [text, words, action, danger] = ACTIONS[name];
    return h('button', { type: 'button', class: danger ? 'danger' : 'main', onclick: async () => {
      const said = await confirm({ title: `${text}: series ${id}?`, text: words, action, danger });
      if (said === null) return;
      try {
        await post(`/api/v1/series/${id}/${name}`, said === '' ? {} : { reason: said });
        complaint.textContent = '';
      } catch (error) {
        complaint.textContent = error.message;
      }
      await draw();
    } }, text);
  }
  async function draw() {
    const s = await get(query(`/api/v1/series/${id}`, {}, true));
    replace(head, h('div', { class: 'row head' }, h('h1', {}, `Series ${s.id}`), tag(s.state), may.operate() && s.actions.map(button)),
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
