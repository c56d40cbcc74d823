#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A modality that asks for storage commitment and does not wait for the report: pynetdicom asks, ends its association,
and is told on one that the daemon opens to it.
usage: serve_reports.py /path/to/sctd [unittest options]"""
import datetime
import os
import pathlib
import re
import signal
import sys
import tempfile
import threading
import time
import unittest

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
import pydicom  # noqa: E402
from pynetdicom import AE, evt  # noqa: E402
from pynetdicom.sop_class import MRImageStorage, StorageCommitmentPushModel, Verification  # noqa: E402

from kit import reactor  # noqa: E402,F401
from kit import daemon as kit  # noqa: E402
from kit.http import Client, section  # noqa: E402

SCTD = None
COMMITMENT = '1.2.840.10008.1.20.1.1'  # the well-known instance
REFUSED = 0x0110
NO_SUCH_INSTANCE = 0x0112


class Listening:
    """Where the modality hears reports; `answer` gives the status of the nth."""

    def __init__(self, port, answer=lambda n: 0x0000, negotiates=True, title='SCANNER'):
        self.reports, self.roles, self.callers, self.answer = [], [], [], answer
        self.ae = ae = AE(ae_title=title)
        roles = {'scu_role': False, 'scp_role': True} if negotiates else {}
        ae.add_supported_context(StorageCommitmentPushModel, **roles)
        ae.add_supported_context(Verification)
        ae.require_called_aet = True
        self.server = ae.start_server(('127.0.0.1', port), block=False,
                                      evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._report)])

    def _report(self, event):
        proposed = event.assoc.requestor.role_selection.get(StorageCommitmentPushModel)
        self.roles.append((proposed.scu_role, proposed.scp_role) if proposed else None)
        self.callers.append(event.assoc.requestor.ae_title)
        self.reports.append((event.event_type, event.event_information))
        return self.answer(len(self.reports) - 1), None

    def stop(self):
        self.server.shutdown()


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)
        self.port = kit.free_port()

    def daemon(self, peers=None, destinations=(), **more):
        peers = [{'ae_title': 'SCAN*', 'report_port': self.port}] if peers is None else peers
        daemon = kit.Daemon(SCTD, self.work, rules=[{'name': 'none', 'ignore': True}], destinations=destinations,
                            peers=peers, completion={'quiet_s': 600, 'closed_quiet_s': 600}, **more)
        self.addCleanup(daemon.stop, signal.SIGKILL)
        return daemon.start()

    def listening(self, *args, **words):
        listening = Listening(self.port, *args, **words)
        self.addCleanup(listening.stop)
        return listening

    def ask(self, daemon, transaction, kept=3, missing=0, answer=None):
        """Store some, ask for commitment of these and others, and end before the report is answered.
        answer: refuse the report with this status rather than to abort."""
        paths = kit.make_series(SCTD, self.work / transaction, slices=12)[:kept]
        ae = AE(ae_title='SCANNER')
        for sop_class in (MRImageStorage, StorageCommitmentPushModel):
            ae.add_requested_context(sop_class, '1.2.840.10008.1.2.1')
        told, asked = [], threading.Event()

        def on_report(event):
            asked.wait(5)  # until the answer to the request has been taken in
            told.append(event)
            if answer is None:
                event.assoc.abort()
            return answer or 0, None

        association = ae.associate('127.0.0.1', daemon.port, ae_title='SCTD',
                                   evt_handlers=[(evt.EVT_N_EVENT_REPORT, on_report)])
        self.assertTrue(association.is_established)
        request = pydicom.Dataset()
        request.TransactionUID = transaction
        request.ReferencedSOPSequence = []
        uids = []
        for path in paths:
            dataset = pydicom.dcmread(path)
            self.assertEqual(association.send_c_store(dataset).Status, 0)
            uids.append(dataset.SOPInstanceUID)
        for uid in [*uids, *(f'1.2.3.{k}' for k in range(missing))]:
            item = pydicom.Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = MRImageStorage, uid
            request.ReferencedSOPSequence.append(item)
        status, _ = association.send_n_action(request, 1, StorageCommitmentPushModel, COMMITMENT)
        asked.set()
        self.assertEqual(status.Status, 0)
        end = time.monotonic() + 20
        while not told and time.monotonic() < end:
            time.sleep(0.01)
        self.assertEqual(len(told), 1)
        if answer is not None:
            time.sleep(0.2)  # for the answer to leave
            association.release()
        return uids

    def heard(self, listening, n=1, timeout=30):
        end = time.monotonic() + timeout
        while len(listening.reports) < n and time.monotonic() < end:
            time.sleep(0.02)
        self.assertEqual(len(listening.reports), n)
        return listening.reports[-1]


class Told(Case):
    def test_a_modality_that_aborted_is_told_on_an_association_of_ours(self):
        listening, daemon = self.listening(), self.daemon()
        uids = self.ask(daemon, '1.2.826.0.1.3680043.10.1')
        event, report = self.heard(listening)
        self.assertEqual((event, report.TransactionUID), (1, '1.2.826.0.1.3680043.10.1'))
        self.assertEqual([i.ReferencedSOPInstanceUID for i in report.ReferencedSOPSequence], uids)
        self.assertEqual({i.ReferencedSOPClassUID for i in report.ReferencedSOPSequence}, {MRImageStorage})
        self.assertNotIn('FailedSOPSequence', report)
        self.assertEqual(listening.roles, [(False, True)])
        self.assertEqual(listening.callers, ['SCTD'])
        self.assertEqual(daemon.wait_for('storage-commitment-report', result='heard')['instances'], 3)
        self.assertEqual(daemon.find('storage-commitment-unreported'), [])

    def test_one_that_would_not_hear_it_then_is_told_again_and_what_is_missing_is_said(self):
        listening, daemon = self.listening(), self.daemon()
        uids = self.ask(daemon, '1.2.826.0.1.3680043.10.2', kept=2, missing=2, answer=REFUSED)
        event, report = self.heard(listening)
        self.assertEqual(event, 2)
        self.assertEqual([i.ReferencedSOPInstanceUID for i in report.ReferencedSOPSequence], uids)
        self.assertEqual([(i.ReferencedSOPInstanceUID, i.FailureReason) for i in report.FailedSOPSequence],
                         [('1.2.3.0', NO_SUCH_INSTANCE), ('1.2.3.1', NO_SUCH_INSTANCE)])

    def test_one_that_knows_no_roles_is_told_too(self):
        listening, daemon = self.listening(negotiates=False), self.daemon()
        self.ask(daemon, '1.2.826.0.1.3680043.10.3')
        self.heard(listening)
        daemon.wait_for('storage-commitment-report', result='heard')

    def test_one_that_is_down_is_told_when_it_is_up(self):
        daemon = self.daemon()
        self.ask(daemon, '1.2.826.0.1.3680043.10.4')
        later = daemon.wait_for('storage-commitment-report', result='again later', attempt=2)
        self.assertIn('no association with SCANNER', later['reason'])
        listening = self.listening()
        self.heard(listening)
        daemon.wait_for('storage-commitment-report', result='heard')

    def test_one_that_refuses_at_first_is_told_again_and_once_only(self):
        daemon = self.daemon()
        listening = self.listening(lambda n: REFUSED if n == 0 else 0)
        self.ask(daemon, '1.2.826.0.1.3680043.10.5')
        self.heard(listening, n=2)
        self.assertIn('0x0110', daemon.wait_for('storage-commitment-report', result='again later')['reason'])
        daemon.wait_for('storage-commitment-report', result='heard')
        time.sleep(5)
        self.assertEqual(len(listening.reports), 2)

    def test_what_was_promised_outlives_the_daemon(self):
        for sig in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(sig=sig):
                daemon = self.daemon()
                uids = self.ask(daemon, f'1.2.826.0.1.3680043.10.6.{int(sig)}')
                daemon.wait_for('storage-commitment-report', result='again later')
                daemon.stop(sig)
                listening = Listening(self.port)
                try:
                    daemon.start()
                    _, report = self.heard(listening)
                    self.assertEqual(len(report.ReferencedSOPSequence), len(uids))
                    daemon.wait_for('storage-commitment-report', result='heard')
                    daemon.stop()
                    daemon.start()  # and then it is done with
                    time.sleep(2)
                    self.assertEqual(len(listening.reports), 1)
                    daemon.stop()
                finally:
                    listening.stop()

    def test_a_destination_with_its_title_is_its_address(self):
        listening = self.listening()
        daemon = self.daemon(peers=[], destinations=[{'name': 'scanner', 'ae_title': 'SCANNER', 'host': '127.0.0.1',
                                                      'port': self.port}])
        self.ask(daemon, '1.2.826.0.1.3680043.10.7')
        self.heard(listening)


class Watched(Case):
    """What Prometheus, scripts and the dashboard read of it meanwhile."""

    def metrics(self, client):
        return {name: float(value) for name, value in re.findall(
            r'^(sctd_commitment_\S+) (\S+)$', client.get('/metrics').body.decode(), re.MULTILINE)}

    def reports(self, client, **outcomes):
        """The counters are those, and all others 0."""
        told = {key: value for key, value in self.metrics(client).items() if 'total' in key}
        self.assertEqual(told, {f'sctd_commitment_reports_total{{outcome="{name}"}}': outcomes.get(name, 0)
                                for name in ('heard', 'heard_later', 'given_up', 'lost')})

    def wait_owed(self, client, n):
        return client.wait('/api/v1/status', lambda status: sum(m['reports'] for m in status['reports_owed']) == n)['reports_owed']

    def test_what_is_owed_rises_and_falls(self):
        listening, daemon = self.listening(), self.daemon(http=section())
        listening.ae.require_calling_aet = ['SOMEBODY']  # refuses the association
        client, begin = Client(daemon), time.time()
        self.assertEqual(self.wait_owed(client, 0), [])
        self.assertEqual((self.metrics(client)['sctd_commitment_reports_owed'],
                          self.metrics(client)['sctd_commitment_reports_owed_oldest_seconds']), (0, 0))
        self.ask(daemon, '1.2.826.0.1.3680043.10.20')
        self.ask(daemon, '1.2.826.0.1.3680043.10.21', kept=2, missing=2)
        daemon.wait_for('storage-commitment-report', result='again later', attempt=2)
        owed = self.wait_owed(client, 2)
        self.assertEqual([(m['ae_title'], m['reports'], m['instances']) for m in owed], [('SCANNER', 2, 7)])
        self.assertGreaterEqual(owed[0]['attempts'], 2)
        self.assertIn('SCANNER rejects the association', owed[0]['reason'])
        since = datetime.datetime.fromisoformat(owed[0]['since'].replace('Z', '+00:00')).timestamp()
        self.assertTrue(begin - 1 <= since <= time.time(), (begin, owed))
        metrics = self.metrics(client)
        self.assertEqual(metrics['sctd_commitment_reports_owed'], 2)
        self.assertAlmostEqual(metrics['sctd_commitment_reports_owed_oldest_seconds'], time.time() - since, delta=2)
        self.reports(client)
        trouble = [t for t in client.get('/api/v1/diagnosis').json['items'] if t['kind'] == 'report_owed']
        self.assertEqual([(t['ae_title'], t['severity']) for t in trouble], [('SCANNER', 'warning')])
        self.assertIn('report_port', trouble[0]['mend'])
        daemon.stop()
        daemon.start()  # it is the store that knows
        client = Client(daemon)
        self.assertEqual(self.metrics(client)['sctd_commitment_reports_owed'], 2)
        self.assertGreater(self.metrics(client)['sctd_commitment_reports_owed_oldest_seconds'], time.time() - since - 2)
        listening.ae.require_calling_aet = []
        self.heard(listening, n=2)
        self.assertEqual(self.wait_owed(client, 0), [])
        self.assertEqual([t for t in client.get('/api/v1/diagnosis').json['items'] if t['kind'] == 'report_owed'], [])
        metrics = self.metrics(client)
        self.assertEqual((metrics['sctd_commitment_reports_owed'], metrics['sctd_commitment_reports_owed_oldest_seconds']), (0, 0))
        self.reports(client, heard_later=2)

    def test_one_that_waits_is_counted_as_heard_and_one_without_an_address_as_lost(self):
        daemon = self.daemon(peers=[], http=section())
        client = Client(daemon)
        self.ask(daemon, '1.2.826.0.1.3680043.10.22', answer=0x0000)
        daemon.wait_for('association-end')
        self.reports(client, heard=1)
        self.ask(daemon, '1.2.826.0.1.3680043.10.23')
        daemon.wait_for('storage-commitment-unreported')
        self.reports(client, heard=1, lost=1)
        self.assertEqual(self.wait_owed(client, 0), [])


class Untold(Case):
    def test_without_an_address_it_is_said_with_the_mend(self):
        listening, daemon = self.listening(), self.daemon(peers=[])
        self.ask(daemon, '1.2.826.0.1.3680043.10.8')
        self.assertIn('report_port', daemon.wait_for('storage-commitment-unreported')['reason'])
        time.sleep(1)
        self.assertEqual(listening.reports, [])

    def test_a_hung_modality_holds_up_no_other_and_no_end(self):
        daemon = self.daemon()
        listening = self.listening(lambda n: time.sleep(15) or 0)
        self.ask(daemon, '1.2.826.0.1.3680043.10.9')
        self.heard(listening)  # and answers in 15 s
        start = time.monotonic()
        self.assertEqual(daemon.stop(), 0)
        self.assertLess(time.monotonic() - start, 10)


if __name__ == '__main__':
    SCTD = os.path.abspath(sys.argv.pop(1))
    unittest.main()
