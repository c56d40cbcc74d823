// SPDX-License-Identifier: Apache-2.0
// What the checks of an sCT found, in words, and what somebody who looked says of it.
import { h, tag, table, confirm } from './dom.js';
import { post, may } from './api.js';

const NAMES = {
  'air-outside': 'Air outside the body',
  holes: 'Holes in the body',
  'slice-jump': 'Jumps between slices',
  outline: 'Outline against the source',
  'field-of-view': 'Field of view',
  saturation: 'Saturated values',
  tissue: 'Tissue',
  intensity: 'Intensity of the source',
};
const UNITS = { 1: '', '%': ' %', ml: ' ml', HU: ' HU', mm: ' mm' };

/** The state of a job, and its review where somebody should know of it. */
export function stateTags(job) {
  if (job.held) return [tag('needed', 'held for review')];
  const known = ['accepted', 'rejected', job.state !== 'cancelled' && 'needed'];
  return [tag(job.state, job.stage || undefined), known.includes(job.review) && tag(job.review)];
}

function name(check) {
  const what = check.check === 'intensity' && check.what !== '' ? `percentile ${check.what}` : check.what;
  return `${NAMES[check.check] ?? check.check}${what === '' ? '' : `: ${what}`}`;
}

const digits = (value) => String(Number(value.toPrecision(4)));

function limits({ low, high }) {
  if (low !== null && high !== null) return `${digits(low)} to ${digits(high)}`;
  if (high !== null) return `at most ${digits(high)}`;
  return low !== null ? `at least ${digits(low)}` : 'none';
}

/** The failed ones, in words. */
export const failures = (report) => (report?.checks ?? []).filter((check) => check.verdict === 'failed');

export function checks(report) {
  const order = { failed: 0, passed: 1, measured: 2 };
  const sorted = [...report.checks].sort((a, b) => order[a.verdict] - order[b.verdict]);
  return table(['Verdict', 'Check', 'Value', 'Limit', 'In words'], sorted.map((check) => [
    tag({ failed: 'failed', passed: 'passed', measured: 'measured' }[check.verdict] ?? check.verdict),
    name(check),
    h('span', { class: 'whole' }, check.value === null ? 'not measured' : `${digits(check.value)}${UNITS[check.unit] ?? ` ${check.unit}`}`),
    h('span', { class: 'whole' }, limits(check)),
    check.text,
  ]), 'Nothing was checked.');
}

function targets(job) {
  const names = job.deliveries.filter((d) => !['done', 'failed'].includes(d.state)).map((d) => d.destination);
  return names.length > 0 ? names.join(' and ') : null;
}

/** Buttons for somebody who has looked. */
export function verdicts(job, done) {
  if (!may.operate()) return [];
  const stopped = job.state === 'cancelled' && (job.review === 'rejected' || job.hold);
  const waits = job.held || stopped ? targets(job) : null;
  const button = (verdict, text, look, ask) => job.actions.includes(verdict)
    && h('button', { type: 'button', class: look, onclick: async (event) => {
      const said = await confirm({ ...ask, required: true });
      if (said === null) return;
      event.target.disabled = true;
      await post(`/api/v1/jobs/${job.id}/${verdict}`, { reason: said }).then(() => done(null), done);
    } }, text);
  return [
    button('accept', job.review === 'rejected' ? 'Accept after all' : 'Accept', 'main', {
      title: `Accept the sCT of job ${job.id}?`, action: 'Accept it',
      text: waits ? `You have looked at it, and it is good. It is sent to ${waits}.` : 'You have looked at it, and it is good. It is marked as accepted.' }),
    button('reject', 'Reject', 'danger', {
      title: `Reject the sCT of job ${job.id}?`, action: 'Reject it', danger: true,
      text: job.deliveries.some((d) => d.stored > 0)
        ? 'It is sent nowhere any more. What was delivered stays where it is: tell those who have it.'
        : 'You have looked at it, and it is no good. It is sent nowhere.' }),
  ];
}
