#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reports of storage commitment on the association that asked, sound and hostile.
usage: deliver_reports.py /path/to/sctd [unittest options]"""
import io
import os
import queue
import struct
import sys
import threading
import time
import unittest

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
from pydicom.dataset import Dataset  # noqa: E402
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian  # noqa: E402
from pynetdicom import evt  # noqa: E402
from pynetdicom.dimse_primitives import N_EVENT_REPORT  # noqa: E402
from pynetdicom.dsutils import encode  # noqa: E402
from pynetdicom.sop_class import StorageCommitmentPushModel  # noqa: E402

from kit.delivering import COMMITMENT_INSTANCE, SLICES, Case, Pacs  # noqa: E402
from kit import reactor  # noqa: E402,F401
from kit import delivering  # noqa: E402

DEEP, LARGE = 100000, 9 << 20 # more levels than a stack has room for; more bytes than a report may have


def nested(levels):
    """Referenced SOP Sequence (0008,1199) in an item of itself, explicit VR, undefined lengths."""
    begin = struct.pack('<HH2sHIHHI', 0x0008, 0x1199, b'SQ', 0, 0xffffffff, 0xfffe, 0xe000, 0xffffffff)
    end = struct.pack('<HHIHHI', 0xfffe, 0xe00d, 0, 0xfffe, 0xe0dd, 0)
    return begin * levels + end * levels


class ReportingPacs(Pacs):
    """Reports what `make(transaction, uids, implicit)` makes, as the given event; `statuses` has what is answered."""

    def __init__(self, make, event=1, syntax=ExplicitVRLittleEndian):
        super().__init__(commitment=lambda n, uids: None)
        self.make, self.event_type, self.statuses = make, event, queue.Queue()
        self.ae.remove_supported_context(StorageCommitmentPushModel)
        self.server.shutdown()
        self.ae.add_supported_context(StorageCommitmentPushModel, syntax)
        self.server = self.ae.start_server(('127.0.0.1', self.port), block=False, evt_handlers=[
            (evt.EVT_C_STORE, self._store), (evt.EVT_ACCEPTED, self._accepted), (evt.EVT_N_ACTION, self._ask)])

    def _ask(self, event):
        request = event.action_information
        uids = [item.ReferencedSOPInstanceUID for item in request.ReferencedSOPSequence]
        self.requests.append((request.TransactionUID, uids))
        context = event.context
        data = self.make(request.TransactionUID, uids, context.transfer_syntax.is_implicit_VR)
        threading.Thread(target=self._say, args=(event.assoc, context.context_id, data)).start()
        return 0x0000, None

    def _say(self, association, context_id, data):
        """As Association.send_n_event_report, but for data that pydicom would not write."""
        time.sleep(0.2)
        said = N_EVENT_REPORT()
        said.MessageID, said.EventTypeID = 7, self.event_type
        said.AffectedSOPClassUID, said.AffectedSOPInstanceUID = StorageCommitmentPushModel, COMMITMENT_INSTANCE
        said.EventInformation = io.BytesIO(data)
        # pylint: disable=protected-access
        association._reactor_checkpoint.clear()
        while not association._is_paused:
            time.sleep(0.001)
        association.dimse.send_msg(said, context_id)
        _, answer = association.dimse.get_msg(block=True)
        association._reactor_checkpoint.set()
        self.statuses.put(None if answer is None else answer.Status)


def report(transaction, uids, implicit, padding=0):
    said = Dataset()
    said.TransactionUID, said.ReferencedSOPSequence = transaction, []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, uid
        said.ReferencedSOPSequence.append(item)
    if padding:
        said.add_new(0x00091010, 'OB', bytes(padding))
        said.add_new(0x00090010, 'LO', 'TEST')
    return encode(said, implicit, True)


class Reports(Case):
    def ask(self, make, **words):
        pacs = ReportingPacs(make, **words)
        self.addCleanup(pacs.stop)
        tool = self.tool(self.destination(pacs.port), report_ms=5000, answer_ms=8000)
        tool.job('a', self.series(), commitment=True)
        return tool, pacs.statuses.get(timeout=30)

    def assert_refused(self, want, make, **words):
        """Told so, and the job waits on for a report."""
        tool, status = self.ask(make, **words)
        self.assertEqual(status, want)
        tool.wait_for('delivery', result='asked for commitment')
        self.assertEqual(tool.show()[:3], ('committing', SLICES, 0))

    def assert_understood(self, syntax):
        tool, status = self.ask(report, syntax=syntax)
        self.assertEqual(status, 0)
        tool.wait_for('delivery', result='committed')
        self.assertEqual(tool.show()[:3], ('done', SLICES, SLICES))

    def test_explicit_vr_is_understood(self):
        self.assert_understood(ExplicitVRLittleEndian)

    def test_implicit_vr_is_understood(self):
        self.assert_understood(ImplicitVRLittleEndian)

    def test_sequences_deeper_than_a_stack_are_refused(self):
        self.assert_refused(0x0115, lambda *_: nested(DEEP))

    def test_a_report_that_ends_in_the_middle_is_refused(self):
        self.assert_refused(0x0115, lambda *a: report(*a)[:-4])

    def test_a_report_without_a_transaction_is_refused(self):
        self.assert_refused(0x0115, lambda *_: nested(1))

    def test_a_report_larger_than_any_is_refused(self):
        self.assert_refused(0x0213, lambda *a: report(*a, padding=LARGE))

    def test_an_event_that_is_none_is_refused(self):
        self.assert_refused(0x0113, report, event=3)


if __name__ == '__main__':
    delivering.SCTD = os.path.abspath(sys.argv.pop(1))
    unittest.main()
