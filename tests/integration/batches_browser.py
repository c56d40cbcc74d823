#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The dashboard's pages of batches in headless Chromium: of one with every kind of end, of one with 1,000 series, of none.
Screenshots go to build/screenshots.
usage: batches_browser.py /path/to/sctd [unittest options]"""
import csv
import os
import pathlib
import signal
import sys
import tempfile
import unittest

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
import pydicom  # noqa: E402
from playwright.sync_api import expect  # noqa: E402
from pydicom.uid import generate_uid  # noqa: E402

from kit import batches as kit  # noqa: E402
from kit import browser  # noqa: E402
from kit.daemon import Daemon, free_port, make_model, make_series  # noqa: E402
from kit.http import Client, section  # noqa: E402
from kit.reviewing import need_review  # noqa: E402

SCTD = None
SCRIPT = '<script>document.title = "caught"</script>'
MANY = 1000
RULE = {'name': 'mr', 'match': {'modality': 'MR', 'min_slices': 5}, 'model': 'small', 'destinations': []}
ARCHIVE = {'name': 'archive', 'ae_title': 'ARCHIVE', 'host': '127.0.0.1', 'port': free_port(), 'get': True}  # nobody answers there


def setUpModule():
    expect.set_options(timeout=20000)
    if browser.PROGRAM is None:
        raise unittest.SkipTest('Chromium is not installed')


def make_mixed(folder):
    """Three series that can be converted, one with a gap, one that no rule wants."""
    for seed in range(1, 5):
        paths = make_series(SCTD, folder / f'mr{seed}', seed=seed, matrix=32, slices=8)
        if seed == 1:
            for path in paths:
                dataset = pydicom.dcmread(path)
                dataset.SeriesDescription = SCRIPT
                dataset.save_as(path)
        if seed == 4:
            paths[3].unlink()
    make_series(SCTD, folder / 'cbct', kind='cbct', seed=5, matrix=32, slices=8)


def make_many(folder):
    """Series of one image each."""
    dataset = pydicom.dcmread(make_series(SCTD, folder, seed=9, matrix=16, slices=1)[0])
    for i in range(1, MANY):
        dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[f'series {i}'])
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[f'image {i}'])
        dataset.SeriesDescription = f'one image {i}'
        dataset.save_as(folder / f'{i}.dcm')


class Case(unittest.TestCase):
    @classmethod
    def start(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.root = pathlib.Path(folder.name)
        make_model(SCTD, cls.root / 'state' / 'models')
        cls.daemon = Daemon(SCTD, cls.root, rules=[RULE], destinations=[ARCHIVE], http=section()).start()
        cls.addClassCleanup(cls.daemon.stop, signal.SIGKILL)
        cls.origin = f'http://127.0.0.1:{cls.daemon.settings["http"]["port"]}'
        cls.api = Client(cls.daemon, 'operate')
        cls.batches = kit.Batches(cls.daemon)
        cls.chromium = browser.Chromium()
        cls.addClassCleanup(cls.chromium.stop)

    @classmethod
    def tearDownClass(cls):
        assert cls.daemon.stop() == 0

    @classmethod
    def post(cls, folder, **more):
        answer = Client(cls.daemon, 'operate').post('/api/v1/batches', {'source': {'folder': str(cls.root / folder)}} | more)
        assert answer.status == 201, answer.body
        return answer.json['id']

    @classmethod
    def wait_for(cls, batch, *states):
        return cls.api.wait(f'/api/v1/batches/{batch}', lambda b: b['state'] in states, timeout=120)

    def visit(self, who='operate', **more):
        visit = self.chromium.visit(self.origin, **more)
        self.addCleanup(lambda: self.assertEqual(visit.leave(), []))
        visit.log_in(who)
        return visit

    def check_row(self, row, *cells):
        """Each cell as a person reads it, without its heading."""
        found = row.get_by_role('cell')
        for i, text in cells:
            expect(found.nth(i)).to_have_text(text)


class Nothing(Case):
    @classmethod
    def setUpClass(cls):
        cls.start()

    def test_the_page_says_how_one_is_begun_and_shows_it_as_it_comes(self):
        visit = self.visit('view')
        page = visit.go('batches', 'Batches')
        expect(page.locator('#main')).to_contain_text('Nobody has begun one: sctd reprocess')
        visit.check_looks(self, 'batches-none')
        visit.go('batches?state=done', 'Batches')
        expect(page.get_by_text('There is no such batch.')).to_be_visible()
        visit.allowed = ['404']
        page.evaluate('() => { location.hash = "#/batches/99"; }')
        expect(page.get_by_role('alert')).to_contain_text('there is no batch 99')
        visit.go('batches', 'Batches')
        (self.root / 'empty').mkdir()
        batch = self.post('empty', name=SCRIPT)
        self.check_row(page.get_by_role('row').nth(1), (0, str(batch)), (1, '✓done'), (2, f'{SCRIPT}folder'), (3, '0'), (9, 'operate'))
        visit.go(f'batches/{batch}', f'Batch {batch}')
        expect(page.get_by_text('It found none.')).to_be_visible()
        self.assertEqual(visit.loads, 1)


class Away(Case):
    """The PACS does not answer."""

    @classmethod
    def setUpClass(cls):
        cls.start()

    def test_what_is_held_for_review_is_told(self):
        make_series(SCTD, self.root / 'one', matrix=32, slices=8)
        batch = self.post('one', deliver=['archive'])
        job = self.api.wait('/api/v1/jobs', lambda page: page['items'], state='delivering')['items'][0]['id']
        visit = self.visit('view')
        page = visit.go(f'batches/{batch}', f'Batch {batch}')
        expect(page.get_by_role('row').nth(1)).to_contain_text('converting')
        expect(page.locator('.banner')).to_have_count(0)
        need_review(self.daemon, job)
        visit.go('batches', 'Batches')
        expect(page.get_by_role('row').filter(has_text='1 held for review')).to_have_count(1)
        visit.go(f'batches/{batch}', f'Batch {batch}')
        expect(page.locator('h1 ~ .tag')).to_have_text(['●running', '⚠1 held for review'])
        expect(page.get_by_role('row').nth(1)).to_contain_text('held for review')
        visit.check_looks(self, 'batches-held')
        page.locator('.banner').get_by_role('link', name='1 result is held for review').click()
        expect(page.get_by_role('row').filter(has_text='held for review')).to_have_count(1)

    def test_a_patient_is_named_on_demand_only_and_a_pacs_that_is_away_is_told(self):
        answer = self.api.post('/api/v1/batches', {'source': {'pacs': 'archive'}, 'select': {'patient': SCRIPT, 'from': '20240101', 'min_images': 20},
                                                   'name': 'one', 'model': 'small@1', 'keep': True, 'moves': 2, 'method': 'get'})
        self.api.wait(f'/api/v1/batches/{answer.json["id"]}', lambda b: b['failures'] > 0)
        visit = self.visit('physicist')
        page = visit.go('batches', 'Batches')
        expect(page.get_by_role('row').filter(has_text='one patient')).to_contain_text('looks for its series')
        self.assertNotIn(SCRIPT, page.locator('#main').inner_text())
        visit.go(f'batches/{answer.json["id"]}', f'Batch {answer.json["id"]}')
        expect(page.locator('.banner')).to_contain_text('Its source was not reached')
        asked = page.locator('dl').nth(1)
        expect(asked).to_have_text('NameoneFromPACS archiveStudy dates2024-01-01 to nowPatientnot shownImagesat least 20Rulethe first that holds'
                                   'Modelsmall@1Results go tonowhere, they are kept hereFetched byC-GET')
        self.assertNotIn('caught', page.content())
        page.get_by_label('Show patients').check()
        expect(asked).to_contain_text(f'Patient{SCRIPT}')
        self.assertEqual(page.title(), 'Batch · sctd')
        visit.check_looks(self, 'batches-patient')
        expect(page.get_by_role('button', name='Cancel')).to_have_count(0)


class Shown(Case):
    """Batch 1 of the command line has ended; batch 2 has 1,000 series that wait."""

    @classmethod
    def setUpClass(cls):
        cls.start()
        make_mixed(cls.root / 'mixed')
        make_many(cls.root / 'many')
        first = cls.batches.begin('--folder', cls.root / 'mixed', '--name', SCRIPT)
        second = cls.post('many', name='many', hold=True, per_hour=1, hours='20:00-06:00')
        assert (first, second) == (1, 2)
        cls.mixed = cls.wait_for(1, 'done')
        cls.wait_for(2, 'paused')
        cls.jobs = {s['state']: s['job'] for s in cls.api.get('/api/v1/batches/1/series').json['items']}

    def test_the_list_tells_how_far_each_is(self):
        page = self.visit('view').go('batches', 'Batches')
        rows = page.get_by_role('row')
        expect(rows).to_have_count(3)
        expect(rows.nth(0)).to_have_text('BatchStateWhat was asked forPlannedFetchedConvertedSkippedFailedBegunBy')
        self.check_row(rows.nth(1), (0, '2'), (2, 'manyfolder'), (3, '1000'), (4, '0'), (5, '0'), (6, '0'), (7, '0'), (9, 'operate'))
        expect(rows.nth(1).get_by_role('cell').nth(1)).to_contain_text('‖paused0 of 1000 ended, about 42 days left')
        self.check_row(rows.nth(2), (1, '✓done5 of 5 ended'), (2, SCRIPT + 'folder'), (3, '5'), (4, '3'), (5, '3'), (6, '1'), (7, '✕1'), (9, 'operator'))
        page.get_by_label('State').select_option('done')
        expect(rows).to_have_count(2)
        rows.nth(1).get_by_role('link').last.click()
        expect(page.get_by_role('heading', level=1)).to_have_text('Batch 1')
        expect(page.get_by_label('State')).to_have_value('failed')
        page.go_back()
        expect(page.get_by_label('State')).to_have_value('done')
        self.assertEqual(page.evaluate('document.title'), 'Batches · sctd')

    def test_a_batch_tells_what_became_of_each_series_and_leads_to_it(self):
        visit = self.visit('view')
        page = visit.go('batches/1', 'Batch 1')
        rows = page.get_by_role('row')
        expect(rows).to_have_count(6)
        script = rows.filter(has_text=SCRIPT)
        expect(script).to_contain_text('converted')
        self.assertEqual(page.evaluate('document.title'), 'Batch · sctd')
        numbers = page.get_by_label('Its series in numbers').get_by_role('listitem')
        expect(numbers).to_have_text(['5series planned', '0waiting', '0being fetched', '0here, not begun', '0converting', '3converted', '1skipped', '✕ 1failed'])
        expect(rows.filter(has_text='skipped')).to_contain_text('no rule holds')
        expect(page.locator('.banner')).to_contain_text('1 series failed')
        page.locator('.banner').get_by_role('link').click()
        expect(rows).to_have_count(2)
        expect(rows.nth(1)).to_contain_text('missing-slice')
        rows.nth(1).get_by_role('link').last.click()
        expect(page.get_by_role('heading', level=1)).to_have_text(f'Job {self.jobs["failed"]}')
        page.go_back()
        rows.nth(1).get_by_role('link').first.click()
        expect(page.get_by_role('heading', level=1)).to_contain_text('Series')
        self.assertEqual(visit.loads, 1)

    def test_its_report_is_taken_home(self):
        page = self.visit('view').go('batches/1', 'Batch 1')
        with page.expect_download() as waits:
            page.get_by_role('link', name='Report (CSV)').click()
        self.assertEqual(waits.value.suggested_filename, 'batch-1.csv')
        with open(waits.value.path(), encoding='utf-8', newline='') as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(sorted(r['state'] for r in rows), ['done', 'done', 'done', 'failed', 'skipped'])
        self.assertIn(SCRIPT, [r['series_description'] for r in rows])

    def test_a_thousand_series_come_in_pages(self):
        visit = self.visit('view')
        page = visit.go('batches/2', 'Batch 2')
        rows = page.get_by_role('row')
        seen = []
        while True:
            expect(rows.nth(1)).to_contain_text('one image' if seen else 'MR')
            expect(page.get_by_role('link', name='To the first')).to_have_count(1 if seen else 0)
            found = page.locator('td code').all_inner_texts()
            self.assertNotEqual(found[:1], seen[-50:-49])
            seen += found
            more = page.get_by_role('link', name='Further ones')
            if more.count() == 0:
                break
            more.click()
            expect(page.locator('td code').first).not_to_have_text(found[0])
        self.assertEqual((len(seen), len(set(seen))), (MANY, MANY))
        page.get_by_label('State').select_option('done')  # from the first again
        expect(page.get_by_text('There is no such series.')).to_be_visible()
        self.assertNotIn('cursor', page.url)
        self.assertEqual(visit.loads, 1)

    def test_who_only_looks_has_no_button(self):
        page = self.visit('view').go('batches/2', 'Batch 2')
        expect(page.get_by_role('heading', name='Paused')).to_be_visible()
        for name in ('Pause', 'Resume', 'Cancel'):
            expect(page.get_by_role('button', name=name)).to_have_count(0)

    def test_a_folder_is_named_to_those_who_may_see_patients(self):
        visit = self.visit('physicist')
        page = visit.go('batches/2', 'Batch 2')
        expect(page.get_by_text('a folder, not shown')).to_be_visible()
        self.assertNotIn(str(self.root), page.content())
        page.get_by_label('Show patients').check()
        expect(page.get_by_text(str(self.root / 'many'))).to_be_visible()
        self.assertIn('Hours20:00-06:00', page.locator('dl').first.inner_text().replace('\n', ''))
        told = Client(self.daemon, 'admin').get('/api/v1/audit', kind='identity', subject='2').json['items']
        self.assertEqual({e['actor'] for e in told}, {'physicist'})

    def test_every_page_is_legible_sound_and_fits(self):
        for width, height, dark in browser.SCREENS:
            visit = self.visit('operate', width=width, height=height, dark=dark)
            for place, heading in (('batches', 'Batches'), ('batches/1', 'Batch 1'), ('batches/2', 'Batch 2'), ('batches/2?cursor=60', 'Batch 2')):
                visit.go(place, heading)
                visit.check_looks(self, place.replace('/', '-').replace('?cursor=', '-after-'))


class Acts(Case):
    @classmethod
    def setUpClass(cls):
        cls.start()
        make_many(cls.root / 'many')

    def test_it_is_paused_resumed_and_cancelled_by_hand(self):
        batch = self.post('many', hold=True, per_hour=1)
        self.wait_for(batch, 'paused')
        visit = self.visit()
        page = visit.go(f'batches/{batch}', f'Batch {batch}')
        state, dialog = page.locator('h1 ~ .tag'), page.get_by_role('dialog')
        expect(state).to_have_text(['‖paused'])
        expect(page.get_by_role('button', name='Pause')).to_have_count(0)
        resume = page.get_by_role('button', name='Resume')
        resume.focus()
        page.keyboard.press('Enter')
        page.keyboard.press('Escape')
        expect(dialog).to_have_count(0)
        expect(state).to_have_text(['‖paused'])
        page.keyboard.press('Enter')
        page.get_by_label('Reason').fill('the archive is idle')
        page.keyboard.press('Enter')
        expect(state).to_have_text(['●running'])
        expect(page.locator('.banner')).to_have_count(0)
        expect(page.locator('dl').first).to_contain_text('the archive is idle')
        expect(page.get_by_label('Its series in numbers').get_by_role('listitem').filter(has_text='waiting')).to_have_text(f'{MANY - 1}waiting')

        page.get_by_role('button', name='Pause').click()
        page.get_by_label('Reason').fill(SCRIPT)
        page.get_by_role('button', name='Pause it').click()
        expect(state).to_have_text(['‖paused'])
        expect(page.locator('.banner')).to_contain_text(SCRIPT)
        expect(page.locator('#announce')).to_have_text(f'Batch {batch} is paused')
        self.assertEqual(self.api.post(f'/api/v1/batches/{batch}/resume', {'reason': 'somebody else'}).status, 200)
        expect(state).to_have_text(['●running'])  # without a reload

        page.get_by_role('button', name='Cancel').click()
        expect(dialog.get_by_role('button', name='No')).to_be_focused()
        expect(dialog).to_contain_text('What was made and delivered stays')
        visit.check_looks(self, 'batches-cancel')
        page.get_by_label('Reason').fill(SCRIPT)
        page.get_by_role('button', name='Cancel it').click()
        expect(state).to_have_text(['⊘cancelled'])
        expect(page.locator('.banner')).to_contain_text(SCRIPT)
        expect(page.get_by_role('row').filter(has_text=SCRIPT)).to_have_count(49)
        for name in ('Pause', 'Resume', 'Cancel'):
            expect(page.get_by_role('button', name=name)).to_have_count(0)
        visit.settle()
        self.assertEqual(page.locator('script').count(), page.locator('head script').count())
        self.assertEqual(page.title(), 'Batch · sctd')
        self.assertEqual(visit.loads, 1)
        said = Client(self.daemon, 'admin').get('/api/v1/audit', subject=str(batch)).json['items']
        self.assertEqual([(e['kind'], e['actor']) for e in said], [('batch-cancel', 'operate'), ('batch-resume', 'operate'), ('batch-pause', 'operate'),
                                                                 ('batch-resume', 'operate'), ('batch-create', 'operate')])

    def test_what_its_state_does_not_allow_any_more_is_told(self):
        batch = self.post('many', name='late', hold=True)
        self.wait_for(batch, 'paused')
        visit = self.visit()
        visit.allowed = ['409']
        page = visit.go(f'batches/{batch}', f'Batch {batch}')
        page.get_by_role('button', name='Resume').click()
        self.assertEqual(self.api.post(f'/api/v1/batches/{batch}/cancel').status, 200)
        expect(page.locator('h1 ~ .tag')).to_have_text(['⊘cancelled'])
        page.get_by_role('button', name='Resume it').click()
        expect(page.get_by_role('alert')).to_contain_text('it is not paused, or has ended')

    def test_a_series_travels_to_its_end_without_a_reload(self):
        make_mixed(self.root / 'mixed')
        batch = self.post('mixed', hold=True)
        self.wait_for(batch, 'paused')
        visit = self.visit()
        page = visit.go(f'batches/{batch}', f'Batch {batch}')
        expect(page.get_by_role('row').filter(has_text='waiting')).to_have_count(5)
        page.get_by_role('button', name='Resume').click()
        page.get_by_role('button', name='Resume it').click()
        page.locator('h1 ~ .tag', has_text='done').wait_for(timeout=120000)
        expect(page.get_by_role('row').filter(has_text='converted')).to_have_count(3)
        expect(page.get_by_text('5 of 5 ended')).to_be_visible()
        self.assertEqual(visit.loads, 1)


if __name__ == '__main__':
    SCTD = os.path.abspath(sys.argv.pop(1))
    unittest.main()
