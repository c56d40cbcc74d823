// SPDX-License-Identifier: Apache-2.0
// The small part of Markdown that model cards use: headings, paragraphs, lists, tables, code, bold. Everything is set as text.
import { h } from './dom.js';

function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
    if (part.startsWith('`') && part.length > 2) return h('code', {}, part.slice(1, -1));
    if (part.startsWith('**') && part.length > 4) return h('b', {}, part.slice(2, -2));
    return part;
  });
}

const cells = (line) => line.trim().replace(/^\||\|$/g, '').split('|').map((cell) => cell.trim());

function block(lines) {
  const first = lines[0];
  if (first.startsWith('#')) {
    return h('h3', {}, inline(first.replace(/^#+\s*/, '')));
  }
  if (first.startsWith('|') && lines.length > 1 && /^[\s|:-]+$/.test(lines[1])) {
    return h('div', { class: 'scroll' }, h('table', {}, h('thead', {}, h('tr', {}, cells(first).map((c) => h('th', { scope: 'col' }, inline(c))))),
      h('tbody', {}, lines.slice(2).map((line) => h('tr', {}, cells(line).map((c) => h('td', {}, inline(c))))))));
  }
  if (/^[-*] /.test(first)) {
    const items = [];
    for (const line of lines) {
      if (/^[-*] /.test(line)) items.push(line.slice(2));
      else items[items.length - 1] += ` ${line.trim()}`;
    }
    return h('ul', {}, items.map((item) => h('li', {}, inline(item))));
  }
  return h('p', {}, inline(lines.join(' ')));
}

export function card(text) {
  const blocks = [];
  let lines = [];
  let code = null;
  const end = () => {
    if (lines.length > 0) blocks.push(block(lines));
    lines = [];
  };
  for (const line of text.split('\n')) {
    if (line.startsWith('```')) {
      if (code === null) {
        end();
        code = [];
      } else {
        blocks.push(h('pre', {}, code.join('\n')));
        code = null;
      }
    } else if (code !== null) code.push(line);
    else if (line.trim() === '') end();
    else if (line.startsWith('#')) {
      end();
      blocks.push(block([line]));
    } else lines.push(line);
  }
  end();
  return h('div', {}, blocks);
}
