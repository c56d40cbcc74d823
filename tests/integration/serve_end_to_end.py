#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon from the scanner to the PACS: pynetdicom sends, pynetdicom or Orthanc receives.
usage: serve_end_to_end.py /path/to/sctd [unittest options]"""
import contextlib
import io
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
import pydicom  # noqa: E402
from pynetdicom import AE, StoragePresentationContexts, evt  # noqa: E402
from pynetdicom.sop_class import ModalityPerformedProcedureStep, StorageCommitmentPushModel  # noqa: E402

from kit import reactor  # noqa: E402,F401
from kit import daemon as kit  # noqa: E402

SCTD = None
FAKETIME = pathlib.Path('/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1')
MR_RULE = {'name': 'mr', 'match': {'modality': 'MR'}, 'model': 'small', 'destinations': ['pacs']}


def send(port, paths, calling='SCANNER', abort_after=None):
    """The statuses of a scanner's C-STOREs over one association."""
    ae = AE(ae_title=calling)
    sets = [pydicom.dcmread(p) for p in paths]
    for sop_class in sorted({d.SOPClassUID for d in sets}):
        ae.add_requested_context(sop_class, '1.2.840.10008.1.2.1')
    association = ae.associate('127.0.0.1', port, ae_title='SCTD')
    assert association.is_established, 'the daemon takes no association'
    statuses = []
    for k, dataset in enumerate(sets):
        if k == abort_after:
            association.abort()
            return statuses
        statuses.append(association.send_c_store(dataset).Status)
    association.release()
    return statuses


class Pacs:
    """A storage SCP; `answer` gives the status of the nth instance."""

    def __init__(self, answer=lambda n: 0x0000, port=0, host='127.0.0.1'):
        self.stored, self.answer, self.n, self.associations = [], answer, 0, 0
        self.lock = threading.Lock()
        ae = AE(ae_title='PACS')
        ae.supported_contexts = StoragePresentationContexts
        self.port = port or kit.free_port()
        self.server = ae.start_server((host, self.port), block=False, evt_handlers=[
            (evt.EVT_C_STORE, self._store), (evt.EVT_ACCEPTED, self._accepted)])

    def _accepted(self, _event):
        self.associations += 1

    def _store(self, event):
        with self.lock:
            status = self.answer(self.n)
            self.n += 1
            if status == 0x0000:
                dataset = event.dataset
                dataset.file_meta = event.file_meta
                self.stored.append(dataset)
        return status

    def wait_for(self, n, timeout=60):
        end = time.monotonic() + timeout
        while len(self.stored) < n and time.monotonic() < end:
            time.sleep(0.02)
        assert len(self.stored) >= n, f'{len(self.stored)} of {n} instances came'
        return self.stored

    def stop(self):
        self.server.shutdown()


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)
        self.models = self.work / 'state' / 'models'
        kit.make_model(SCTD, self.models)

    def pacs(self, *args, **words):
        pacs = Pacs(*args, **words)
        self.addCleanup(pacs.stop)
        return pacs

    def destination(self, port, **more):
        return {'name': 'pacs', 'ae_title': 'PACS', 'host': '127.0.0.1', 'port': port,
                'no_storage_commitment': True} | more

    def daemon(self, rules=(MR_RULE,), destinations=(), **more):
        daemon = kit.Daemon(SCTD, self.work, rules=rules, destinations=destinations, **more)
        self.addCleanup(daemon.stop, signal.SIGKILL)
        return daemon.start()

    def series(self, name='source', **more):
        return kit.make_series(SCTD, self.work / name, **more)

    def converted(self, paths):
        """What `sctd convert` makes of the same files, by position."""
        output = self.work / 'converted'
        words = [w for p in paths for w in ('--input', p)]
        subprocess.run([SCTD, 'convert', '--model', 'small', '--models-dir', self.models, '--output', output, *words],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        sets = [pydicom.dcmread(p) for p in output.rglob('*.dcm')]
        return {tuple(d.ImagePositionPatient): d for d in sets}

    def assert_is_converted(self, got, paths):
        want = self.converted(paths)
        self.assertEqual(len(got), len(paths))
        self.assertEqual({tuple(d.ImagePositionPatient) for d in got}, set(want))
        for dataset in got:
            other = want[tuple(dataset.ImagePositionPatient)]
            self.assertEqual(dataset.PixelData, other.PixelData)
            for keyword in ('PatientID', 'PatientName', 'StudyInstanceUID', 'FrameOfReferenceUID', 'RescaleIntercept',
                            'ImageOrientationPatient', 'PixelSpacing', 'SeriesDescription', 'SourceImageSequence'):
                self.assertEqual(dataset[keyword].value, other[keyword].value, keyword)


class Delivered(Case):
    def test_a_series_becomes_the_sct_that_convert_writes(self):
        pacs = self.pacs()
        daemon = self.daemon(destinations=[self.destination(pacs.port)])
        paths = self.series()
        self.assertEqual(set(send(daemon.port, paths)), {0})
        complete = daemon.wait_for('series-complete')
        self.assertEqual(complete['evidence'], 'geometry')
        self.assert_is_converted(pacs.wait_for(len(paths)), paths)
        daemon.wait_for('delivery', result='stored')
        self.assertEqual(pacs.associations, 1)
        positions = [float(d.ImagePositionPatient[2]) for d in pacs.stored]
        self.assertIn(positions, (sorted(positions), sorted(positions, reverse=True)))
        self.assertEqual(daemon.stop(), 0)

    @unittest.skipUnless(kit.Orthanc.PROGRAM, 'Orthanc is not installed')
    def test_orthanc_has_it_with_storage_commitment(self):
        port = kit.free_port()
        orthanc = kit.Orthanc(self.work / 'orthanc', port)
        self.addCleanup(orthanc.stop)
        destination = self.destination(orthanc.dicom_port, no_storage_commitment=False)
        daemon = self.daemon(destinations=[destination], port=port)
        paths = self.series()
        self.assertEqual(set(send(daemon.port, paths)), {0})
        report = daemon.wait_for('storage-commitment')
        self.assertEqual((report['committed'], report['failed']), (len(paths), 0))
        self.assertEqual(len(orthanc.get('series')), 1)
        got = [pydicom.dcmread(io.BytesIO(orthanc.get_bytes(f'instances/{i}/file'))) for i in orthanc.get('instances')]
        self.assert_is_converted(got, paths)

    @unittest.skipUnless(kit.has_ipv6(), 'this machine has no IPv6')
    def test_a_destination_that_has_an_ipv6_address_only_gets_it(self):
        pacs = self.pacs(host='::1')
        destinations = [self.destination(pacs.port, host='::1'),
                        self.destination(kit.free_port(), name='down', host='::1')]
        daemon = self.daemon([MR_RULE | {'destinations': ['pacs', 'down']}], destinations)
        paths = self.series()
        send(daemon.port, paths)
        self.assert_is_converted(pacs.wait_for(len(paths)), paths)
        self.assertIn('refused', daemon.wait_for('delivery', destination='down', result='unreachable')['reason'])

    def test_a_destination_that_is_down_gets_it_when_it_is_up_and_holds_up_nobody(self):
        good, port = self.pacs(), kit.free_port()
        down = self.destination(port, name='down')
        rule = MR_RULE | {'destinations': ['down', 'pacs']}
        daemon = self.daemon([rule], [self.destination(good.port), down])
        paths = self.series()
        send(daemon.port, paths)
        good.wait_for(len(paths))
        daemon.wait_for('delivery', destination='down', result='unreachable')
        late = self.pacs(port=port)
        late.wait_for(len(paths))
        self.assertEqual({d.SOPInstanceUID for d in late.stored}, {d.SOPInstanceUID for d in good.stored})

    def test_a_broken_transfer_goes_on_where_it_stopped(self):
        pacs = self.pacs(lambda n: 0xA700 if n == 5 else 0)
        daemon = self.daemon(destinations=[self.destination(pacs.port)])
        paths = self.series()
        send(daemon.port, paths)
        daemon.wait_for('delivery', result='failed')
        daemon.wait_for('delivery', result='stored')
        self.assertEqual(len(pacs.stored), len(paths))
        self.assertEqual(pacs.n, len(paths) + 1)

    def test_what_the_pacs_refuses_for_good_is_said_and_ends(self):
        pacs = self.pacs(lambda n: 0xA900 if n == 3 else 0)
        daemon = self.daemon(destinations=[self.destination(pacs.port)])
        paths = self.series()
        send(daemon.port, paths)
        refused = daemon.wait_for('delivery', result='refused')
        self.assertIn('0xA900', refused['reason'])
        self.assertEqual(len(pacs.stored), len(paths) - 1)


    def test_a_pacs_without_commitment_is_told_from_one_that_refused(self):
        pacs = self.pacs()
        daemon = self.daemon(destinations=[self.destination(pacs.port, no_storage_commitment=False)])
        paths = self.series()
        send(daemon.port, paths)
        reason = daemon.wait_for('delivery', result='stored, not committed')['reason']
        self.assertIn('set no_storage_commitment', reason)
        self.assertEqual(len(pacs.stored), len(paths))
        job = self.sctd('job', 'show', 1)
        self.assertEqual(job['state'], 'failed')
        self.assertIn('stored, not committed', job['reason'])
        daemon.configure([MR_RULE], [self.destination(pacs.port)])  # what the reason says
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for('reloaded')
        subprocess.run([SCTD, 'job', 'retry', '1', '--config', daemon.config], check=True, stdout=subprocess.DEVNULL)
        daemon.wait_for('delivery', result='stored')
        self.assertEqual(self.sctd('job', 'show', 1)['state'], 'done')
        self.assertEqual(pacs.n, len(paths))  # nothing was sent twice

    def sctd(self, *words):
        done = subprocess.run([SCTD, *map(str, words), '--json', '--config', self.work / 'sctd.yaml'], check=True,
                              stdout=subprocess.PIPE)
        return json.loads(done.stdout)


class Completion(Case):
    def test_half_a_series_waits_and_the_rest_makes_it_whole(self):
        pacs = self.pacs()
        daemon = self.daemon(destinations=[self.destination(pacs.port)])
        paths = self.series()
        send(daemon.port, paths, abort_after=7)
        time.sleep(2)
        self.assertEqual(daemon.find('series-complete'), [])
        self.assertEqual(set(send(daemon.port, paths)), {0})
        self.assertEqual(daemon.wait_for('series-complete')['instances'], len(paths))
        self.assert_is_converted(pacs.wait_for(len(paths)), paths)

    def test_a_missing_slice_is_refused_with_the_reason(self):
        daemon = self.daemon(destinations=[self.destination(kit.free_port())])
        paths = self.series()
        send(daemon.port, paths[:5] + paths[6:])
        complete = daemon.wait_for('series-complete')
        self.assertEqual(complete['evidence'], 'quiet')
        refused = daemon.wait_for('job-attempt', result='refused')
        self.assertIn('missing-slice', refused['reason'])

    def test_a_late_instance_makes_a_revision_that_supersedes(self):
        pacs = self.pacs()
        daemon = self.daemon(destinations=[self.destination(pacs.port)])
        paths = self.series()
        send(daemon.port, paths[:-1])
        pacs.wait_for(len(paths) - 1)
        send(daemon.port, paths[-1:])
        daemon.wait_for('series-complete', revision=2)
        pacs.wait_for(2 * len(paths) - 1)
        first, second = pacs.stored[:len(paths) - 1], pacs.stored[len(paths) - 1:]
        self.assertEqual(len({d.SeriesInstanceUID for d in pacs.stored}), 2)
        self.assertFalse({d.SOPInstanceUID for d in first} & {d.SOPInstanceUID for d in second})
        self.assert_is_converted(second, paths)

    def test_our_own_sct_is_never_a_source(self):
        pacs = self.pacs()
        rule = MR_RULE | {'match': {}}
        daemon = self.daemon([rule], [self.destination(pacs.port)])
        paths = self.series()
        send(daemon.port, paths)
        pacs.wait_for(len(paths))
        back = self.work / 'back'
        back.mkdir()
        for k, dataset in enumerate(list(pacs.stored)):
            dataset.save_as(back / f'{k}.dcm', enforce_file_format=True)
        send(daemon.port, sorted(back.iterdir()), calling='PACS')
        discarded = daemon.wait_for('series-discarded')
        self.assertIn('never a source', discarded['reason'])
        self.assertEqual(len(daemon.find('series-complete')), 1)

    def test_a_series_that_no_rule_wants_is_kept_and_left(self):
        daemon = self.daemon(destinations=[self.destination(kit.free_port())])
        paths = self.series(kind='cbct')
        send(daemon.port, paths)
        self.assertIn('no rule holds', daemon.wait_for('series-discarded')['reason'])
        self.assertEqual(len(daemon.files('spool/series')), len(paths))


class Said(Case):
    """What the modality says about its series is the strongest evidence."""

    def modality(self, daemon, *contexts):
        ae = AE(ae_title='SCANNER')
        for sop_class in contexts:
            ae.add_requested_context(sop_class, '1.2.840.10008.1.2.1')
        reports = []

        def on_report(event):
            reports.append(event.event_information)
            return 0x0000, None

        association = ae.associate('127.0.0.1', daemon.port, ae_title='SCTD',
                                   evt_handlers=[(evt.EVT_N_EVENT_REPORT, on_report)])
        self.assertTrue(association.is_established)
        self.addCleanup(lambda: association.is_established and association.abort())
        return association, reports

    def references(self, paths):
        items = []
        for dataset in (pydicom.dcmread(p, stop_before_pixels=True) for p in paths):
            item = pydicom.Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
            items.append(item)
        return items

    def slow_daemon(self):
        """One that would wait for ten minutes by itself."""
        pacs = self.pacs()
        return pacs, self.daemon(destinations=[self.destination(pacs.port)],
                                 completion={'quiet_s': 600, 'closed_quiet_s': 600})

    def test_a_storage_commitment_request_closes_the_series(self):
        pacs, daemon = self.slow_daemon()
        paths = self.series()
        send(daemon.port, paths)
        association, reports = self.modality(daemon, StorageCommitmentPushModel)
        request = pydicom.Dataset()
        request.TransactionUID = '1.2.826.0.1.3680043.10.7'
        request.ReferencedSOPSequence = self.references(paths)
        status, _ = association.send_n_action(request, 1, StorageCommitmentPushModel, '1.2.840.10008.1.20.1.1')
        self.assertEqual(status.Status, 0)
        self.assertEqual(daemon.wait_for('series-complete')['evidence'], 'commitment')
        end = time.monotonic() + 20
        while not reports and time.monotonic() < end:
            time.sleep(0.02)
        self.assertEqual(len(reports[0].ReferencedSOPSequence), len(paths))
        self.assertNotIn('FailedSOPSequence', reports[0])
        self.assert_is_converted(pacs.wait_for(len(paths)), paths)

    def test_what_is_not_there_is_not_committed_and_closes_nothing(self):
        _, daemon = self.slow_daemon()
        paths = self.series()
        send(daemon.port, paths[:-1])
        association, reports = self.modality(daemon, StorageCommitmentPushModel)
        request = pydicom.Dataset()
        request.TransactionUID = '1.2.826.0.1.3680043.10.8'
        request.ReferencedSOPSequence = self.references(paths)
        association.send_n_action(request, 1, StorageCommitmentPushModel, '1.2.840.10008.1.20.1.1')
        end = time.monotonic() + 20
        while not reports and time.monotonic() < end:
            time.sleep(0.02)
        failed = reports[0].FailedSOPSequence
        self.assertEqual([f.ReferencedSOPInstanceUID for f in failed],
                         [pydicom.dcmread(paths[-1]).SOPInstanceUID])
        self.assertEqual(failed[0].FailureReason, 0x0112)
        self.assertEqual(daemon.find('series-complete'), [])

    def test_a_performed_step_says_what_a_series_will_hold(self):
        pacs, daemon = self.slow_daemon()
        paths = self.series()
        send(daemon.port, paths[:-2])
        association, _ = self.modality(daemon, ModalityPerformedProcedureStep)
        step = '1.2.826.0.1.3680043.10.9'
        begun = pydicom.Dataset()
        begun.PerformedProcedureStepStatus = 'IN PROGRESS'
        status, _ = association.send_n_create(begun, ModalityPerformedProcedureStep, step)
        self.assertEqual(status.Status, 0)
        status, _ = association.send_n_create(begun, ModalityPerformedProcedureStep, step)
        self.assertEqual(status.Status, 0x0111)
        series = pydicom.Dataset()
        series.SeriesInstanceUID = pydicom.dcmread(paths[0]).SeriesInstanceUID
        series.ReferencedImageSequence = self.references(paths)
        ended = pydicom.Dataset()
        ended.PerformedProcedureStepStatus = 'COMPLETED'
        ended.PerformedSeriesSequence = [series]
        status, _ = association.send_n_set(ended, ModalityPerformedProcedureStep, step)
        self.assertEqual(status.Status, 0)
        status, _ = association.send_n_set(ended, ModalityPerformedProcedureStep, step)
        self.assertEqual(status.Status, 0x0110)
        time.sleep(1)
        self.assertEqual(daemon.find('series-complete'), [])
        send(daemon.port, paths[-2:])
        complete = daemon.wait_for('series-complete')
        self.assertEqual((complete['evidence'], complete['instances']), ('mpps', len(paths)))
        self.assert_is_converted(pacs.wait_for(len(paths)), paths)


class Ends(Case):
    def test_a_restart_goes_on_with_everything(self):
        pacs = self.pacs()
        daemon = self.daemon(destinations=[self.destination(pacs.port)])
        paths = self.series()
        send(daemon.port, paths)
        daemon.wait_for('job-start')
        daemon.stop(signal.SIGKILL)
        daemon.start()
        self.assert_is_converted(pacs.wait_for(len(paths)), paths)
        self.assertEqual(daemon.files('spool/tmp'), [])

    def test_results_that_a_crash_left_of_a_cancelled_job_go(self):
        pacs = self.pacs()
        daemon = self.daemon(destinations=[self.destination(pacs.port)])
        paths = self.series()
        send(daemon.port, paths)
        daemon.wait_for('delivery', result='stored')
        daemon.stop()
        folder, = (self.work / 'state/results').iterdir()
        with contextlib.closing(sqlite3.connect(self.work / 'state/jobs.db')) as store, store:
            store.execute('UPDATE job SET state = 7')  # as if it had been cancelled before its result was kept
            store.execute('UPDATE output SET file_state = 2')
        daemon.start()
        self.assertEqual(daemon.wait_for('results-cleaned')['series'], 1)
        self.assertFalse(folder.exists())

    def test_any_free_port_is_named(self):
        daemon = kit.Daemon(SCTD, self.work, rules=[])
        self.addCleanup(daemon.stop, signal.SIGKILL)
        daemon.settings['listen'] = {'address': '127.0.0.1', 'port': 0}
        daemon.configure([], [])
        daemon.start()
        port = daemon.find('ready')[0]['port']
        self.assertNotIn(port, (0, 11112))
        self.assertEqual(set(send(port, self.series())), {0})

    def test_a_store_that_fails_while_it_drains_ends_it_at_once(self):
        library = pathlib.Path(SCTD).parents[1] / 'tests' / 'fault' / 'libnosync.so'
        daemon = self.daemon(destinations=[self.destination(kit.free_port())],
                             env={'LD_PRELOAD': str(library), 'SCTD_NOSYNC': 'jobs.db',
                                  'SCTD_FAILSYNC': str(self.work / 'fail')})
        ae = AE(ae_title='SCANNER')
        ae.add_requested_context('1.2.840.10008.5.1.4.1.1.4', '1.2.840.10008.1.2.1')
        association = ae.associate('127.0.0.1', daemon.port, ae_title='SCTD')
        other = ae.associate('127.0.0.1', daemon.port, ae_title='SCTD')  # and says nothing
        self.assertTrue(other.is_established)
        dataset = pydicom.dcmread(self.series()[0])
        daemon.process.send_signal(signal.SIGTERM)
        daemon.wait_for('stopping')
        (self.work / 'fail').touch()
        start = time.monotonic()
        with contextlib.suppress(Exception):
            association.send_c_store(dataset)
        self.assertEqual(daemon.process.wait(50), 1)
        self.assertLess(time.monotonic() - start, 10)  # and not the minute of grace
        self.assertTrue(daemon.find('failed'))

    def test_what_lies_in_the_spool_unknown_is_taken_in(self):
        pacs = self.pacs()
        daemon = self.daemon(destinations=[self.destination(pacs.port)])
        paths = self.series()
        send(daemon.port, paths)
        daemon.stop(signal.SIGKILL)
        for path in self.work.glob('state/jobs.db*'):
            path.unlink()
        stranger = next((self.work / 'state/spool/series').iterdir()) / ('ab' * 32 + '.dcm')
        stranger.write_bytes(b'no DICOM')
        daemon.start()
        adopted = daemon.wait_for('spool-adopted')
        self.assertEqual((adopted['files'], adopted['quarantined']), (len(paths), 1))
        self.assertEqual([p.name for p in daemon.files('spool/quarantine')], [stranger.name])
        self.assert_is_converted(pacs.wait_for(len(paths)), paths)

    def test_a_bad_configuration_changes_nothing_and_a_good_one_is_taken(self):
        pacs = self.pacs()
        daemon = self.daemon(rules=[], destinations=[self.destination(pacs.port)])
        good = daemon.config.read_text()
        daemon.config.write_text(good.replace('ae_title', 'ae_titel', 1))
        daemon.process.send_signal(signal.SIGHUP)
        self.assertIn('ae_titel', daemon.wait_for('reload-refused')['reason'])
        daemon.configure([MR_RULE], [self.destination(pacs.port)])
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for('reloaded', rules=1)
        paths = self.series()
        send(daemon.port, paths)
        pacs.wait_for(len(paths))

    def test_a_second_daemon_is_refused(self):
        daemon = self.daemon(rules=[])
        settings = json.loads(daemon.config.read_text())
        settings['listen']['port'] = kit.free_port()
        other = self.work / 'other.yaml'
        other.write_text(json.dumps(settings))
        done = subprocess.run([SCTD, 'serve', '--config', other], capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(str(daemon.process.pid), done.stderr)

    def test_a_model_that_is_not_there_is_refused_at_the_start(self):
        config = self.work / 'bad.yaml'
        config.write_text(json.dumps({'state_dir': str(self.work / 'state'),
                                      'rules': [MR_RULE | {'model': 'absent', 'destinations': []}]}))
        done = subprocess.run([SCTD, 'serve', '--config', config], capture_output=True, text=True, timeout=20,
                              check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, 'rule "mr".*absent')

    def test_what_was_delivered_goes_and_nothing_else(self):
        pacs = self.pacs()
        destinations = [self.destination(pacs.port), self.destination(kit.free_port(), name='down')]
        rules = [MR_RULE, {'name': 'ct', 'match': {'modality': 'CT'}, 'model': 'cbct', 'destinations': ['down']}]
        kit.make_model(SCTD, self.models, 'cbct', 'cbct')
        disk = os.statvfs(self.work)
        nearly_full = max(1, 100 * disk.f_bavail // disk.f_blocks - 1)
        daemon = self.daemon(rules, destinations, retention={'min_free_percent': nearly_full})
        send(daemon.port, self.series())
        kept = self.series('other', kind='cbct')
        send(daemon.port, kept)
        daemon.wait_for('delivery', destination='pacs', result='stored')
        daemon.wait_for('delivery', destination='down')
        daemon.stop()
        time.sleep(0.1)
        daemon.start()  # the first look is soon after a start
        self.assertEqual(daemon.wait_for('removed')['files'], 2 * len(pacs.stored))
        self.assertEqual(len(daemon.files('spool/series')), len(kept))
        self.assertEqual(len(daemon.files('results')), len(kept))
        self.assertEqual(len(list((self.work / 'state/results').iterdir())), 1)

    @unittest.skipUnless(FAKETIME.exists(), 'libfaketime is not installed')
    def test_a_wall_clock_that_jumps_loses_doubles_and_delays_nothing(self):
        clock = self.work / 'clock'
        pacs = self.pacs()
        clock.write_text('+1y')
        daemon = self.daemon(destinations=[self.destination(pacs.port)], completion={'quiet_s': 600, 'closed_quiet_s': 2},
                             env={'LD_PRELOAD': str(FAKETIME), 'FAKETIME_TIMESTAMP_FILE': str(clock),
                                  'FAKETIME_NO_CACHE': '1', 'FAKETIME_DONT_FAKE_MONOTONIC': '1'})
        self.assertEqual(int(daemon.find('ready')[0]['time'][:4]), time.gmtime(time.time() + 365 * 86400).tm_year)
        paths = self.series()
        send(daemon.port, paths)
        for step in ('-1h', '-3y', '+2y', '+0'):
            clock.write_text(step)
            time.sleep(0.3)
        self.assert_is_converted(pacs.wait_for(len(paths), 20), paths)
        daemon.wait_for('delivery', result='stored')
        self.assertEqual(len(daemon.find('job-start')), 1)
        self.assertEqual(len(pacs.stored), len(paths))

    def test_the_log_names_no_patient(self):
        pacs = self.pacs()
        daemon = self.daemon(destinations=[self.destination(pacs.port)])
        paths = self.series()
        source = pydicom.dcmread(paths[0])
        send(daemon.port, paths)
        pacs.wait_for(len(paths))
        daemon.stop()
        text = json.dumps(daemon.events)
        self.assertNotIn(str(source.PatientName), text)
        self.assertNotIn(source.PatientID, text)


if __name__ == '__main__':
    SCTD = os.path.abspath(sys.argv.pop(1))
    unittest.main()
