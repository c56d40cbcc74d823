#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the daemon does with an sCT whose checks fail: held or delivered marked, accepted or rejected.
usage: serve_review.py /path/to/sctd [unittest options]"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
import pydicom  # noqa: E402
from pynetdicom import AE, StoragePresentationContexts, evt  # noqa: E402
from pynetdicom.sop_class import CTImageStorage, SecondaryCaptureImageStorage  # noqa: E402

from kit import reactor  # noqa: E402,F401
from kit import daemon as kit  # noqa: E402
from kit.http import Client, section  # noqa: E402

SCTD = None
DEMO = pathlib.Path(__file__).resolve().parents[2] / 'deploy/models/phantom-demo-mr@1'
RULE = {'name': 'mr', 'match': {'modality': 'MR'}, 'model': 'demo', 'destinations': ['pacs']}
# Limits that every sCT keeps, and one that none keeps.
LOOSE = {'air_outside_percent': 100, 'hole_ml': 10000, 'slice_jump_hu': 3000, 'outline_mm': 500,
         'field_of_view_percent': 100, 'saturation_percent': 100, 'tissues': [], 'intensity': []}
STRICT = LOOSE | {'tissues': [{'name': 'brass', 'hu': [1900, 2000], 'percent': [90, 100]}]}


class Pacs:
    """A storage SCP for everything."""

    def __init__(self):
        self.stored = []
        ae = AE(ae_title='PACS')
        ae.supported_contexts = StoragePresentationContexts
        self.port = kit.free_port()
        self.server = ae.start_server(('127.0.0.1', self.port), block=False,
                                      evt_handlers=[(evt.EVT_C_STORE, self._store)])

    def _store(self, event):
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        self.stored.append(dataset)
        return 0x0000

    def wait_for(self, n, timeout=60):
        end = time.monotonic() + timeout
        while len(self.stored) < n and time.monotonic() < end:
            time.sleep(0.02)
        assert len(self.stored) == n, f'{len(self.stored)} instances came, not {n}'
        return self.stored

    def stop(self):
        self.server.shutdown()


def send(port, paths):
    ae = AE(ae_title='SCANNER')
    sets = [pydicom.dcmread(p) for p in paths]
    for sop_class in sorted({d.SOPClassUID for d in sets}):
        ae.add_requested_context(sop_class, '1.2.840.10008.1.2.1')
    association = ae.associate('127.0.0.1', port, ae_title='SCTD')
    assert association.is_established
    for dataset in sets:
        assert association.send_c_store(dataset).Status == 0x0000
    association.release()


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)
        self.pacs = Pacs()
        self.addCleanup(self.pacs.stop)
        self.paths = kit.make_series(SCTD, self.work / 'source', slices=4)

    def start(self, limits, **rule):
        """A daemon with the demonstration model under these limits, and what a scanner sends to it."""
        model = self.work / 'state/models/demo@1'
        shutil.copytree(DEMO, model)
        manifest = json.loads((model / 'manifest.json').read_text()) | {'name': 'demo', 'quality': limits}
        (model / 'manifest.json').write_text(json.dumps(manifest))
        destination = {'name': 'pacs', 'ae_title': 'PACS', 'host': '127.0.0.1', 'port': self.pacs.port,
                       'no_storage_commitment': True}
        self.daemon = kit.Daemon(SCTD, self.work, rules=[RULE | rule], destinations=[destination], http=section())
        self.addCleanup(self.daemon.stop, signal.SIGKILL)
        self.daemon.start()
        send(self.daemon.port, self.paths)
        self.daemon.wait_for('job-attempt', result='done')

    def sctd(self, *words, status=0):
        done = subprocess.run([SCTD, *words, '--config', self.daemon.config], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr if status else done.stdout

    def job(self):
        return json.loads(self.sctd('job', 'show', '1', '--json'))

    def wait_for_state(self, state, timeout=30):
        end = time.monotonic() + timeout
        while self.job()['state'] != state and time.monotonic() < end:
            time.sleep(0.1)
        self.assertEqual(self.job()['state'], state)

    def assert_held(self):
        job = self.job()
        self.assertEqual((job['state'], job['review'], job['hold']), ('delivering', 'needed', True))
        self.assertEqual(self.pacs.stored, [])

    def assert_all_came(self):
        """The slices in their order, then the page, each marked."""
        stored = self.pacs.wait_for(len(self.paths) + 1)
        self.assertEqual([d.SOPClassUID for d in stored], [CTImageStorage] * len(self.paths) + [SecondaryCaptureImageStorage])
        for dataset in stored[:-1]:
            self.assertTrue(dataset.SeriesDescription.startswith('REVIEW '), dataset.SeriesDescription)
            self.assertIn('brass', dataset.DerivationDescription)
        page = stored[-1]
        self.assertEqual({d.SOPInstanceUID for d in stored[:-1]},
                         {i.ReferencedSOPInstanceUID for i in page.SourceImageSequence} - self.source_uids())
        self.assertEqual(page.StudyInstanceUID, stored[0].StudyInstanceUID)
        self.assertNotEqual(page.SeriesInstanceUID, stored[0].SeriesInstanceUID)
        self.assertEqual(page.PatientID, stored[0].PatientID)

    def source_uids(self):
        return {pydicom.dcmread(p, specific_tags=['SOPInstanceUID']).SOPInstanceUID for p in self.paths}


class Passed(Case):
    def test_what_passes_goes_out_and_says_so(self):
        self.start(LOOSE)
        stored = self.pacs.wait_for(len(self.paths))
        self.wait_for_state('done')
        self.assertEqual(self.job()['review'], 'passed')
        self.assertEqual(len(self.pacs.stored), len(self.paths))
        for dataset in stored:
            self.assertIn('checks passed', dataset.DerivationDescription)
            self.assertNotIn('REVIEW', dataset.SeriesDescription)
        report = json.loads((next((self.work / 'state/results').iterdir()) / 'quality.json').read_text())
        self.assertEqual(report['verdict'], 'passed')
        self.assertGreaterEqual(len([c for c in report['checks'] if c['verdict'] == 'passed']), 6)


class Held(Case):
    def test_it_goes_nowhere_until_it_is_accepted(self):
        self.start(STRICT)
        self.assert_held()
        self.daemon.stop()
        self.daemon.start()
        time.sleep(2)
        self.assert_held()
        self.assertIn('brass', self.sctd('job', 'show', '1'))
        self.sctd('job', 'retry', '1', status=1)
        self.assert_held()
        self.sctd('job', 'accept', '1', '--reason', 'looked at by a physicist')
        self.assert_all_came()
        self.wait_for_state('done')
        self.assertEqual(self.job()['review'], 'accepted')

    def test_what_is_rejected_never_goes_out(self):
        self.start(STRICT)
        self.sctd('job', 'reject', '1', '--reason', 'the bladder is of brass')
        self.wait_for_state('cancelled')
        self.assertEqual(self.job()['review'], 'rejected')
        self.sctd('job', 'retry', '1', status=1)
        self.daemon.stop()
        self.daemon.start()
        time.sleep(2)
        self.assertEqual(self.pacs.stored, [])

    def test_what_is_superseded_is_never_sent(self):
        """Four of five slices are held; the fifth makes another job, and only that may be accepted."""
        every = kit.make_series(SCTD, self.work / 'longer', slices=5)
        self.paths = every[:4]
        self.start(STRICT)
        self.assert_held()
        send(self.daemon.port, every[4:])
        self.daemon.wait_for('job-attempt', result='done', job=2)
        self.wait_for_state('cancelled')
        job = self.job()
        self.assertEqual((job['superseded_by'], job['review'], job['held']), (2, 'needed', False))
        for verb in ('accept', 'retry'):
            self.assertIn('superseded by job 2', self.sctd('job', verb, '1', status=1))
        self.assertIn('superseded by job 2', self.sctd('job', 'show', '1'))
        told = Client(self.daemon, 'view').get('/api/v1/jobs/1').json
        self.assertEqual((told['diagnosis']['title'], 'accept' in told['actions'], 'retry' in told['actions']),
                         ('Superseded by job 2', False, False))
        waiting = json.loads(self.sctd('job', 'list', '--review', 'needed', '--json'))['jobs']
        self.assertEqual([j['id'] for j in waiting], [2])
        time.sleep(1)
        self.assertEqual(self.pacs.stored, [])
        self.sctd('job', 'accept', '2')
        self.paths = every
        self.assert_all_came()

    def test_what_was_cancelled_while_held_is_made_again(self):
        """The files lie where the first job left them, and are the second's then."""
        self.start(STRICT)
        self.sctd('job', 'cancel', '1')
        self.wait_for_state('cancelled')
        before = self.daemon.files('results')
        self.sctd('reprocess', '--held')
        self.daemon.wait_for('job-attempt', result='done', job=2)
        self.assertEqual(self.daemon.files('results'), before)
        waiting = json.loads(self.sctd('job', 'list', '--review', 'needed', '--json'))['jobs']
        self.assertEqual([(j['id'], j['held']) for j in waiting], [(2, True)])
        self.sctd('job', 'accept', '1', status=1)
        self.assertEqual(self.pacs.stored, [])
        self.sctd('job', 'accept', '2')
        self.assert_all_came()
        self.sctd('job', 'retry', '1', status=1)

    def test_a_verdict_outlives_the_worker_that_found_it(self):
        """The files stand and the store does not know: as after a crash between the two."""
        self.start(STRICT)
        self.daemon.stop()
        with contextlib.closing(sqlite3.connect(self.work / 'state/jobs.db')) as store, store:
            store.execute('UPDATE job SET state = 0, review = 0, written = 0, kept = 0, outputs = 5')
            store.execute("UPDATE output SET place = NULL, file = '', file_state = 2")
            store.execute('UPDATE job_count SET n = (SELECT count(*) FROM job WHERE job.state = job_count.state)')
            store.execute('DELETE FROM quality')
        before = {p: p.stat().st_mtime_ns for p in self.daemon.files('results')}
        self.daemon.start()
        self.daemon.wait_for('job-attempt', result='done')
        self.assert_held()
        self.assertEqual({p: p.stat().st_mtime_ns for p in self.daemon.files('results')}, before)
        self.sctd('job', 'accept', '1')
        self.assert_all_came()

    def test_the_page_is_no_slice_of_the_pictures(self):
        self.start(STRICT)
        answer = Client(self.daemon, 'physicist').ask('GET', '/api/v1/jobs/1/images')
        self.assertEqual(answer.status, 200, answer.body[:300])
        self.assertTrue(answer.json['sct'], answer.json)
        self.assertEqual({p['plane']: p['slices'] for p in answer.json['planes']}['axial'], len(self.paths))


    def test_it_is_told_over_http_and_counted(self):
        self.start(STRICT)
        client = Client(self.daemon, 'view')
        page = client.get('/api/v1/jobs', review='needed').json['items']
        self.assertEqual([(j['id'], j['held']) for j in page], [(1, True)])
        self.assertIn('brass', page[0]['reason'])
        report = client.get('/api/v1/jobs/1/quality').json
        self.assertEqual(report, self.job()['quality'])
        self.assertEqual([(c['check'], c['what']) for c in report['checks'] if c['verdict'] == 'failed'], [('tissue', 'brass')])
        end = time.monotonic() + 10
        while (wanted := 'sctd_checks_failed_total{model="demo@1",check="tissue"} 1\n') not in (text := client.get('/metrics').body.decode()):
            self.assertLess(time.monotonic(), end, wanted)
            time.sleep(0.1)
        self.assertIn('sctd_results_checked_total{model="demo@1",verdict="review"} 1\n', text)
        self.assertIn('sctd_checks_failed_total{model="demo@1",check="outline"} 0\n', text)
        self.assertIn('sctd_review_held 1\n', text)


class Edited(Case):
    def test_a_manifest_that_was_edited_is_read_again_by_a_worker_that_lives(self):
        self.start(LOOSE)
        self.pacs.wait_for(len(self.paths))
        manifest = self.work / 'state/models/demo@1/manifest.json'
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {'quality': STRICT}))
        self.daemon.process.send_signal(signal.SIGHUP)
        self.daemon.wait_for('reloaded')
        send(self.daemon.port, kit.make_series(SCTD, self.work / 'second', seed=2, slices=4))
        self.daemon.wait_for('job-attempt', result='done', job=2)
        job = json.loads(self.sctd('job', 'show', '2', '--json'))
        self.assertEqual((job['state'], job['review']), ('delivering', 'needed'))
        self.assertEqual(len(self.pacs.stored), len(self.paths))


class Delivered(Case):
    def test_it_goes_out_marked_where_the_rule_says_so(self):
        self.start(STRICT, review='deliver')
        self.assert_all_came()
        self.wait_for_state('done')
        self.assertEqual(self.job()['review'], 'needed')
        self.sctd('job', 'accept', '1')
        self.assertEqual(self.job()['review'], 'accepted')
        self.assertEqual(len(self.pacs.stored), len(self.paths) + 1)

    def test_the_folders_go_with_what_was_delivered(self):
        self.start(STRICT, review='deliver')
        self.wait_for_state('done')
        results = self.work / 'state/results'
        self.assertEqual(len(list(results.iterdir())), 2)
        self.daemon.stop()
        disk = os.statvfs(self.work)
        nearly_full = max(1, 100 * disk.f_bavail // disk.f_blocks - 1)
        self.daemon.settings['retention'] = {'min_free_percent': nearly_full}
        self.daemon.configure([RULE], self.daemon.settings['destinations'])
        self.daemon.start()
        self.daemon.wait_for('removed')
        self.assertEqual(list(results.iterdir()), [])


class ComesBack(Case):
    def test_neither_an_sct_nor_its_page_is_ever_a_source(self):
        self.start(STRICT, review='deliver', match={})
        self.assert_all_came()
        ae = AE(ae_title='PACS')
        for sop_class in (SecondaryCaptureImageStorage, CTImageStorage):
            ae.add_requested_context(sop_class, '1.2.840.10008.1.2.1')
        association = ae.associate('127.0.0.1', self.daemon.port, ae_title='SCTD')
        self.assertEqual([c.abstract_syntax for c in association.accepted_contexts], [CTImageStorage])
        association.release()
        for folder in (self.work / 'state/results').iterdir():
            done = subprocess.run([SCTD, 'convert', '--model', 'demo', '--models-dir', self.work / 'state/models', '--input',
                                   folder, '--output', self.work / 'out', '--json'],
                                  capture_output=True, text=True, check=False)
            facts, = json.loads(done.stdout)['series']
            self.assertEqual((done.returncode, facts['outcome'], facts['code']), (1, 'refused', 'own-object'))
        table = json.loads(self.sctd('reprocess', '--folder', self.work / 'state/results', '--model', 'demo', '--dry-run',
                                     '--json'))
        self.assertEqual([(s['modality'], s['what']) for s in table['series']], # the store knows the sCT's series
                         [('OT', 'skip: an sCT of ours is never a source')])


class Converted(Case):
    def test_files_alone_are_checked_too(self):
        self.start(LOOSE)
        model = self.work / 'state/models/demo@1/manifest.json'
        words = [SCTD, 'convert', '--model', 'demo', '--models-dir', self.work / 'state/models', '--input',
                 self.work / 'source', '--output', self.work / 'out', '--json']
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        facts, = json.loads(done.stdout)['series']
        self.assertEqual(facts['quality']['verdict'], 'passed')
        model.write_text(json.dumps(json.loads(model.read_text()) | {'quality': STRICT}))
        for outcome in ('converted', 'there'):
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 1)
            again, = json.loads(done.stdout)['series']
            self.assertEqual((again['outcome'], again['quality']['verdict']), (outcome, 'review'))
            self.assertNotEqual(again['sct_series_instance_uid'], facts['sct_series_instance_uid'])
            page, = pathlib.Path(again['quality_page_folder']).iterdir()
            self.assertEqual(pydicom.dcmread(page).SOPClassUID, SecondaryCaptureImageStorage)
        report = pathlib.Path(again['folder'], 'quality.json')
        kept = report.read_text()
        for lie in (kept.replace('"review"', '"passed"').replace('"failed"', '"passed"'),
                    pathlib.Path(facts['folder'], 'quality.json').read_text(), '{}'):
            report.write_text(lie)
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, json.loads(done.stdout)['series'][0]['outcome']), (1, 'failed'), lie[:200])
        report.write_text(kept)
        shutil.rmtree(again['quality_page_folder'])
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        self.assertIn('quality page is gone', json.loads(done.stdout)['series'][0]['reason'])


if __name__ == '__main__':
    SCTD = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
