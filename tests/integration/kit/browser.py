# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium on a daemon's dashboard.  What a page must never do is looked for on every page: an error on its
console, a break of its content policy, a request to another origin, a second load."""
import pathlib
import shutil
import time

from playwright.sync_api import sync_playwright

from kit.http import TOKENS

SHOTS = pathlib.Path(__file__).resolve().parents[3] / 'build' / 'screenshots'
SCREENS = [(width, height, dark) for width, height in ((1280, 900), (390, 844)) for dark in (False, True)]
PROGRAM = shutil.which('chromium-headless-shell') or shutil.which('chromium')

# Runs in every document before its own scripts.
WATCH = """
window.watched = [];
document.addEventListener('securitypolicyviolation', (e) => watched.push(`policy: ${e.violatedDirective} ${e.blockedURI}`));
"""

# The worst contrast of the text that is shown, by WCAG 2.2: [ratio, wanted, text] of each that is too low.
CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const ground = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const colour = rgba(getComputedStyle(e).backgroundColor);
      layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255, 1]);
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const bad = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !element.checkVisibility() || element.closest('.unseen, .skip, :disabled, option, script, style')) continue;
    const style = getComputedStyle(element);
    const back = ground(element);
    const front = over(rgba(element.namespaceURI.endsWith('svg') ? style.fill : style.color), back);
    const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize);
    const wanted = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    if (ratio < wanted) bad.push([ratio.toFixed(2), wanted, text.slice(0, 60)]);
  }
  return bad;
}"""

# What a screen reader would stumble over.
STRUCTURE = """() => {
  const bad = [];
  const named = (e) => (e.getAttribute('aria-label') || e.textContent.trim() || (e.labels && [...e.labels].map((l) => l.textContent).join(' ').trim())
    || e.getAttribute('aria-labelledby'));
  const shown = (selector) => [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility());
  if (document.querySelectorAll('h1').length !== 1) bad.push(`${document.querySelectorAll('h1').length} h1`);
  for (const e of shown('button, a[href], input:not([aria-hidden]), select, textarea')) if (!named(e)) bad.push(`no name: ${e.outerHTML.slice(0, 120)}`);
  for (const e of shown('img')) if (!e.hasAttribute('alt')) bad.push(`no alt: ${e.src}`);
  for (const e of document.querySelectorAll('svg, [role=img], [role=region], nav')) {
    if (!e.getAttribute('aria-label') && !e.getAttribute('aria-hidden')) bad.push(`no label: ${e.outerHTML.slice(0, 80)}`);
  }
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  if (new Set(ids).size !== ids.length) bad.push(`an id twice: ${ids}`);
  for (const e of document.querySelectorAll('th')) if (!e.scope) bad.push('th without scope');
  for (const e of document.querySelectorAll('main :is(h1, h2, h3)')) {
    const before = [...document.querySelectorAll('main :is(h1, h2, h3)')];
    const i = before.indexOf(e);
    if (i > 0 && Number(e.tagName[1]) > Number(before[i - 1].tagName[1]) + 1) bad.push(`${e.tagName} after ${before[i - 1].tagName}: ${e.textContent}`);
  }
  if (document.documentElement.scrollWidth > innerWidth) bad.push(`${document.documentElement.scrollWidth} px wide in a window of ${innerWidth}`);
  return bad;
}"""


class Chromium:
    """The browser of a whole test class."""

    def __init__(self):
        self.playwright = sync_playwright().start()
        self.browser = self.playwright.chromium.launch(executable_path=PROGRAM, args=['--no-sandbox'])

    def visit(self, origin, **more):
        return Visit(self.browser, origin, **more)

    def stop(self):
        self.browser.close()
        self.playwright.stop()


class Visit:
    """One person's window, with a cookie jar of its own.  Leave it by `leave`, which says what went wrong."""

    def __init__(self, browser, origin, *, width=1280, height=900, dark=False, reduced_motion='reduce'):
        self.origin = origin
        self.context = browser.new_context(viewport={'width': width, 'height': height}, locale='en-GB', timezone_id='Europe/Vienna',
                                           color_scheme='dark' if dark else 'light', reduced_motion=reduced_motion)
        self.context.set_default_timeout(20000)
        self.page = self.context.new_page()
        self.page.add_init_script(WATCH)
        self.wrong, self.loads, self.allowed = [], 0, []
        self.page.on('console', self._console)
        self.page.on('pageerror', lambda error: self.wrong.append(f'script: {error}'))
        self.page.on('request', self._request)

    def _console(self, message):
        where = message.location.get('url', '')
        # The browser itself notes every answer above 399; these are how the page learns something.
        told = where.endswith('/api/v1/session') or (where.endswith('/images') and '409' in message.text)
        if message.type in ('error', 'warning') and not told \
                and not any(text in f'{message.text} {where}' for text in self.allowed):
            self.wrong.append(f'console: {message.text} {where}')

    def _request(self, request):
        if not request.url.startswith((self.origin + '/', 'data:')):
            self.wrong.append(f'a request to {request.url}')
        if request.is_navigation_request():
            self.loads += 1

    def log_in(self, who):
        self.page.goto(self.origin + '/')
        self.page.get_by_label('Token').fill(TOKENS[who])
        self.page.get_by_role('button', name='Log in').click()
        self.page.get_by_role('navigation').get_by_role('link', name='Overview').wait_for()
        return self.page

    def go(self, place, heading):
        self.page.evaluate('(place) => { location.hash = place; }', f'#/{place}')
        self.page.get_by_role('heading', level=1, name=heading, exact=True).wait_for()
        return self.page

    def settle(self):
        """Until every picture is drawn and nothing is asked any more but the events."""
        end = time.monotonic() + 20
        while not self.page.evaluate('[...document.images].every((i) => i.complete && i.naturalWidth > 0)'):
            assert time.monotonic() < end, 'a picture was not drawn'
            self.page.wait_for_timeout(50)
        self.page.wait_for_timeout(150)

    def check_looks(self, test, name):
        """Once it has settled, a screenshot of the page, and that it is legible, sound and fits."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.settle()
        size, dark = self.page.viewport_size, self.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        shot = f'{size["width"]}-{"dark" if dark else "light"}-{name}'
        self.page.screenshot(path=SHOTS / f'{shot}.png', full_page=True)
        with test.subTest(shot):
            test.assertEqual(self.page.evaluate(CONTRAST), [])
            test.assertEqual(self.page.evaluate(STRUCTURE), [])

    def leave(self):
        wrong = self.wrong + self.page.evaluate('watched')
        self.context.close()
        return wrong
