// SPDX-License-Identifier: Apache-2.0
// The frame of every page: who is logged in, where one is, and what is shown again when something changes.
import { h, replace } from './dom.js';
import { session, whoAmI, login, logout, may, whenLoggedOut, Live } from './api.js';
import { overview } from './overview.js';
import { jobs, job } from './jobs.js';
import { seriesList, series } from './series.js';
import { batches, batch } from './batches.js';
import { destinations, models, model, rules, audit } from './places.js';

const main = document.getElementById('main');
const bar = document.getElementById('bar');
const announcer = document.getElementById('announce');

const PAGES = [
  [/^$/, overview, 'Overview'],
  [/^jobs$/, jobs, 'Jobs'],
  [/^jobs\/(\d+)$/, job, 'Job'],
  [/^series$/, seriesList, 'Series'],
  [/^series\/(\d+)$/, series, 'Series'],
  [/^batches$/, batches, 'Batches'],
  [/^batches\/(\d+)$/, batch, 'Batch'],
  [/^destinations$/, destinations, 'Destinations'],
  [/^models$/, models, 'Models'],
  [/^models\/([a-z0-9._@-]+)$/, model, 'Model'],
  [/^rules$/, rules, 'Rules'],
  [/^audit$/, audit, 'Audit'],
];

const NAV = [['', 'Overview'], ['jobs', 'Jobs'], ['series', 'Series'], ['batches', 'Batches'],
  ['destinations', 'Destinations'], ['models', 'Models'], ['rules', 'Rules'], ['audit', 'Audit']];

let page = null; // {update(kinds), close()}
let shows = 0; // so that a page that comes late does not stand over the one that was wanted after it
let isLive = true; // until it is known not to be

/** Say something to those who do not see the page; the same again is said once. */
export function announce(text) {
  if (announcer.textContent !== text) announcer.textContent = text;
}

function place() {
  const [path, search = ''] = location.hash.replace(/^#\/?/, '').split('?');
  return { path, params: new URLSearchParams(search) };
}

function theme(choice) {
  if (choice) document.documentElement.dataset.theme = choice;
  else delete document.documentElement.dataset.theme;
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
}

function drawBar() {
  const { path } = place();
  const top = path.split('/')[0];
  const light = h('button', { type: 'button', onclick: () => {
    const choice = isDark() ? 'light' : 'dark';
    localStorage.setItem('theme', choice);
    theme(choice);
    drawBar();
  } }, isDark() ? 'Light' : 'Dark');
  if (!session.who) {
    replace(bar, h('a', { class: 'brand', href: '#/' }, 'sctd'), h('nav'), h('div', { class: 'tools' }, light));
    return;
  }
  const patients = session.who.identity && h('label', { class: 'inline' },
    h('input', { type: 'checkbox', checked: session.showPatients, onchange: (event) => {
      session.showPatients = event.target.checked;
      show();
    } }), 'Show patients');
  const links = NAV.filter(([key]) => key !== 'audit' || may.administer());
  replace(bar,
    h('a', { class: 'brand', href: '#/' }, 'sctd'),
    h('nav', { 'aria-label': 'Pages' }, links.map(([key, text]) =>
      h('a', { href: `#/${key}`, 'aria-current': key === top ? 'page' : null }, text))),
    h('div', { class: 'tools' },
      !isLive && h('span', { class: 'offline', title: 'Changes do not come by themselves now; the page looks every ten seconds' }, '⚠ not live'),
      patients,
      light,
      h('span', { title: `role: ${session.who.role}` }, session.who.name),
      h('button', { type: 'button', onclick: async () => {
        live.stop();
        await logout().catch(() => {});
        show();
      } }, 'Log out')));
}

function drawLogin() {
  document.title = 'Log in · sctd';
  const token = h('input', { type: 'password', name: 'token', autocomplete: 'current-password', required: true });
  const complaint = h('p', { class: 'error', role: 'alert' });
  const form = h('form', { onsubmit: async (event) => {
    event.preventDefault();
    complaint.textContent = '';
    try {
      await login(token.value.trim());
      live.restart();
      await show();
    } catch (error) {
      complaint.textContent = error.message;
      token.select();
    }
  } },
  h('input', { class: 'unseen', name: 'username', autocomplete: 'username', value: 'sctd', tabindex: '-1', 'aria-hidden': 'true', readonly: true }),
  h('label', {}, 'Token', token),
  complaint,
  h('button', { class: 'main' }, 'Log in'));
  replace(main, h('section', { class: 'card login' },
    h('h1', {}, 'Log in'),
    form,
    h('p', { class: 'small quiet' }, 'Whoever runs this node makes tokens: ', h('code', {}, 'sctd token --name NAME'), '.')));
  token.focus();
}

async function show() {
  shows += 1;
  const mine = shows;
  page?.close?.();
  page = null;
  drawBar();
  if (!session.who) {
    drawLogin();
    return;
  }
  const { path, params } = place();
  for (const [pattern, open, title] of PAGES) {
    const match = path.match(pattern);
    if (match) {
      document.title = `${title} · sctd`;
      const holder = h('div');
      replace(main, holder);
      try {
        const opened = await open(holder, { id: match[1], params, announce });
        if (mine === shows) page = opened;
        else opened.close?.();
      } catch (error) {
        replace(holder, h('div', { class: 'banner bad', role: 'alert' }, h('h2', {}, 'This cannot be shown'), h('p', {}, error.message)));
      }
      return;
    }
  }
  replace(main, h('div', { class: 'banner warn' }, h('h2', {}, 'There is no such page'), h('p', {}, h('a', { href: '#/' }, 'To the overview'))));
}

const live = new Live(
  (kinds) => page?.update?.(kinds),
  (now) => {
    if (now !== isLive) {
      isLive = now;
      drawBar();
    }
  });

whenLoggedOut(() => {
  live.stop();
  show();
});
addEventListener('hashchange', () => {
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
  show();
});

theme(localStorage.getItem('theme'));
try {
  if (await whoAmI()) live.start();
  await show();
} catch (error) {
  replace(main, h('div', { class: 'banner bad', role: 'alert' }, h('h2', {}, 'The server cannot be reached'), h('p', {}, error.message)));
}
