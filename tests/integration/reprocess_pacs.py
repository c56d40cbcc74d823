#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Batches of old series: from Orthanc and from pynetdicom as PACS, from folders, and of what is held.
usage: reprocess_pacs.py /path/to/sctd [unittest options]"""
import contextlib
import csv
import io
import os
import pathlib
import signal
import sqlite3
import sys
import tempfile
import time
import unittest

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
import pydicom  # noqa: E402
from pynetdicom import AE, evt  # noqa: E402
from pynetdicom.sop_class import MRImageStorage  # noqa: E402

from kit import reactor  # noqa: E402,F401
from kit import batches as kit  # noqa: E402
from kit import daemon, http  # noqa: E402
from kit.pacs import Pacs  # noqa: E402

SCTD = None


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)
        daemon.make_model(SCTD, self.work / 'state' / 'models')
        self.port = daemon.free_port()

    def start(self, pacs_port, rules=(kit.RULE,), **more):
        destination = {'name': 'pacs', 'ae_title': 'PACS', 'host': '127.0.0.1', 'port': pacs_port,
                       'no_storage_commitment': True, 'get': True, 'move': True} | more
        self.node = daemon.Daemon(SCTD, self.work, rules=rules, destinations=[destination], port=self.port)
        self.addCleanup(self.node.stop, signal.SIGKILL)
        self.batches = kit.Batches(self.node)

    def make(self, n, **more):
        return kit.make_studies(SCTD, self.work, n, **more)


@unittest.skipUnless(daemon.Orthanc.PROGRAM, 'Orthanc is not installed')
class Orthanc(Case):
    """Debian's Orthanc holds the studies, and takes the results."""

    def setUp(self):
        super().setUp()
        self.orthanc = daemon.Orthanc(self.work / 'orthanc', self.port)
        self.addCleanup(self.orthanc.stop)
        self.start(self.orthanc.dicom_port)

    def hold(self, n, **more):
        studies = self.make(n, **more)
        for paths in studies:
            kit.upload(self.orthanc, paths)
        return studies

    def results(self):
        """SOP Instance UIDs of the sCTs in Orthanc by their series."""
        found = {}
        for instance in self.orthanc.get('instances'):
            tags = self.orthanc.get(f'instances/{instance}/simplified-tags')
            if tags.get('Manufacturer') == 'sctd':
                found.setdefault(tags['SeriesInstanceUID'], []).append(tags['SOPInstanceUID'])
        return found

    def test_a_dry_run_needs_no_daemon_and_does_nothing(self):
        self.hold(2)
        self.hold(1, kind='cbct', first=3)
        series = self.batches.dry_run('--pacs', 'pacs', '--from', '2000-01-01')
        self.assertEqual(sorted((s['modality'], s['images'], s['what'][:6]) for s in series),
                         [('CT', 8, 'skip: '), ('MR', 8, 'fetch,'), ('MR', 8, 'fetch,')])
        self.assertEqual(len(self.batches.dry_run('--pacs', 'pacs', '--from', '2000-01-01', '--modality', 'MR')), 2)
        self.assertEqual(self.batches.dry_run('--pacs', 'pacs', '--to', '2000-01-01'), [])
        one = self.batches.dry_run('--pacs', 'pacs', '--patient', series[0]['patient_id'])
        self.assertEqual([s['series_uid'] for s in one], [series[0]['series_uid']])
        some = self.batches.dry_run('--pacs', 'pacs', '--from', '2000-01-01', '--description', 'T[12] AXIAL$')
        self.assertEqual(len(some), 2)
        table = self.batches.run('reprocess', '--pacs', 'pacs', '--study', series[0]['study_uid'], '--dry-run')
        self.assertIn(series[0]['series_uid'], table)
        self.assertIn('1 series', table)
        self.assertFalse((self.work / 'state' / 'jobs.db').exists())
        self.assertIn('more than 2', self.batches.run('reprocess', '--pacs', 'pacs', '--from', '2000-01-01', '--limit', 2,
                                                      '--dry-run', status=1))
        self.assertIn('whole PACS', self.batches.run('reprocess', '--pacs', 'pacs', '--dry-run', status=2))

    def check_whole_batch(self, method):
        studies = self.hold(3)
        self.node.start()
        report = self.batches.wait_for(self.batches.begin('--pacs', 'pacs', '--from', '2000-01-01', '--method', method))
        self.assertEqual(kit.states(report), {'done': 3}, report)
        self.assertEqual({s['method'] for s in report['series']}, {method})
        results = self.results()
        self.assertEqual(set(results), {s['output_series_uid'] for s in report['series']})
        self.assertEqual([len(v) for v in results.values()], [8] * 3)
        received = {pydicom.dcmread(p).SOPInstanceUID: p for paths in studies for p in paths}
        with contextlib.closing(sqlite3.connect(f'file:{self.node.state}/jobs.db?mode=ro', uri=True)) as db:
            rows = dict(db.execute('SELECT sop_uid, file FROM instance'))
            self.assertEqual(set(db.execute('SELECT priority, evidence FROM job')), {(9, 3)})
        self.assertEqual(set(rows), set(received))
        for uid, file in rows.items():  # what came is what was there
            self.assertEqual(pydicom.dcmread(self.node.state / 'spool' / file).PixelData,
                             pydicom.dcmread(received[uid]).PixelData)
        again = self.batches.wait_for(self.batches.begin('--pacs', 'pacs', '--from', '2000-01-01', '--modality', 'MR'))
        self.assertEqual(kit.states(again), {'skipped': 3})
        self.assertEqual({s['method'] for s in again['series']}, {''})
        self.assertEqual(self.results(), results)
        rows = list(csv.DictReader(io.StringIO(self.batches.run('batch', 'report', 1))))
        self.assertEqual([(r['state'], r['expected'], r['instances']) for r in rows], [('done', '8', '8')] * 3)
        self.assertTrue(all(r['ended'] >= r['ordered'] >= r['fetched'] >= r['begun'] > '2' for r in rows))

    def test_a_batch_by_c_get(self):
        self.check_whole_batch('get')

    def test_a_batch_by_c_move(self):
        self.check_whole_batch('move')

    def test_a_batch_is_held_paused_resumed_and_cancelled(self):
        self.hold(6)
        self.node.start()
        batch = self.batches.begin('--pacs', 'pacs', '--from', '2000-01-01', '--hold', '--per-hour', 100000)
        report = self.batches.wait_for(batch, ['paused'])
        time.sleep(1.5)
        self.assertEqual(kit.states(self.batches.report(batch)), {'waiting': 6})
        self.assertEqual(self.batches.begin('--pacs', 'pacs', '--from', '2000-01-01', '--hold', '--per-hour', 100000),
                         batch)
        self.assertIn('paused', self.batches.run('batch', 'list'))
        self.assertIn('it is paused', self.batches.run('batch', 'pause', batch, status=1))
        self.batches.run('batch', 'resume', batch)
        while kit.states(report).get('done', 0) < 1:
            report = self.batches.report(batch)
        self.batches.run('batch', 'cancel', batch, '--reason', 'the study was closed')
        report = self.batches.report(batch)
        self.assertEqual(report['batch']['state'], 'cancelled')
        self.assertIn('has ended', self.batches.run('batch', 'resume', batch, status=1))
        self.assertIn('no such', self.batches.run('batch', 'cancel', 99, status=1))
        time.sleep(6)  # whatever came is not converted by the live rules
        ended = kit.states(self.batches.report(batch))
        self.assertEqual(set(ended), {'done', 'cancelled'}, self.batches.report(batch))
        self.assertEqual(sum(ended.values()), 6)
        with contextlib.closing(sqlite3.connect(f'file:{self.node.state}/jobs.db?mode=ro', uri=True)) as db:
            self.assertEqual(db.execute('SELECT count(*) FROM series WHERE state = 0').fetchone(), (0,))
            self.assertEqual(db.execute('SELECT count(*) FROM job WHERE state = 4').fetchone(), (ended['done'],))

    def test_series_an_hour_and_hours_of_the_day(self):
        self.hold(3)
        self.node.start()
        begun = time.monotonic()
        report = self.batches.wait_for(self.batches.begin('--pacs', 'pacs', '--from', '2000-01-01', '--per-hour', 1200))
        self.assertEqual(kit.states(report), {'done': 3})
        self.assertGreater(time.monotonic() - begun, 2 * 3.0)  # one each 3 s
        times = sorted(s['begun_ms'] for s in report['series'])
        self.assertGreaterEqual(min(b - a for a, b in zip(times, times[1:])), 2900)
        hour = time.localtime().tm_hour
        later = f'{(hour + 2) % 24:02}:00-{(hour + 3) % 24:02}:00'
        batch = self.batches.begin('--pacs', 'pacs', '--from', '2000-01-01', '--hours', later, '--model', 'small')
        self.batches.wait_for(batch, ['running'])
        time.sleep(2.5)
        self.assertEqual(kit.states(self.batches.report(batch)), {'waiting': 3})


class Folders(Case):
    def setUp(self):
        super().setUp()
        self.pacs = Pacs([], self.port)
        self.addCleanup(self.pacs.stop)
        self.start(self.pacs.port)
        self.node.start()

    def test_a_folder_and_what_is_held(self):
        folder = self.work / 'studies'
        studies = kit.make_studies(SCTD, folder, 2)
        (folder / 'copy.dcm').write_bytes(studies[1][0].read_bytes())  # the same image once more
        batch = self.batches.begin('--folder', folder / 'mr1', '--keep')
        report = self.batches.wait_for(batch)
        self.assertEqual(kit.states(report), {'done': 1}, report)
        self.assertEqual(report['series'][0]['method'], 'files')
        self.assertEqual(self.pacs.stored, [])
        report = self.batches.wait_for(self.batches.begin('--folder', folder, '--deliver', 'pacs'))
        self.assertEqual(kit.states(report), {'done': 2}, report)
        sent = sorted(d.SOPInstanceUID for d in self.pacs.stored)
        self.assertEqual(len(sent), 16)
        again = ('--folder', folder, '--deliver', 'pacs')
        report = self.batches.wait_for(self.batches.begin(*again))
        self.assertEqual(kit.states(report), {'skipped': 2}, report)
        self.assertEqual(len(self.pacs.stored), 16)
        report = self.batches.wait_for(self.batches.begin(*again, '--force'))
        self.assertEqual(kit.states(report), {'done': 2}, report)
        self.assertEqual(sorted(d.SOPInstanceUID for d in self.pacs.stored[16:]), sent)  # the same objects once more
        daemon.make_model(SCTD, self.work / 'state' / 'models', name='other')
        report = self.batches.wait_for(self.batches.begin('--held', '--model', 'other@1', '--keep'))
        self.assertEqual(kit.states(report), {'done': 2}, report)
        self.assertEqual({s['method'] for s in report['series']}, {'held'})
        uid = report['series'][0]['series_uid']
        self.assertEqual(len(self.batches.dry_run('--held', '--series', uid)), 1)
        dry = self.batches.dry_run('--held', '--model', 'other', '--keep')
        self.assertEqual({s['what'].split(':')[0] for s in dry}, {'skip'})

    def test_live_work_waits_for_one_series_at_most(self):
        """More series are ready for a worker than it can take: nothing is to be fetched."""
        self.node.stop()
        self.node.settings['completion'] = {'quiet_s': 600, 'closed_quiet_s': 600}
        self.node.configure([kit.RULE], self.node.settings['destinations'])
        daemon.make_model(SCTD, self.work / 'state' / 'models', name='other')
        self.node.start()
        folder = self.work / 'studies'
        kit.make_studies(SCTD, folder, 10, slices=48)
        self.batches.wait_for(self.batches.begin('--folder', folder, '--keep'))
        live = daemon.make_series(SCTD, self.work / 'live', seed=99, matrix=32, slices=8)
        ae = AE(ae_title='SCANNER')
        ae.add_requested_context(MRImageStorage, '1.2.840.10008.1.2.1')
        association = ae.associate('127.0.0.1', self.node.port, ae_title='SCTD')
        for path in live:
            self.assertEqual(association.send_c_store(pydicom.dcmread(path)).Status, 0)
        association.release()
        batch = self.batches.begin('--held', '--model', 'other@1', '--keep', '--min-images', 48)
        self.node.wait_for('batch-series', batch=batch, state='converting')
        self.batches.run('series', 'complete', 11)
        report = self.batches.wait_for(batch)
        self.assertEqual(kit.states(report), {'done': 10})
        with contextlib.closing(sqlite3.connect(f'file:{self.node.state}/jobs.db?mode=ro', uri=True)) as db:
            made, = db.execute('SELECT id FROM job WHERE series_id = 11').fetchone()
            order = [job for job, in db.execute('SELECT job_id FROM history WHERE from_state = 0 AND to_state = 2 ORDER BY id')]
            before = db.execute('SELECT min(id) FROM history WHERE job_id = ?', (made,)).fetchone()[0]
            waited = db.execute('SELECT count(*) FROM history WHERE from_state = 0 AND to_state = 2 AND id > ? AND id < (SELECT min(id) FROM '
                                'history WHERE job_id = ? AND to_state = 2)', (before, made)).fetchone()[0]
        self.assertLess(order.index(made), len(order) - 2, 'the batch had ended: nothing was shown')
        self.assertLessEqual(waited, 1, 'more than one series of the batch began while live work waited')

    def test_the_same_over_http(self):
        self.node.stop()
        self.node.settings['http'] = http.section()
        self.node.configure([kit.RULE], self.node.settings['destinations'])
        self.node.start()
        view, operate = http.Client(self.node, 'view'), http.Client(self.node, 'operate')
        folder = self.work / 'studies'
        kit.make_studies(SCTD, folder, 2)
        request = {'source': {'folder': str(folder)}, 'keep': True, 'hold': True, 'name': 'two'}
        self.assertEqual(view.post('/api/v1/batches', request).status, 403)
        made = operate.post('/api/v1/batches', request)
        self.assertEqual((made.status, made.json), (201, {'id': 1, 'new': True}))
        again = operate.post('/api/v1/batches', request)
        self.assertEqual((again.status, again.json), (200, {'id': 1, 'new': False}))
        wrong = operate.post('/api/v1/batches', {'source': {'held': True}, 'moves': 0})
        self.assertEqual(wrong.status, 400)
        self.assertIn('moves', wrong.json['detail'])
        self.batches.wait_for(1, ['paused'])
        series = view.get('/api/v1/batches/1/series?state=waiting').json
        self.assertEqual((len(series['items']), series['next']), (2, None))
        one = view.get('/api/v1/batches/1').json
        self.assertEqual((one['created_by'], one['actions'], one['failures']), ('operate', ['resume', 'cancel'], 0))
        self.assertEqual(one['request'], {'source': {'folder': None}, 'select': {}, 'name': 'two', 'keep': True, 'hold': True})
        self.assertEqual(view.get('/api/v1/batches/1', identity='true').status, 403)
        named = http.Client(self.node, 'physicist').get('/api/v1/batches/1', identity='true')
        self.assertEqual((named.json['request']['source'], named.headers['Cache-Control']), ({'folder': str(folder)}, 'no-store'))
        self.assertEqual(operate.post('/api/v1/batches/1/pause', {}).status, 409)
        self.assertEqual(operate.post('/api/v1/batches/1/resume', {'reason': 'now'}).status, 200)
        self.batches.wait_for(1)
        self.assertEqual(view.get('/api/v1/batches/1').json['series']['done'], 2)
        self.assertEqual(view.get('/api/v1/batches').json['items'][0]['name'], 'two')
        self.assertEqual(view.get('/api/v1/batches/1/report').json, self.batches.report(1))
        table = view.get('/api/v1/batches/1/report.csv')
        self.assertEqual(table.body.decode(), self.batches.run('batch', 'report', 1).replace('\n', '\r\n'))
        self.assertEqual(view.get('/api/v1/batches/1').json['actions'], [])
        self.assertEqual(operate.post('/api/v1/batches/1/cancel', {}).status, 409)
        self.assertEqual(view.get('/api/v1/batches/7').status, 404)

    def test_what_cannot_be_done_is_refused_at_once(self):
        for words, reason in ((('--held', '--model', 'none'), 'none'), (('--held', '--rule', 'none'), 'no rule "none"'),
                              (('--held', '--deliver', 'none'), 'no destination "none"'),
                              (('--pacs', 'none', '--from', '2020-01-01'), 'no destination "none"')):
            self.assertIn(reason, self.batches.run('reprocess', *words, status=1))
        self.assertIn('name one source', self.batches.run('reprocess', status=2))
        (self.work / 'gone').mkdir()
        self.batches.node.stop()
        words = ('--folder', self.work / 'gone')
        self.assertIn('is sctd serve running', self.batches.run('reprocess', *words, status=1))
        self.node.start()
        batch = self.batches.begin(*words, '--hold')
        self.assertEqual(kit.states(self.batches.wait_for(batch)), {})
        (self.work / 'file').write_text('no DICOM')
        batch = self.batches.begin('--folder', self.work / 'file')
        self.assertEqual(kit.states(self.batches.wait_for(batch)), {})


class Faults(Case):
    """pynetdicom as a PACS that does as the test says."""

    def hold(self, n, **more):
        paths = [p for study in self.make(n) for p in study]
        self.pacs = Pacs(paths, self.port, **more)
        self.addCleanup(self.pacs.stop)
        self.start(self.pacs.port)
        self.node.start()

    def known(self, uid):
        with contextlib.closing(sqlite3.connect(f'file:{self.node.state}/jobs.db?mode=ro', uri=True)) as db:
            return db.execute('SELECT file FROM instance WHERE sop_uid = ?', (uid,)).fetchone()

    def test_an_image_is_acknowledged_when_it_is_kept(self):
        seen = []

        def after(uid, _status):
            row = self.known(uid)
            seen.append(row is not None and (self.node.state / 'spool' / row[0]).is_file())

        self.hold(1, calls=after)
        report = self.batches.wait_for(self.batches.begin('--pacs', 'pacs', '--from', '2000-01-01'))
        self.assertEqual(kit.states(report), {'done': 1}, report)
        self.assertEqual(seen, [True] * 8)
        self.assertEqual(self.pacs.moves, 0)
        self.assertEqual(len(self.pacs.stored), 8)

    def test_c_move_is_tried_where_c_get_is_refused(self):
        self.hold(1, get=lambda n: 0xA900)
        report = self.batches.wait_for(self.batches.begin('--pacs', 'pacs', '--from', '2000-01-01'))
        self.assertEqual(kit.states(report), {'done': 1}, report)
        self.assertEqual((self.pacs.gets, self.pacs.moves, report['series'][0]['method']), (1, 1, 'move'))

    def test_a_refusal_ends_the_series_with_its_reason(self):
        self.hold(2, get=lambda n: 0xA900 if n == 0 else None)
        report = self.batches.wait_for(self.batches.begin('--pacs', 'pacs', '--from', '2000-01-01', '--method', 'get'))
        self.assertEqual(kit.states(report), {'done': 1, 'failed': 1}, report)
        self.assertIn('0xA900', next(s['reason'] for s in report['series'] if s['state'] == 'failed'))

    def test_studies_by_uid_are_asked_for_in_pieces(self):
        self.hold(2)
        lines = [f'{self.pacs.sets[0].StudyInstanceUID},{self.pacs.sets[0].SeriesInstanceUID}']
        lines += [f'1.2.3.{k}' for k in range(100)] + ['# a comment', '']
        path = self.work / 'uids'
        path.write_text('\n'.join(lines), encoding='ascii')
        series = self.batches.dry_run('--pacs', 'pacs', '--uids', path)
        self.assertEqual([s['series_uid'] for s in series], [self.pacs.sets[0].SeriesInstanceUID])
        asked = [q for q in self.pacs.finds if q.QueryRetrieveLevel == 'STUDY']
        self.assertEqual([len(q.StudyInstanceUID) for q in asked], [64, 37])

    def test_a_pacs_that_is_away_is_waited_for(self):
        self.hold(1)
        port = self.pacs.port
        self.pacs.stop()
        batch = self.batches.begin('--pacs', 'pacs', '--from', '2000-01-01')
        self.node.wait_for('batch-waits')
        self.assertEqual(self.batches.report(batch)['batch']['state'], 'planning')
        self.pacs.server = self.pacs.ae.start_server(('127.0.0.1', port), block=False, evt_handlers=[
            (evt.EVT_C_FIND, self.pacs._find), (evt.EVT_C_GET, self.pacs._get), (evt.EVT_C_STORE, self.pacs._store)])
        self.assertEqual(kit.states(self.batches.wait_for(batch)), {'done': 1})


if __name__ == '__main__':
    SCTD = os.path.abspath(sys.argv.pop(1))
    unittest.main()
