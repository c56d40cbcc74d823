// SPDX-License-Identifier: Apache-2.0
// Buttons for what an operator may do with a thing, each of which asks before.
import { h, confirm } from './dom.js';
import { post, may } from './api.js';

/**
 * Those of `acts` that the thing's state allows: {name: {button, title, text, action, danger}}, of a thing at /api/v1/KIND/ID/NAME.
 * done(error or null): it was tried.
 */
export function buttons(kind, thing, acts, done) {
  if (!may.operate()) return [];
  return Object.entries(acts).filter(([name]) => thing.actions.includes(name)).map(([name, { button, title, text, action, danger }]) =>
    h('button', { type: 'button', class: danger ? 'danger' : 'main', onclick: async (event) => {
      const said = await confirm({ title: `${title} ${thing.id}?`, text, action, danger });
      if (said === null) return;
      event.target.disabled = true;
      await post(`/api/v1/${kind}/${thing.id}/${name}`, said === '' ? {} : { reason: said }).then(() => done(null), done);
    } }, button));
}
