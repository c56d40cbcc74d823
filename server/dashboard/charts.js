// SPDX-License-Identifier: Apache-2.0
// Small charts, each with its content in words.
import { h, s, duration, plural } from './dom.js';

const STAGES = [
  ['queue_s', 'queue', 'waiting'],
  ['load_s', 'load', 'loading the model'],
  ['assemble_s', 'assemble', 'assembling'],
  ['convert_s', 'convert', 'network'],
  ['write_s', 'write', 'writing'],
  ['deliver_s', 'deliver', 'delivering'],
  ['commit_s', 'commit', 'commitment'],
];

/** How a job's time was spent, as a bar; with its words where there is room. */
export function stages(timings, withLegend = false) {
  const known = STAGES.filter(([key]) => timings[key] !== null && timings[key] > 0);
  const total = known.reduce((sum, [key]) => sum + timings[key], 0);
  const words = known.map(([key, , name]) => `${name} ${duration(timings[key])}`).join(', ');
  if (known.length === 0) return h('span', { class: 'quiet' }, '–');
  const bar = h('div', { class: 'stages', role: 'img', 'aria-label': words, title: words });
  for (const [key, name] of known) {
    const part = h('span', { class: `stage-${name}` });
    part.style.flexGrow = String(Math.max(timings[key] / total, 0.01));
    bar.append(part);
  }
  if (!withLegend) return bar;
  return h('div', {}, bar, h('ul', { class: 'legend' }, known.map(([key, name, text]) =>
    h('li', {}, h('i', { class: `stage-${name}` }), `${text} ${duration(timings[key])}`))));
}

/** Received, done and failed over the last day. */
export function activity(data) {
  const width = 720;
  const height = 190;
  const left = 30;
  const bottom = 22;
  const buckets = data.buckets;
  const most = Math.max(4, ...buckets.map((b) => Math.max(b.received, b.done + b.failed)));
  const step = (width - left) / buckets.length;
  const y = (n) => (height - bottom) * (1 - n / most) + 4;
  const sum = (key) => buckets.reduce((total, b) => total + b[key], 0);
  const words = `In the last ${Math.round(buckets.length * data.bucket_s / 3600)} hours: `
    + `${plural(sum('received'), 'series', 'series')} received, ${plural(sum('done'), 'job')} done `
    + `(${plural(sum('slices'), 'slice')}), ${sum('failed')} failed.`;
  const chart = s('svg', { class: 'chart', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': words });
  for (const n of [0, Math.round(most / 2), most]) {
    chart.append(s('line', { class: 'axis', x1: left, x2: width, y1: y(n), y2: y(n) }),
      s('text', { x: left - 6, y: y(n) + 4, 'text-anchor': 'end' }, String(n)));
  }
  buckets.forEach((b, i) => {
    const x = left + i * step;
    const box = (cls, from, n, offset, w) => n > 0 && chart.append(
      s('rect', { class: cls, x: x + offset, width: Math.max(w, 1), y: y(from + n), height: y(from) - y(from + n) }));
    box('received', 0, b.received, 0, step * 0.4);
    box('done', 0, b.done, step * 0.45, step * 0.45);
    box('failed', b.done, b.failed, step * 0.45, step * 0.45);
    const from = new Date(b.from);
    if (from.getMinutes() === 0 && from.getHours() % 4 === 0) {
      chart.append(s('text', { x, y: height - 4 }, from.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })));
    }
  });
  return h('div', {}, chart, h('ul', { class: 'legend' },
    [['received', 'series received'], ['done', 'jobs done'], ['failed', 'jobs failed']].map(([cls, text]) =>
      h('li', {}, h('i', { class: `swatch-${cls}` }), text))), h('p', { class: 'small quiet' }, words));
}

/** Voxels by HU; the counts span decades, so their logarithm is drawn. */
export function histogram(data) {
  const width = 720;
  const height = 200;
  const bottom = 20;
  const series = [['sct', data.sct], ['source', data.source]].filter(([, counts]) => counts !== null);
  const most = Math.log10(1 + Math.max(1, ...series.flatMap(([, counts]) => counts)));
  const bins = series[0]?.[1].length ?? 1;
  const x = (i) => (i + 0.5) * width / bins;
  const y = (n) => (height - bottom) * (1 - Math.log10(1 + n) / most) + 2;
  const chart = s('svg', { class: 'chart', viewBox: `0 0 ${width} ${height}`, role: 'img',
    'aria-label': 'How many voxels have which HU, on a logarithmic scale' });
  chart.append(s('line', { class: 'axis', x1: 0, x2: width, y1: height - bottom, y2: height - bottom }));
  for (let hu = -1000; hu <= 3000; hu += 500) {
    const at = (hu - data.low_hu) / data.width_hu * width / bins;
    if (at >= 15 && at < width - 20) chart.append(s('text', { x: at, y: height - 4, 'text-anchor': 'middle' }, String(hu)));
  }
  for (const [name, counts] of series) {
    chart.append(s('polyline', { class: `curve-${name}`, points: counts.map((n, i) => `${x(i).toFixed(1)},${y(n).toFixed(1)}`).join(' ') }));
  }
  return h('div', {}, chart, h('ul', { class: 'legend' }, series.map(([name]) =>
    h('li', {}, h('i', { class: `swatch-${name}` }), name === 'sct' ? 'sCT' : 'source'))));
}
