// SPDX-License-Identifier: Apache-2.0
// Slices of a source and its sCT side by side.
import { h } from './dom.js';
import { get, query } from './api.js';

const WINDOWS = [
  ['auto', 'Automatic', null, null],
  ['soft', 'Soft tissue', 40, 400],
  ['bone', 'Bone', 400, 1800],
  ['lung', 'Lung', -600, 1500],
  ['wide', 'All', 500, 3000],
];
const NAMES = { axial: 'Axial', coronal: 'Coronal', sagittal: 'Sagittal' };

/** base: '/api/v1/jobs/7' or a series; withSct: whether an sCT belongs beside the source. */
export async function viewer(base, withSct = true) {
  let images;
  try {
    images = await get(`${base}/images`);
  } catch (error) {
    if (error.status !== 409) throw error;
    return h('p', { class: 'quiet' }, `They cannot be shown: ${error.message}.`);
  }
  const state = { plane: 'axial', window: 'auto', slice: {}, overlay: false };
  for (const p of images.planes) state.slice[p.plane] = Math.floor(p.slices / 2);

  const panes = [];
  if (images.source) panes.push(pane('source', 'Source'));
  if (images.sct) panes.push(pane('sct', 'sCT'));
  const missing = [!images.source && `Source: ${images.source_reason}.`, withSct && !images.sct && `sCT: ${images.sct_reason}.`].filter(Boolean)
    .map((words) => h('p', { class: 'quiet' }, words));
  if (panes.length === 0) return h('div', {}, missing);

  function pane(which, title) {
    const img = h('img', { alt: '' });
    const text = h('figcaption', {}, title);
    const figure = h('figure', {}, img, text);
    img.addEventListener('error', () => {
      text.textContent = `${title}: this picture could not be drawn; move the slider to try again`;
    });
    return { which, title, figure, set(url, words) {
      text.textContent = `${title}, ${words}`;
      img.alt = `${title}, ${words}`;
      img.src = url;
    } };
  }

  const slider = h('input', { type: 'range', min: '0', step: '1', 'aria-label': 'Slice' });
  const place = h('output', { class: 'mono' });

  function plane() {
    return images.planes.find((p) => p.plane === state.plane);
  }
  function draw() {
    const p = plane();
    const slice = state.slice[state.plane];
    const [, name, center, width] = WINDOWS.find(([key]) => key === state.window);
    slider.max = String(p.slices - 1);
    slider.value = String(slice);
    place.textContent = `${slice + 1} / ${p.slices}`;
    slider.setAttribute('aria-valuetext', `slice ${slice + 1} of ${p.slices}`);
    for (const shown of panes) {
      const isHu = shown.which === 'sct' || images.unit === 'HU';
      const which = shown.which === 'source' && state.overlay ? 'overlay' : shown.which;
      shown.set(query(`${base}/preview.png`, { which, plane: state.plane, slice, size: 512, center: isHu ? center : null, width: isHu ? width : null }),
        `${NAMES[state.plane].toLowerCase()} slice ${slice + 1}${isHu && center !== null ? `, ${name.toLowerCase()} (${center} / ${width} HU)` : ''}`);
    }
    for (const button of controls.querySelectorAll('button')) {
      button.setAttribute('aria-pressed', String(state[button.dataset.kind] === button.dataset.value));
    }
  }
  function choice(kind, value, text) {
    return h('button', { type: 'button', 'data-kind': kind, 'data-value': value, onclick: () => {
      state[kind] = value;
      draw();
    } }, text);
  }
  slider.addEventListener('input', () => {
    state.slice[state.plane] = Number(slider.value);
    draw();
  });

  const controls = h('div', {},
    h('div', { class: 'row', role: 'group', 'aria-label': 'Plane' }, images.planes.map((p) => choice('plane', p.plane, NAMES[p.plane]))),
    (images.sct || images.unit === 'HU') && h('div', { class: 'row', role: 'group', 'aria-label': 'Window' }, WINDOWS.map(([key, name]) => choice('window', key, name)),
      images.source && images.sct && h('label', { class: 'inline' }, h('input', { type: 'checkbox', onchange: (event) => {
        state.overlay = event.target.checked;
        draw();
      } }), 'Outline of the sCT on the source')));
  const box = h('div', { class: 'viewer' }, controls, h('div', { class: panes.length === 1 ? 'pictures single' : 'pictures' }, panes.map((p) => p.figure)), missing,
  h('div', { class: 'scroller' }, place, slider),
  images.resampled && h('p', { class: 'small quiet' }, 'It was acquired tilted: what is shown is interpolated.'));
  draw();
  return box;
}
