// SPDX-License-Identifier: Apache-2.0
// Small charts, each with its content in words.
import { h, s, duration, plural } from './dom.js';

const STAGES = [
  ['queue_s', 'queue', 'waiting'],
  ['load_s', 'load', 'loading the model'],
  ['assemble_s', 'assemble', 'assembling'],
  ['convert_s', 'convert', 'network'],
  ['check_s', 'check', 'checking'],
  ['write_s', 'write', 'writing'],
  ['deliver_s', 'deliver', 'delivering'],
  ['commit_s', 'commit', 'commitment'],
];

/** The seconds that are known so far. */
export function spent(timings) {
  return timings.total_s ?? STAGES.reduce((sum, [key]) => sum + (timings[key] ?? 0), 0);
}

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

/** A chart that is drawn for the width that it has, so that its letters keep their size. */
function fitted(height, words, draw) {
  const chart = s('svg', { class: 'chart', height, role: 'img', 'aria-label': words });
  let drawn = 0;
  new ResizeObserver(([entry]) => {
    const width = Math.round(entry.contentRect.width);
    if (width > 0 && width !== drawn) {
      drawn = width;
      chart.replaceChildren();
      draw(chart, width);
    }
  }).observe(chart);
  return chart;
}

const text = (content, x, y, anchor) => s('text', { x, y, 'text-anchor': anchor }, content);

/** Received, done and failed over the last day. */
export function activity(data) {
  const { buckets } = data;
  const height = 190;
  const left = 28;
  const right = 10;
  const bottom = 24;
  const top = 6;
  const most = 2 * Math.ceil(Math.max(4, ...buckets.map((b) => Math.max(b.received, b.done + b.failed))) / 2);
  const y = (n) => top + (height - bottom - top) * (1 - n / most);
  const sum = (key) => buckets.reduce((total, b) => total + b[key], 0);
  const words = `In the last ${Math.round(buckets.length * data.bucket_s / 3600)} hours: `
    + `${plural(sum('received'), 'series', 'series')} received, ${plural(sum('done'), 'job')} done `
    + `(${plural(sum('slices'), 'slice')}), ${sum('failed')} failed.`;

  function draw(chart, width) {
    const step = (width - left - right) / buckets.length;
    const every = width > 600 ? 4 : 8; // hours between two marks
    for (const n of [0, most / 2, most]) {
      chart.append(s('line', { class: 'axis', x1: left, x2: width - right, y1: y(n), y2: y(n) }), text(String(n), left - 6, y(n) + 4, 'end'));
    }
    buckets.forEach((b, i) => {
      const x = left + i * step;
      const from = new Date(b.from);
      const clock = from.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
      const bucket = s('g', {}, s('title', {}, `from ${clock}: ${b.received} received, ${b.done} done, ${b.failed} failed`),
        s('rect', { class: 'bucket', x, y: top, width: step, height: height - bottom - top }));
      const box = (cls, base, n, offset) => n > 0 && bucket.append(
        s('rect', { class: cls, x: x + offset * step, width: Math.max(step * 0.42, 1.5), y: y(base + n), height: y(base) - y(base + n) }));
      box('received', 0, b.received, 0.06);
      box('done', 0, b.done, 0.52);
      box('failed', b.done, b.failed, 0.52);
      chart.append(bucket);
      if (from.getMinutes() === 0 && from.getHours() % every === 0) {
        chart.append(s('line', { class: 'axis', x1: x, x2: x, y1: height - bottom, y2: height - bottom + 4 }), text(clock, x, height - 6, 'middle'));
      }
    });
  }
  return h('div', {}, fitted(height, words, draw), h('ul', { class: 'legend' },
    [['received', 'series received'], ['done', 'jobs done'], ['failed', 'jobs failed']].map(([cls, name]) =>
      h('li', {}, h('i', { class: `swatch-${cls}` }), name))), h('p', { class: 'small quiet' }, words));
}

/** Voxels by HU; the counts span decades, so their logarithm is drawn. */
export function histogram(data) {
  const height = 210;
  const left = 40;
  const right = 8;
  const bottom = 36;
  const top = 8;
  const series = [['sct', 'sCT', data.sct], ['source', 'source', data.source]].filter(([, , counts]) => counts !== null);
  const decades = Math.ceil(Math.log10(1 + Math.max(1, ...series.flatMap(([, , counts]) => counts))));
  const bins = series[0]?.[2].length ?? 1;
  const y = (n) => top + (height - bottom - top) * (1 - Math.log10(1 + n) / decades);
  const words = `Voxels by HU, on a logarithmic scale. ${series.map(([, name, counts]) =>
    `Most of the ${name}: ${Math.round(data.low_hu + (counts.indexOf(Math.max(...counts)) + 0.5) * data.width_hu)} HU`).join('; ')}.`;

  function draw(chart, width) {
    const x = (bin) => left + bin * (width - left - right) / bins;
    for (let decade = 0; decade <= decades; decade += decades > 4 ? 2 : 1) {
      const at = y(10 ** decade - 1);
      chart.append(s('line', { class: 'axis', x1: left, x2: width - right, y1: at, y2: at }),
        text(decade === 0 ? '0' : decade < 3 ? String(10 ** decade) : `${10 ** (decade % 3)}${'kMG'[Math.floor(decade / 3) - 1]}`, left - 6, at + 4, 'end'));
    }
    for (let hu = -1000; hu <= 3000; hu += width > 450 ? 500 : 1000) {
      const at = x((hu - data.low_hu) / data.width_hu);
      if (at >= left && at <= width - right) {
        chart.append(s('line', { class: 'axis', x1: at, x2: at, y1: height - bottom, y2: height - bottom + 4 }),
          text(String(hu).replace('-', '−'), Math.min(at, width - 18), height - bottom + 16, 'middle'));
      }
    }
    chart.append(text('HU', left + (width - left - right) / 2, height - 4, 'middle'));
    for (const [cls, , counts] of series) {
      chart.append(s('polyline', { class: `curve-${cls}`, points: counts.map((n, i) => `${x(i + 0.5).toFixed(1)},${y(n).toFixed(1)}`).join(' ') }));
    }
  }
  return h('div', {}, fitted(height, words, draw), h('ul', { class: 'legend' }, series.map(([cls, name]) =>
    h('li', {}, h('i', { class: `swatch-${cls}` }), name))), h('p', { class: 'small quiet' }, words));
}
