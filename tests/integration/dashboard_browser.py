#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The dashboard in headless Chromium, on a daemon with the demo model and a PACS: what a person sees and does there.
Screenshots go to build/screenshots.
usage: dashboard_browser.py /path/to/sctd [unittest options]"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
import unittest

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
import pydicom  # noqa: E402
from playwright.sync_api import expect  # noqa: E402
from pynetdicom import AE  # noqa: E402

from kit import browser  # noqa: E402
from kit import reactor  # noqa: E402,F401
from kit.daemon import Daemon, free_port, make_series  # noqa: E402
from kit.delivering import Pacs  # noqa: E402
from kit.http import Client, section  # noqa: E402
from kit.reviewing import REPORT, need_review  # noqa: E402

SCTD = None
ROOT = pathlib.Path(__file__).resolve().parents[2]
NAME, PATIENT = 'CANARY^PETRA', 'MRN-4711-CANARY'
DESCRIPTION = '<img src=x onerror=alert(1)> T1 & T2'
PAGES = [('', 'Overview'), ('jobs', 'Jobs'), ('jobs/1', 'Job 1'), ('jobs/2', 'Job 2'), ('series', 'Series'), ('series/3', 'Series 3'),
         ('destinations', 'Destinations'), ('models', 'Models'), ('models/phantom-demo-mr@1', 'phantom-demo-mr@1'), ('rules', 'Rules'),
         ('audit', 'Audit')]


def setUpModule():
    expect.set_options(timeout=20000)
    if browser.PROGRAM is None:
        raise unittest.SkipTest('Chromium is not installed')


def store(daemon, paths, pause=0.0, calling='MR_SCANNER'):
    """As a scanner that takes its time."""
    ae = AE(ae_title=calling)
    sets = [pydicom.dcmread(p) for p in paths]
    for sop_class in sorted({d.SOPClassUID for d in sets}):
        ae.add_requested_context(sop_class, '1.2.840.10008.1.2.1')
    association = ae.associate('127.0.0.1', daemon.port, ae_title='SCTD')
    assert association.is_established, 'the daemon takes no association'
    for dataset in sets:
        assert association.send_c_store(dataset).Status == 0
        time.sleep(pause)
    association.release()


class Hospital:
    """A daemon with two models, a PACS, and a destination that nobody answers for."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        root = pathlib.Path(self.folder.name)
        self.root = root
        models = root / 'models'
        shutil.copytree(ROOT / 'deploy' / 'models', models, ignore=shutil.ignore_patterns('training', '*.md'))
        shutil.copy(ROOT / 'deploy' / 'models' / 'MODEL_CARD.md', models / 'phantom-demo-mr@1')
        for path in models.glob('*/manifest.json'):  # the small images here cut the patient off, which would be held
            manifest = json.loads(path.read_text())
            manifest.pop('quality', None)
            path.write_text(json.dumps(manifest))
        self.refuses, self.pause, self.series = False, 0.0, 0
        self.pacs = Pacs(self._answer)
        local = {'host': '127.0.0.1', 'no_storage_commitment': True}
        rule = {'model': 'phantom-demo-mr', 'destinations': ['pacs']}
        self.daemon = Daemon(SCTD, root, models_dir=str(models), http=section(), rules=[
            {'name': 'head-mr', 'match': {'modality': 'MR', 'min_slices': 5, 'calling_ae_title': 'MR_SCANNER'}} | rule,
            {'name': 'research', 'match': {'modality': 'MR', 'calling_ae_title': 'MR_LAB'}} | rule | {'destinations': ['archive']}],
            destinations=[{'name': 'pacs', 'ae_title': 'PACS', 'port': self.pacs.port} | local,
                          {'name': 'archive', 'ae_title': 'ARCHIVE', 'port': free_port()} | local])
        self.origin = f'http://127.0.0.1:{self.daemon.settings["http"]["port"]}'
        self.daemon.start()
        self.api = Client(self.daemon, 'admin')

    def _answer(self, _n, _event):
        time.sleep(self.pause)
        return 0xA900 if self.refuses else 0

    def phantom(self, slices=12, matrix=64, description='T1 mprage'):
        """A new series of a patient whose name is looked for."""
        self.series += 1
        paths = make_series(SCTD, self.root / f'series-{self.series}', seed=self.series, matrix=matrix, slices=slices)
        for path in paths:
            dataset = pydicom.dcmread(path)
            dataset.PatientName, dataset.PatientID, dataset.SeriesDescription = NAME, PATIENT, description
            dataset.save_as(path)
        return paths

    def wait_job(self, number, *states):
        return self.api.wait(f'/api/v1/jobs/{number}', lambda job: job['state'] in states)

    def stop(self):
        status = self.daemon.stop()
        self.pacs.stop()
        self.folder.cleanup()
        return status


class Case(unittest.TestCase):
    """A daemon with job 1 done, job 2 refused for a missing slice, series 3 wanted by no rule, job 3 that waits."""

    @classmethod
    def setUpClass(cls):
        cls.hospital = hospital = Hospital()
        cls.addClassCleanup(hospital.daemon.stop, signal.SIGKILL)
        store(hospital.daemon, hospital.phantom(24, 128, DESCRIPTION))
        hospital.wait_job(1, 'done')
        gap = hospital.phantom()
        store(hospital.daemon, gap[:5] + gap[6:])
        hospital.wait_job(2, 'failed')
        store(hospital.daemon, hospital.phantom(4))
        hospital.api.wait('/api/v1/series', lambda page: page['items'], state='discarded')
        store(hospital.daemon, hospital.phantom(), calling='MR_LAB')
        hospital.wait_job(3, 'delivering')
        cls.chromium = browser.Chromium()
        cls.addClassCleanup(cls.chromium.stop)

    @classmethod
    def tearDownClass(cls):
        assert cls.hospital.stop() == 0

    def visit(self, who='operate', **more):
        visit = self.chromium.visit(self.hospital.origin, **more)
        self.addCleanup(lambda: self.assertEqual(visit.leave(), []))
        if who is not None:
            visit.log_in(who)
        return visit


class Sessions(Case):
    def test_a_wrong_token_is_told_and_the_right_one_is_kept_over_a_reload(self):
        visit = self.visit(None)
        page = visit.page
        page.goto(visit.origin + '/#/jobs/1')
        page.get_by_label('Token').fill('sctd_' + '0' * 64)
        page.keyboard.press('Enter')
        expect(page.get_by_role('alert')).to_contain_text('token')
        page.get_by_label('Token').fill(browser.TOKENS['operate'])
        page.keyboard.press('Enter')
        expect(page.get_by_role('heading', level=1)).to_have_text('Job 1')
        page.reload()
        expect(page.get_by_role('heading', level=1)).to_have_text('Job 1')
        self.assertEqual(page.evaluate('document.cookie'), '')
        page.get_by_role('button', name='Log out').click()
        expect(page.get_by_role('heading', level=1)).to_have_text('Log in')
        page.reload()
        expect(page.get_by_role('heading', level=1)).to_have_text('Log in')

    def test_who_may_not_act_sees_no_button_for_it(self):
        page = self.visit('view').go('jobs/2', 'Job 2')
        expect(page.get_by_role('button', name='Log out')).to_be_visible()
        expect(page.get_by_role('button', name='Retry')).to_have_count(0)
        expect(page.get_by_role('link', name='Audit')).to_have_count(0)
        expect(page.get_by_label('Show patients')).to_have_count(0)

    def test_patients_are_named_on_demand_only(self):
        visit = self.visit('physicist')
        for place, heading in PAGES[:6]:
            visit.go(place, heading)
            self.assertNotIn('CANARY', visit.page.content())
        visit.page.get_by_label('Show patients').check()
        expect(visit.page.get_by_text('CANARY PETRA').first).to_be_visible()
        visit.page.reload()
        expect(visit.page.get_by_role('heading', level=1)).to_have_text('Series 3')
        self.assertNotIn('CANARY', visit.page.content())

    def test_what_a_modality_says_is_text(self):
        page = self.visit().go('jobs/1', 'Job 1')
        expect(page.get_by_text(DESCRIPTION)).to_be_visible()
        self.assertEqual(page.locator('img[src=x]').count(), 0)


class Live(Case):
    def test_a_series_travels_from_arrival_to_done_without_a_reload(self):
        hospital, visit = self.hospital, self.visit()
        page, hospital.pause = visit.page, 0.08
        self.addCleanup(setattr, hospital, 'pause', 0.0)
        page.evaluate("""() => {
          window.states = new Set();
          new MutationObserver(() => document.querySelectorAll('h1 ~ .tag').forEach((t) => states.add(t.className.split(' ')[1] + ' ' + t.lastChild.textContent)))
            .observe(document.getElementById('main'), { childList: true, subtree: true });
        }""")
        visit.go('series?state=open', 'Series')
        paths = hospital.phantom(16, 64)
        scanner = threading.Thread(target=store, args=(hospital.daemon, paths, 0.2))
        scanner.start()
        self.addCleanup(scanner.join)
        page.get_by_role('row').filter(has_text='arriving').get_by_role('link').first.click()
        expect(page.get_by_role('heading', level=1)).to_contain_text('Series')
        page.locator('h1 ~ .tag', has_text='complete').wait_for()
        page.get_by_role('row').filter(has_text='head-mr').get_by_role('link').click()
        expect(page.get_by_role('heading', level=1)).to_contain_text('Job')
        page.locator('h1 ~ .tag', has_text='done').wait_for(timeout=120000)
        seen = page.evaluate('[...states]')
        self.assertIn('busy arriving', seen)
        self.assertIn('good complete', seen)
        self.assertGreater(len([state for state in seen if state.startswith('busy')]), 1, seen)  # and a stage of the job
        expect(page.locator('.pictures img')).to_have_count(2)
        visit.settle()
        self.assertEqual(visit.loads, 1)

    def test_a_lost_server_is_told_and_found_again(self):
        hospital, visit = Hospital(), self.visit(None)
        self.addCleanup(hospital.stop)
        visit.origin, visit.allowed = hospital.origin, ['ERR_CONNECTION_REFUSED', 'ERR_INCOMPLETE_CHUNKED', 'ERR_EMPTY_RESPONSE',
                                                        'ERR_CONNECTION_RESET', '401']
        page = visit.log_in('view')
        self.assertEqual(page.get_by_text('not live').count(), 0)
        hospital.daemon.stop()
        expect(page.get_by_text('not live')).to_be_visible()
        hospital.daemon.start()
        expect(page.get_by_role('heading', level=1)).to_have_text('Log in', timeout=30000)


class Acts(Case):
    def test_a_failed_job_is_retried_by_keyboard(self):
        hospital, visit = self.hospital, self.visit()
        hospital.refuses = True
        store(hospital.daemon, hospital.phantom())
        job = hospital.api.wait('/api/v1/jobs', lambda page: page['items'][0]['state'] == 'failed' and page['items'][0]['id'] > 3)['items'][0]
        hospital.refuses = False
        page = visit.go(f'jobs/{job["id"]}', f'Job {job["id"]}')
        expect(page.locator('#main')).to_contain_text('0xA900')
        retry = page.get_by_role('button', name='Retry')
        retry.focus()
        page.keyboard.press('Enter')
        dialog = page.get_by_role('dialog')
        expect(dialog).to_be_visible()
        for _ in range(6):  # the focus stays within
            page.keyboard.press('Tab')
            self.assertTrue(page.evaluate("document.activeElement === document.body || document.activeElement.closest('dialog') !== null"))
        page.keyboard.press('Escape')
        expect(dialog).to_have_count(0)
        self.assertEqual(page.evaluate('document.activeElement.textContent'), 'Retry')
        expect(page.locator('h1 ~ .tag')).to_have_text(['✕failed'])
        page.keyboard.press('Enter')
        page.get_by_label('Reason').fill('the PACS takes CT now')
        page.keyboard.press('Enter')
        page.locator('h1 ~ .tag', has_text='done').wait_for(timeout=120000)
        expect(page.locator('.banner')).to_have_count(0)
        expect(page.locator('.timeline')).to_contain_text('the PACS takes CT now')
        self.assertEqual(visit.loads, 1)

    def test_what_cannot_be_shown_says_why(self):
        page = self.visit().go('jobs/2', 'Job 2')
        expect(page.get_by_text('They cannot be shown: missing-slice')).to_be_visible()

    def test_slices_are_scrolled_by_keyboard_and_windowed(self):
        visit = self.visit()
        page = visit.go('jobs/1', 'Job 1')
        visit.settle()

        def pictures():
            visit.settle()
            return page.evaluate("""() => [...document.querySelectorAll('.pictures img')].map((i) => {
              const canvas = document.createElement('canvas');
              canvas.width = i.naturalWidth;
              canvas.height = i.naturalHeight;
              const to = canvas.getContext('2d');
              to.drawImage(i, 0, 0);
              return [...to.getImageData(0, 0, canvas.width, canvas.height).data].reduce((sum, v, k) => (sum * 31 + v + k) % 1000003, 7);
            })""")

        slider = page.get_by_role('slider', name='Slice')
        before = pictures()
        self.assertEqual(len(before), 2)
        slider.focus()
        page.keyboard.press('ArrowRight')
        expect(slider).to_have_attribute('aria-valuetext', 'slice 14 of 24')
        after = pictures()
        self.assertTrue(all(a != b for a, b in zip(before, after)), (before, after))
        page.keyboard.press('End')
        expect(slider).to_have_attribute('aria-valuetext', 'slice 24 of 24')
        page.keyboard.press('Home')
        expect(slider).to_have_attribute('aria-valuetext', 'slice 1 of 24')
        for _ in range(11):
            page.keyboard.press('PageUp' if _ == 0 else 'ArrowRight')
        soft = pictures()
        page.get_by_role('button', name='Bone').click()
        bone = pictures()
        self.assertEqual(soft[0], bone[0])  # an MR has no HU
        self.assertNotEqual(soft[1], bone[1])
        page.get_by_label('Outline of the sCT').check()
        outlined = pictures()
        self.assertNotEqual(outlined[0], bone[0])
        self.assertEqual(outlined[1], bone[1])
        for plane in ('Coronal', 'Sagittal'):
            page.get_by_role('button', name=plane).click()
            expect(slider).to_have_attribute('aria-valuetext', 'slice 65 of 128')
            self.assertNotEqual(pictures()[1], outlined[1])

    def test_a_destination_is_asked_whether_it_answers(self):
        page = self.visit().go('destinations', 'Destinations')
        buttons = page.get_by_role('button', name='Echo')
        buttons.nth(0).click()
        expect(page.get_by_text('it answers in')).to_be_visible()
        buttons.nth(1).click()
        expect(page.get_by_text('✕')).not_to_have_count(1)

    def test_a_series_is_tried_on_the_rules(self):
        page = self.visit().go('rules', 'Rules')
        page.get_by_label('Modality').fill('MR')
        page.get_by_label('Calling AE title').fill('MR_LAB')
        page.get_by_role('button', name='Test').click()
        expect(page.get_by_text('“research” converts it')).to_be_visible()
        page.get_by_label('Calling AE title').fill('OTHER')
        page.get_by_role('button', name='Test').click()
        expect(page.get_by_text('No rule holds')).to_be_visible()

    def test_filters_stand_in_the_address_and_the_back_button_works(self):
        visit = self.visit()
        page = visit.go('jobs', 'Jobs')
        page.get_by_label('State').select_option('failed')
        expect(page.get_by_role('row').filter(has_text='done')).to_have_count(0)
        self.assertIn('state=failed', page.url)
        page.get_by_role('link', name='2', exact=True).click()
        expect(page.get_by_role('heading', level=1)).to_have_text('Job 2')
        page.go_back()
        expect(page.get_by_label('State')).to_have_value('failed')
        page.go_back()
        expect(page.get_by_role('row').filter(has_text='done').first).to_be_visible()


class Audit(Case):
    def test_entries_are_found_by_what_of_what_and_in_either_order(self):
        api = self.hospital.api
        for k in range(101):  # more than a page
            self.assertEqual(api.post('/api/v1/jobs/3/prioritise', {'priority': 3 + k % 2, 'reason': f'round {k}'}).status, 200)
        for action in ('discard', 'reopen'):
            api.post(f'/api/v1/series/3/{action}', {'reason': 'looked at'})
        visit = self.visit('admin')
        page = visit.go('audit', 'Audit')
        rows = page.get_by_role('row')
        expect(rows.nth(1)).to_contain_text('login')  # the visit's own
        page.get_by_role('combobox', name='What').select_option('job-prioritise')
        expect(rows).to_have_count(101)  # and the headings
        self.assertEqual(page.url.split('#')[1], '/audit?kind=job-prioritise')
        expect(rows.nth(1)).to_contain_text('round 100')
        page.get_by_role('link', name='Older ones').click()
        expect(rows).to_have_count(2)
        expect(rows.nth(1)).to_contain_text('round 0')
        expect(page.get_by_role('link', name='Older ones')).to_have_count(0)
        page.get_by_label('Order').select_option('oldest')  # from the first page again
        expect(rows.nth(1)).to_contain_text('round 0')
        expect(rows).to_have_count(101)
        page.get_by_role('link', name='Newer ones').click()
        expect(rows.nth(1)).to_contain_text('round 100')
        page.get_by_role('link', name='To the oldest').click()
        expect(rows).to_have_count(101)
        self.assertEqual(page.url.split('#')[1], '/audit?kind=job-prioritise&order=oldest')

        page.get_by_role('combobox', name='What').select_option('')
        page.get_by_label('Order').select_option('')
        page.get_by_label('Of what').fill(' 3 ')
        page.keyboard.press('Enter')
        expect(page.get_by_label('Of what')).to_have_value('3')
        expect(rows.nth(1)).to_contain_text('series-reopen')
        for width, height, dark in browser.SCREENS:
            seen = self.visit('admin', width=width, height=height, dark=dark)
            seen.go('audit?subject=3', 'Audit')
            seen.check_looks(self, 'audit-filtered')
        page.get_by_role('combobox', name='What').select_option('series-reopen')
        expect(rows).to_have_count(2)
        self.assertEqual(rows.nth(1).get_by_role('cell').all_inner_texts()[1:4], ['series-reopen', 'admin', '3'])
        page.get_by_label('Of what').fill('nobody')
        page.get_by_role('button', name='Filter').click()
        expect(page.get_by_text('There is no such entry.')).to_be_visible()
        page.go_back()
        expect(page.get_by_label('Of what')).to_have_value('3')
        expect(rows).to_have_count(2)
        page = visit.go('audit?kind=of-another-version', 'Audit')  # an address that somebody kept
        expect(page.get_by_role('combobox', name='What')).to_have_value('of-another-version')
        expect(page.get_by_text('There is no such entry.')).to_be_visible()


class Commitment(Case):
    def change(self, *statements):
        """In the running daemon's job store, as if it were so for an hour."""
        with contextlib.closing(sqlite3.connect(self.hospital.daemon.state / 'jobs.db', timeout=10, isolation_level=None)) as db:
            for text in statements:
                db.execute(text, (int((time.time() - 3600) * 1000),) if '?' in text else ())

    def test_what_is_late_is_named_and_goes_when_it_is_there(self):
        visit = self.visit()
        page = visit.go('', 'Overview')
        expect(page.get_by_text('Storage commitment not heard')).to_have_count(0)
        self.change("INSERT INTO promise (made_ms, instances, transaction_uid, calling_ae, peer) VALUES (?, 24, '2.25.1', 'MR_<i>', '127.0.0.1')",
                    'UPDATE delivery SET asked_ms = ? WHERE job_id = 1')
        self.addCleanup(self.change, 'DELETE FROM promise', 'UPDATE delivery SET asked_ms = 0')
        page.reload()
        banner = page.locator('.banner')
        expect(banner).to_contain_text('pacs has not committed the storage of 1 sCT, the oldest of them asked for 60 min ago')
        expect(banner).to_contain_text('MR_<i> has not heard its storage commitment (1 report), asked for 60 min ago')
        expect(page.locator('.card').filter(has_text='Storage commitment not heard')).to_contain_text('1 report about 24 instances, asked for 60 min ago')
        self.assertEqual(page.get_by_text('1 stored and not committed').count(), 1)
        expect(page.get_by_text('has not committed the storage of what it was sent (sCTs: 1)')).to_be_visible()
        page.get_by_role('link', name='pacs has not committed').click()
        expect(page.get_by_text('1 sCT of these, the oldest asked for 60 min ago')).to_be_visible()
        expect(page.locator('.tag', has_text='not committed')).to_have_count(1)
        for width, height, dark in browser.SCREENS:
            seen = self.visit(width=width, height=height, dark=dark)
            for place, heading in (('', 'Overview'), ('destinations', 'Destinations')):
                seen.go(place, heading)
                seen.check_looks(self, f'commitment-{place or "overview"}')
        self.change('DELETE FROM promise', 'UPDATE delivery SET asked_ms = 0')
        page = visit.go('', 'Overview')
        expect(banner).not_to_contain_text('commit')
        expect(page.get_by_text('Storage commitment not heard')).to_have_count(0)


class Reviews(Case):
    def test_what_is_held_is_found_looked_at_and_accepted_or_rejected(self):
        hospital = self.hospital
        need_review(hospital.daemon, 3)
        need_review(hospital.daemon, 1, hold=False)
        visit = self.visit()
        page = visit.page
        page.get_by_role('link', name='1 sCT is held for review').wait_for()
        expect(page.get_by_role('listitem').filter(has_text='need review').first).to_contain_text('2')
        page.get_by_role('link', name='2 need review').click()
        expect(page.get_by_label('Review')).to_have_value('needed')
        expect(page.get_by_role('row').filter(has_text='held for review')).to_have_count(1)
        expect(page.get_by_role('row').filter(has_text='needs review')).to_have_count(1)
        page.get_by_label('Review').select_option('passed')
        expect(page.get_by_text('There is no such job.')).to_be_visible()

        page = visit.go('jobs/3', 'Job 3')
        visit.settle()
        expect(page.locator('h1 ~ .tag')).to_have_text(['⚠held for review'])
        words = [check['text'] for check in REPORT['checks'] if check['verdict'] == 'failed']
        for text in words:
            expect(page.locator('.banner')).to_contain_text(text)
        table = page.locator('section').filter(has=page.get_by_role('heading', name='Checks of the sCT')).get_by_role('row')
        expect(page.locator('.list')).to_contain_text('waits for review')
        expect(table).to_have_count(5)
        expect(table.nth(1)).to_contain_text('failedOutline against the source23.1 mmat most 15')
        expect(table.nth(2)).to_contain_text('failedTissue: bonenot measured2 to 30')
        expect(table.nth(4)).to_contain_text('–no limitIntensity of the source: percentile 500.31none')
        for width, height, dark in browser.SCREENS:
            seen = self.visit(width=width, height=height, dark=dark)
            for place, heading in (('', 'Overview'), ('jobs', 'Jobs'), ('jobs/3', 'Job 3'), ('jobs/1', 'Job 1')):
                seen.go(place, heading)
                seen.check_looks(self, f'review-{place.replace("/", "-") or "overview"}')

        page.get_by_role('button', name='Reject').focus()
        page.keyboard.press('Enter')
        dialog = page.get_by_role('dialog')
        expect(dialog).to_contain_text('It is sent nowhere')
        page.screenshot(path=browser.SHOTS / '1280-light-review-dialog.png')
        page.keyboard.press('Enter')  # without a word nothing is done
        expect(dialog).to_be_visible()
        page.get_by_label('Reason').fill('a hole in the skull')
        page.keyboard.press('Enter')
        expect(page.locator('h1 ~ .tag')).to_have_text(['⊘cancelled', '✕rejected'])
        expect(page.locator('.timeline')).to_contain_text('rejected: by operate: a hole in the skull')
        expect(page.get_by_role('button', name='Retry')).to_have_count(0)
        page.get_by_role('button', name='Accept after all').click()
        expect(dialog).to_contain_text('It is sent to archive')
        page.get_by_label('Reason').fill('it was the marker')
        page.get_by_role('button', name='Accept it').click()
        expect(page.locator('h1 ~ .tag')).to_have_text(['➜delivering', '✓accepted'])
        self.assertIn(hospital.api.get('/api/v1/jobs/3').json['deliveries'][0]['state'], ('queued', 'sending'))

        page = visit.go('jobs/1', 'Job 1')
        page.get_by_role('button', name='Accept').click()
        expect(dialog).to_contain_text('It is marked as accepted')
        page.get_by_label('Reason').fill('the outline follows a coil')
        page.get_by_role('button', name='Accept it').click()
        expect(page.locator('h1 ~ .tag')).to_have_text(['✓done', '✓accepted'])
        self.assertEqual(visit.loads, 1)

    def test_who_only_looks_has_no_verdict(self):
        page = self.visit('view').go('jobs/1', 'Job 1')
        expect(page.locator('h1 ~ .tag').first).to_be_visible()
        expect(page.get_by_role('button', name='Accept')).to_have_count(0)


class Looks(Case):
    def test_every_page_is_legible_sound_and_fits(self):
        for width, height, dark in browser.SCREENS:
            visit = self.visit('admin', width=width, height=height, dark=dark)
            for place, heading in PAGES:
                visit.go(place, heading)
                visit.check_looks(self, place.replace('/', '-').split('@')[0] or 'overview')

    def test_the_switch_overrules_what_the_system_prefers(self):
        page = self.visit(dark=True).page
        ground = page.evaluate('getComputedStyle(document.body).backgroundColor')
        page.get_by_role('button', name='Light').click()
        self.assertNotEqual(page.evaluate('getComputedStyle(document.body).backgroundColor'), ground)
        self.assertEqual(page.evaluate(browser.CONTRAST), [])
        page.reload()
        expect(page.get_by_role('button', name='Dark')).to_be_visible()

    def test_the_keyboard_reaches_everything_and_shows_where_it_is(self):
        visit = self.visit()
        page = visit.go('jobs/1', 'Job 1')
        visit.settle()
        page.reload()
        expect(page.get_by_role('heading', level=1)).to_have_text('Job 1')
        visit.settle()
        page.keyboard.press('Tab')
        self.assertEqual(page.evaluate('document.activeElement.textContent'), 'Skip to the content')
        self.assertTrue(page.evaluate('document.activeElement.getBoundingClientRect().left >= 0'))
        reached = set()
        for _ in range(60):
            page.keyboard.press('Tab')
            reached.add(page.evaluate("document.activeElement === document.body ? '' : document.activeElement.outerHTML"))
            self.assertTrue(page.evaluate("""document.activeElement === document.body || document.activeElement === document.documentElement
                || parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2"""))
        wanted = page.evaluate("""[...document.querySelectorAll('a[href], button, input, select')]
            .filter((e) => e.checkVisibility() && !e.disabled && !e.matches('.skip')).map((e) => e.outerHTML)""")
        self.assertEqual([e for e in wanted if e not in reached], [])


if __name__ == '__main__':
    SCTD = os.path.abspath(sys.argv.pop(1))
    unittest.main()
