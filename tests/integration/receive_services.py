#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What peers say about instances: pynetdicom as a PACS that reports what it has committed itself to, and as a
modality that asks for storage commitment and tells what it performs.
usage: receive_services.py /path/to/sctd [unittest options]"""
import json
import os
import pathlib
import signal
import struct
import sys
import tempfile
import time
import unittest
import urllib.request

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
import pydicom  # noqa: E402
import pydicom.config  # noqa: E402
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian  # noqa: E402
from pynetdicom import AE, build_context, build_role, evt  # noqa: E402
from pynetdicom.sop_class import (CTImageStorage, ModalityPerformedProcedureStep, MRImageStorage,  # noqa: E402
                                  ProceduralEventLogging, StorageCommitmentPushModel)

from kit import reactor  # noqa: E402,F401
from kit import daemon, receiving  # noqa: E402

SCTD = None
pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE  # some are bad on purpose
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
COMMITMENT = '1.2.840.10008.1.20.1.1'  # the well-known instance
SUCCESS, FAILED, DUPLICATE, NO_SUCH_INSTANCE, NO_SUCH_EVENT, INVALID = 0, 0x0110, 0x0111, 0x0112, 0x0113, 0x0115
NO_SUCH_ACTION, OUT_OF_ROLE, NO_ROOM, CONFLICT = 0x0123, 0x0211, 0x0213, 0xC001
BOTH = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
ABORT = 7


def reference(number, sop_class=MRImageStorage, reason=None):
    item = pydicom.Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = f'1.2.3.{number}'
    if reason is not None:
        item.FailureReason = reason
    return item


def commitment(transaction, committed=(), failed=()):
    dataset = pydicom.Dataset()
    dataset.TransactionUID = transaction
    if committed:
        dataset.ReferencedSOPSequence = list(committed)
    if failed:
        dataset.FailedSOPSequence = list(failed)
    return dataset


def step(status, *series):
    """series: (UID, numbers of images, numbers of other instances)."""
    dataset = pydicom.Dataset()
    if status is not None:
        dataset.PerformedProcedureStepStatus = status
    dataset.PatientName = 'Nobody^Special'
    dataset.PerformedSeriesSequence = []
    for uid, images, others in series:
        item = pydicom.Dataset()
        item.SeriesInstanceUID = uid
        item.ProtocolName = 'T1'
        item.ReferencedImageSequence = [reference(k) for k in images]
        item.ReferencedNonImageCompositeSOPInstanceSequence = [reference(k) for k in others]
        dataset.PerformedSeriesSequence.append(item)
    return dataset


class Peer:
    """An association of pynetdicom's, which notes the reports that it gets."""

    def __init__(self, door, *classes, syntaxes=BOTH, roles=(), answer=SUCCESS, calling='PEER', delay=0):
        ae = AE(ae_title=calling)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 30
        ae.requested_contexts = [build_context(c, syntaxes) for c in classes]
        self.answer, self.delay = answer, delay
        self.reports = []
        self.association = ae.associate('127.0.0.1', door.port, ae_title='SCTD', ext_neg=list(roles),
                                        evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._report)])

    def _report(self, event):
        self.reports.append((event.event_type, event.event_information))
        time.sleep(self.delay)
        return self.answer, None

    def __enter__(self):
        assert self.association.is_established
        return self

    def __exit__(self, *_):
        if self.association.is_established:
            self.association.release()

    def ask(self, dataset, action=1, instance=COMMITMENT):
        return self.association.send_n_action(dataset, action, StorageCommitmentPushModel, instance)[0].Status

    def tell(self, dataset, event=1, instance=COMMITMENT):
        return self.association.send_n_event_report(dataset, event, StorageCommitmentPushModel, instance)[0].Status

    def create(self, dataset, uid):
        return self.association.send_n_create(dataset, ModalityPerformedProcedureStep, uid)[0].Status

    def set(self, dataset, uid):
        return self.association.send_n_set(dataset, ModalityPerformedProcedureStep, uid)[0].Status

    def store(self, number, sop_class=MRImageStorage, syntax=ExplicitVRLittleEndian):
        dataset = pydicom.Dataset()
        dataset.SOPClassUID = sop_class
        dataset.SOPInstanceUID = f'1.2.3.{number}'
        dataset.StudyInstanceUID = '1.2.4'
        dataset.SeriesInstanceUID = '1.2.5'
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax
        return self.association.send_c_store(dataset).Status

    def wait_for_reports(self, count):
        end = time.monotonic() + 20
        while len(self.reports) < count and time.monotonic() < end:
            time.sleep(0.005)
        return self.reports


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.work = pathlib.Path(folder.name)
        self.addCleanup(folder.cleanup)

    def door(self, **options):
        door = receiving.Door(SCTD, self.work, **options)
        self.addCleanup(door.stop)
        return door


SCP = build_role(StorageCommitmentPushModel, scp_role=True)


class Reporting(Case):
    """A PACS opens an association and reports: it is the SCP of what it has opened."""

    def test_a_report_is_kept_whatever_the_transfer_syntax_and_the_role(self):
        door = self.door(transaction=['2.25.1'])
        for syntax in BOTH:
            for roles in ([SCP], [], [build_role(StorageCommitmentPushModel, scu_role=True, scp_role=True)]):
                with Peer(door, StorageCommitmentPushModel, syntaxes=[syntax], roles=roles) as pacs:
                    self.assertEqual(pacs.tell(commitment('2.25.1', [reference(1), reference(2)])), SUCCESS)
        self.assertEqual(door.count(r'report PEER 2\.25\.1 \+1\.2\.3\.1 \+1\.2\.3\.2 2 0'), 6)
        door.wait_for('ended 6 released stored 0 refused 0 told 1')

    def test_the_role_that_a_pacs_asks_for_is_granted(self):
        door = self.door()
        with Peer(door, StorageCommitmentPushModel, MRImageStorage, roles=[SCP]) as pacs:
            context = {c.abstract_syntax: c for c in pacs.association.accepted_contexts}[StorageCommitmentPushModel]
            self.assertEqual((context.as_scu, context.as_scp), (False, True))
        uid = StorageCommitmentPushModel.encode()
        role = receiving.item(0x54, struct.pack('>H', len(uid)) + uid + b'\0\1')
        with receiving.Raw(door) as raw:
            answer = raw.associate(contexts=[(StorageCommitmentPushModel, ExplicitVRLittleEndian)], user=role)
            self.assertIn(role, answer)
            raw.send(receiving.pdata(action(), is_command=True) + receiving.pdata(referring('2.25.1')))
            self.assertEqual(status_of(raw.pdu()[1]), OUT_OF_ROLE)

    def test_failures_come_with_their_reasons(self):
        door = self.door(transaction=['2.25.1'])
        with Peer(door, StorageCommitmentPushModel, roles=[SCP]) as pacs:
            no_reason = reference(5)
            report = commitment('2.25.1', [reference(1)], [reference(3, reason=0x0112), no_reason])
            self.assertEqual(pacs.tell(report, event=2), SUCCESS)
            self.assertEqual(pacs.tell(commitment('2.25.1', [], [reference(4, reason=0x0119)]), event=2), SUCCESS)
        # those that failed come last first
        self.assertEqual(door.count(r'report PEER 2\.25\.1 \+1\.2\.3\.1 -1\.2\.3\.5:0110 -1\.2\.3\.3:0112 1 2'), 1)
        self.assertEqual(door.count(r'report PEER 2\.25\.1 -1\.2\.3\.4:0119 0 1'), 1)

    def test_what_we_have_not_asked_for_is_no_success(self):
        door = self.door(transaction=['2.25.1'])
        with Peer(door, StorageCommitmentPushModel, roles=[SCP]) as pacs:
            self.assertEqual(pacs.tell(commitment('2.25.9', [reference(1)])), FAILED)
            self.assertEqual(pacs.tell(commitment('2.25.1', [reference(1)]), event=3), NO_SUCH_EVENT)
            self.assertEqual(pacs.tell(commitment('2.25.1', [reference(1)]), instance='1.2.3'), NO_SUCH_INSTANCE)
            self.assertEqual(pacs.tell(commitment('x', [reference(1)])), INVALID)
            self.assertEqual(pacs.tell(commitment('2.25.1', [pydicom.Dataset()])), INVALID)
            self.assertEqual(pacs.tell(commitment('2.25.1', [reference('../..')])), INVALID)
            self.assertEqual(pacs.tell(commitment('2.25.1', [reference(1)])), SUCCESS)  # and it goes on
        self.assertEqual(door.count('report .*'), 2)

    def test_a_report_of_thousands_arrives_whole(self):
        door = self.door(transaction=['2.25.1'])
        with Peer(door, StorageCommitmentPushModel, roles=[SCP]) as pacs:
            began = time.monotonic()
            self.assertEqual(pacs.tell(commitment('2.25.1', map(reference, range(20000)))), SUCCESS)
            self.assertLess(time.monotonic() - began, 20)
        door.wait_for(r'report PEER 2\.25\.1 .* 20000 0')


class Committing(Case):
    """A modality asks; we are the SCP."""

    def test_a_request_is_answered_and_reported_on_the_same_association(self):
        door = self.door()
        for number, syntax in enumerate(BOTH):
            transaction = f'2.25.{number}'
            with Peer(door, MRImageStorage, StorageCommitmentPushModel, syntaxes=[syntax]) as peer:
                self.assertEqual(peer.store(1, syntax=syntax), SUCCESS if number == 0 else CONFLICT)
                self.assertEqual(peer.ask(commitment(transaction, [reference(1)])), SUCCESS)
                (event, information), = peer.wait_for_reports(1)
                self.assertEqual((event, information.TransactionUID), (1, transaction))
                self.assertEqual([(r.ReferencedSOPClassUID, r.ReferencedSOPInstanceUID)
                                  for r in information.ReferencedSOPSequence], [(MRImageStorage, '1.2.3.1')])
                self.assertNotIn('FailedSOPSequence', information)
                door.wait_for(f'reported PEER {transaction}')
        self.assertEqual(door.count('unreported .*'), 0)

    def test_what_is_not_kept_fails_with_its_reason(self):
        door = self.door()
        with Peer(door, MRImageStorage, StorageCommitmentPushModel) as peer:
            peer.store(1)
            peer.store(2)
            asked = [reference(1), reference(2, CTImageStorage), reference(3)]
            self.assertEqual(peer.ask(commitment('2.25.1', asked)), SUCCESS)
            (event, information), = peer.wait_for_reports(1)
            self.assertEqual(event, 2)
            self.assertEqual([r.ReferencedSOPInstanceUID for r in information.ReferencedSOPSequence], ['1.2.3.1'])
            self.assertEqual([(r.ReferencedSOPInstanceUID, r.ReferencedSOPClassUID, r.FailureReason)
                              for r in information.FailedSOPSequence],
                             [('1.2.3.2', CTImageStorage, 0x0119), ('1.2.3.3', MRImageStorage, 0x0112)])

    def test_requests_go_on_while_a_report_is_out(self):
        door = self.door()
        with Peer(door, MRImageStorage, StorageCommitmentPushModel, delay=0.3) as peer:
            for number in range(3):
                self.assertEqual(peer.store(number), SUCCESS)
                self.assertEqual(peer.ask(commitment(f'2.25.{number}', [reference(number)])), SUCCESS)
            reports = peer.wait_for_reports(3)
            self.assertEqual([r.TransactionUID for _, r in reports], ['2.25.0', '2.25.1', '2.25.2'])
            door.wait_for('reported PEER 2.25.2')

    def test_a_report_that_nobody_hears_is_left_for_another_association(self):
        door = self.door(max_peer=64)
        asked = receiving.pdata(action(), is_command=True) + receiving.pdata(referring('2.25.7'))
        ways = {
            'release': lambda raw: (raw.send(receiving.RELEASE), raw.pdu()),
            'abort': lambda raw: raw.send(bytes((7, 0, 0, 0, 0, 4, 0, 0, 0, 0))),
            'gone': lambda raw: raw.socket.close(),
            'no thanks': lambda raw: (raw.send(receiving.pdata(event_answer(FAILED), is_command=True)),
                                      raw.send(receiving.RELEASE), raw.pdu()),
            'answer to nothing': lambda raw: (raw.send(receiving.pdata(event_answer(SUCCESS, message=77),
                                                                       is_command=True)), raw.pdu()),
        }
        for number, (name, end) in enumerate(ways.items(), 1):
            with self.subTest(name), receiving.Raw(door) as raw:
                raw.associate(contexts=[(StorageCommitmentPushModel, ExplicitVRLittleEndian)])
                raw.send(asked)
                self.assertEqual(status_of(raw.pdu()[1]), SUCCESS)
                self.assertIn(receiving.element(0, 0x0100, b'\0\1'), raw.pdu()[1])  # N-EVENT-REPORT-RQ
                end(raw)
                door.wait_for(f'ended {number} .*')
                self.assertEqual(door.count('unreported RAW 2.25.7 0 of 1'), number)
        self.assertEqual(door.count('reported .*'), 0)

    def test_a_killed_receiver_leaves_its_reports_too(self):
        door = self.door(spares=0)
        with receiving.Raw(door) as raw:
            raw.associate(contexts=[(StorageCommitmentPushModel, ExplicitVRLittleEndian)])
            raw.send(receiving.pdata(action(), is_command=True) + receiving.pdata(referring('2.25.1')))
            self.assertEqual(status_of(raw.pdu()[1]), SUCCESS)
            victim, = door.receivers()
            os.kill(victim, signal.SIGKILL)
            door.wait_for('unreported RAW 2.25.1 0 of 1')
            door.wait_for('ended 1 died 9')

    def test_requests_that_make_no_sense_are_refused(self):
        door = self.door()
        with Peer(door, StorageCommitmentPushModel, answer=SUCCESS) as peer:
            self.assertEqual(peer.ask(commitment('2.25.1', [reference(1)]), action=2), NO_SUCH_ACTION)
            self.assertEqual(peer.ask(commitment('2.25.1', [reference(1)]), instance='1.2.3'), NO_SUCH_INSTANCE)
            self.assertEqual(peer.ask(commitment('2.25.1')), INVALID)
            self.assertEqual(peer.ask(commitment('1..2', [reference(1)])), INVALID)
            self.assertEqual(peer.reports, [])
        self.assertEqual(door.count('commitment .*'), 0)

    def test_as_many_reports_as_can_wait(self):
        door = self.door(max_peer=64)
        with receiving.Raw(door) as raw:
            raw.associate(contexts=[(StorageCommitmentPushModel, ExplicitVRLittleEndian)])
            statuses = []
            for number in range(6):
                uid = f'2.25.{number}'
                raw.send(receiving.pdata(action(), is_command=True) + receiving.pdata(referring(uid)))
                while True:
                    body = raw.pdu()[1]
                    if receiving.element(0, 0x0100, b'\x30\x81') in body:
                        statuses.append(status_of(body))
                        break
            self.assertEqual(statuses, [SUCCESS] * 4 + [NO_ROOM] * 2)
        door.wait_for('ended 1 .*')
        self.assertEqual(door.count('unreported .*'), 4)


class Performing(Case):
    """A modality tells what it makes."""

    def test_a_step_from_its_creation_to_its_completion(self):
        door = self.door()
        for number, (end, syntax) in enumerate((('COMPLETED', ImplicitVRLittleEndian),
                                                ('DISCONTINUED', ExplicitVRLittleEndian)), 1):
            uid = f'2.25.{number}'
            with Peer(door, ModalityPerformedProcedureStep, syntaxes=[syntax]) as peer:
                self.assertEqual(peer.create(step('IN PROGRESS'), uid), SUCCESS)
                self.assertEqual(peer.set(step(None, ('1.2.8', [1], [])), uid), SUCCESS)
                self.assertEqual(peer.set(step(end, ('1.2.8', [1, 2, 3], [7]), ('1.2.9', [], []),
                                               ('1.2.10', [], [4])), uid), SUCCESS)
            door.wait_for(f'performed new {uid} in-progress 0')
            door.wait_for(f'performed set {uid} unsaid 1.2.8:1:1.2.3.1 1')
            door.wait_for(f'performed set {uid} {end.lower()} 1.2.8:4:1.2.3.7 1.2.10:1:1.2.3.4 2')

    def test_steps_that_are_there_unknown_or_over(self):
        door = self.door()
        with Peer(door, ModalityPerformedProcedureStep) as peer:
            self.assertEqual(peer.set(step('COMPLETED'), '2.25.1'), NO_SUCH_INSTANCE)
            self.assertEqual(peer.create(step('IN PROGRESS'), '2.25.1'), SUCCESS)
            self.assertEqual(peer.create(step('IN PROGRESS'), '2.25.1'), DUPLICATE)
            self.assertEqual(peer.set(step('COMPLETED'), '2.25.1'), SUCCESS)
            answer = peer.association.send_n_set(step('COMPLETED'), ModalityPerformedProcedureStep, '2.25.1')[0]
            self.assertEqual(answer.Status, FAILED)
            self.assertEqual(answer.ErrorComment, 'Performed Procedure Step Object may no longer be updated')

    def test_a_step_without_a_name_gets_one(self):
        door = self.door()
        with Peer(door, ModalityPerformedProcedureStep) as peer:
            for _ in range(2):
                self.assertEqual(peer.create(step('IN PROGRESS'), None), SUCCESS)
        door.wait_for('ended 1 .*')
        first, second = (line.split()[2] for line in door.lines if line.startswith('performed new 2.25.'))
        self.assertNotEqual(first, second)

    def test_steps_that_make_no_sense_are_refused(self):
        door = self.door()
        bad = step('IN PROGRESS', ('1.2.8', [1], []))
        del bad.PerformedSeriesSequence[0].SeriesInstanceUID
        with Peer(door, ModalityPerformedProcedureStep) as peer:
            self.assertEqual(peer.create(step('COMPLETED'), '2.25.1'), INVALID)
            self.assertEqual(peer.create(step(None), '2.25.1'), INVALID)
            self.assertEqual(peer.create(step('PERHAPS'), '2.25.1'), INVALID)
            self.assertEqual(peer.create(bad, '2.25.1'), INVALID)
            self.assertEqual(peer.create(step('IN PROGRESS', ('..', [1], [])), '2.25.1'), INVALID)
            self.assertEqual(peer.create(step('IN PROGRESS', ('1.2.8', [1], ['x'])), '2.25.1'), INVALID)
            self.assertEqual(peer.create(step('IN PROGRESS'), '../../x'), INVALID)
        self.assertEqual(door.count('performed .*'), 0)


def text(value):
    value = value.encode()
    return value + b'\0' * (len(value) % 2)


def command(field, sop_class, *rest):
    """A command set with a data set to come; rest: elements in ascending order."""
    body = b''.join((receiving.element(0, 0x0002 if field in (0x0100, 0x0140) else 0x0003, text(sop_class)),
                     receiving.element(0, 0x0100, struct.pack('<H', field)),
                     receiving.element(0, 0x0110, struct.pack('<H', 5)),
                     receiving.element(0, 0x0800, struct.pack('<H', 0)), *rest))
    return receiving.element(0, 0, struct.pack('<I', len(body))) + body


def action():
    return command(0x0130, StorageCommitmentPushModel, receiving.element(0, 0x1001, text(COMMITMENT)),
                   receiving.element(0, 0x1008, struct.pack('<H', 1)))


def event():
    return command(0x0100, StorageCommitmentPushModel, receiving.element(0, 0x1000, text(COMMITMENT)),
                   receiving.element(0, 0x1002, struct.pack('<H', 1)))


def create():
    return command(0x0140, ModalityPerformedProcedureStep, receiving.element(0, 0x1000, text('2.25.5')))


def event_answer(status, message=1):
    body = b''.join((receiving.element(0, 0x0100, struct.pack('<H', 0x8100)),
                     receiving.element(0, 0x0120, struct.pack('<H', message)),
                     receiving.element(0, 0x0800, struct.pack('<H', 0x0101)),
                     receiving.element(0, 0x0900, struct.pack('<H', status))))
    return receiving.element(0, 0, struct.pack('<I', len(body))) + body


def explicit(tag, vr, value):
    value += b'\0' * (len(value) % 2)
    return struct.pack('<HH', tag >> 16, tag & 0xffff) + vr + (
        struct.pack('<xxI', len(value)) if vr in (b'SQ', b'UN') else struct.pack('<H', len(value))) + value


def one_item(value):
    return struct.pack('<HHI', 0xfffe, 0xe000, len(value)) + value


ITEM = explicit(0x00081150, b'UI', MRImageStorage.encode()) + explicit(0x00081155, b'UI', b'1.2.3.1')


def referring(transaction, items=None):
    return explicit(0x00081195, b'UI', transaction.encode()) + explicit(
        0x00081199, b'SQ', one_item(ITEM) if items is None else items)


def status_of(body):
    at = body.index(struct.pack('<HHI', 0, 0x0900, 2)) + 8
    return struct.unpack('<H', body[at:at + 2])[0]


@unittest.skipIf(daemon.Orthanc.PROGRAM is None, 'no Orthanc')
class Orthanc(Case):
    """Debian's Orthanc on the other side, which opens an association for each of its reports."""

    def test_orthanc_reports_on_an_association_of_its_own(self):
        door = self.door(transaction=['2.25.1'])
        orthanc = daemon.Orthanc(self.work / 'orthanc', door.port)
        self.addCleanup(orthanc.stop)
        ae = AE(ae_title='SCTD')
        ae.requested_contexts = [build_context(c, ExplicitVRLittleEndian)
                                 for c in (MRImageStorage, StorageCommitmentPushModel)]
        peer = Peer.__new__(Peer)
        peer.association = ae.associate('127.0.0.1', orthanc.dicom_port, ae_title='PACS')
        with peer:
            self.assertEqual(peer.store(1), SUCCESS)
            self.assertEqual(peer.ask(commitment('2.25.1', [reference(1), reference(2)])), SUCCESS)
            door.wait_for(r'report PACS 2\.25\.1 \+1\.2\.3\.1 -1\.2\.3\.2:0112 1 1')
        door.wait_for('ended 1 released stored 0 refused 0 told 1')

    def test_orthanc_asks(self):
        door = self.door()
        orthanc = daemon.Orthanc(self.work / 'orthanc', door.port)
        self.addCleanup(orthanc.stop)
        request = {'DicomInstances': [[MRImageStorage, '1.2.3.1']]}
        url = f'http://127.0.0.1:{orthanc.http_port}/modalities/sctd/storage-commitment'
        with urllib.request.urlopen(url, json.dumps(request).encode(), timeout=30) as answer:
            transaction = json.loads(answer.read())['ID']
        self.assertTrue(transaction.startswith('2.25.'))
        door.wait_for(f'commitment {transaction} 1')
        # it does not wait for the report
        door.wait_for(f'unreported PACS {transaction} 0 of 1')


class Hostile(Case):
    def send(self, door, message, data):
        """The status of the answer, or None after an abort."""
        with receiving.Raw(door) as raw:
            raw.associate(contexts=[(StorageCommitmentPushModel, ExplicitVRLittleEndian),
                                    (ModalityPerformedProcedureStep, ExplicitVRLittleEndian)])
            context = 3 if message == create() else 1
            raw.send(receiving.pdata(message, is_command=True, context=context))
            began = time.monotonic()
            try:
                for at in range(0, max(len(data), 1), 16000):
                    raw.send(receiving.pdata(data[at:at + 16000], last=at + 16000 >= len(data), context=context))
            except OSError:
                return None
            kind, body = raw.pdu()
            self.assertLess(time.monotonic() - began, 10)
            self.assertIn(kind, (4, ABORT, None))
            return status_of(body) if kind == 4 else None

    def test_data_sets_that_break_parsers_break_no_parser(self):
        door = self.door(max_peer=64, transaction=['2.25.1'])
        undefined = 0xffffffff
        good = referring('2.25.1')
        series = lambda inner: (explicit(0x00400252, b'CS', b'IN PROGRESS') + explicit(0x00400340, b'SQ', one_item(inner)))
        bad = {}
        for tag in (0x00081199, 0x00081198, 0x00400340, 0x00081140):
            nest = (struct.pack('<HH2sxxI', tag >> 16, tag & 0xffff, b'SQ', undefined)
                    + struct.pack('<HHI', 0xfffe, 0xe000, undefined))
            for depth in (33, 200, 10000):
                bad[f'{tag:08x} nested {depth}'] = good[:16] + nest * depth
        bad['nothing'] = b''
        bad['one byte'] = b'\x08'
        for size in range(1, len(good), 5):
            bad[f'cut at {size}'] = good[:size]
        bad['no sequence'] = explicit(0x00081195, b'UI', b'2.25.1') + explicit(0x00081199, b'LO', b'abc')
        bad['a number for a UID'] = explicit(0x00081195, b'US', b'\1\0') + good[16:]
        bad['a sequence for a UID'] = explicit(0x00081195, b'SQ', one_item(ITEM)) + good[16:]
        bad['a sequence for a UID within'] = referring('2.25.1', one_item(explicit(0x00081150, b'SQ', one_item(b''))))
        bad['twice'] = good + good
        bad['item without end'] = referring('2.25.1', struct.pack('<HHI', 0xfffe, 0xe000, 0x7ffffffe))
        bad['long UID'] = referring('2.25.' + '1' * 100)
        bad['a NUL within'] = referring('2.25.1\0\0.1')
        bad['series without a UID'] = series(explicit(0x00081140, b'SQ', one_item(ITEM)))
        bad['status of 60 kB'] = explicit(0x00400252, b'CS', b'x' * 60000)
        for name, data in bad.items():
            for message in (event(), action(), create()):
                with self.subTest(f'{name}, {message[20:60]!r}'):
                    # DCMTK ends an association with a fragment of odd length (PS3.8 annex E.2)
                    self.assertEqual(self.send(door, message, data), None if len(data) % 2 == 1 else INVALID)
        self.assertEqual(self.send(door, event(), good), SUCCESS)
        self.assertEqual(self.send(door, action(), good), SUCCESS)
        self.assertEqual(self.send(door, create(), series(explicit(0x00081140, b'SQ', one_item(ITEM))
                                                          + explicit(0x0020000e, b'UI', b'1.2.9'))), SUCCESS)
        self.assertEqual(door.count('ended .* died .*'), 0)

    def test_lists_without_an_end_are_cut_off(self):
        door = self.door(max_peer=64, transaction=['2.25.1'])
        before = door.memory_kib()
        short = one_item(explicit(0x00081150, b'UI', b'1.2') + explicit(0x00081155, b'UI', b'1.3'))
        most = referring('2.25.1', short * 65536)
        self.assertLess(len(most), 8 << 20)
        self.assertEqual(self.send(door, event(), most), SUCCESS)
        self.assertEqual(self.send(door, action(), most), SUCCESS)
        self.assertEqual(self.send(door, event(), referring('2.25.1', short * 65537)), NO_ROOM)
        self.assertEqual(self.send(door, event(), referring('2.25.1', one_item(ITEM) * 1000000)), NO_ROOM)
        self.assertEqual(self.send(door, action(), referring('2.25.1', one_item(ITEM) * 1000000)), NO_ROOM)
        self.assertEqual(self.send(door, event(), referring('2.25.1')), SUCCESS)
        self.assertLess(door.memory_kib() - before, 65536)
        self.assertEqual(door.count('ended .* died .*'), 0)

    def test_commands_out_of_place_end_the_association(self):
        door = self.door(max_peer=64)
        steps = (ModalityPerformedProcedureStep, StorageCommitmentPushModel, MRImageStorage)
        messages = {
            'N-GET': (0x0110, steps[0]), 'N-DELETE': (0x0150, steps[0]), 'N-SET of commitment': (0x0120, steps[1]),
            'N-ACTION of a step': (0x0130, steps[0]), 'N-EVENT-REPORT of an image': (0x0100, steps[2]),
            'N-CREATE of an image': (0x0140, steps[2]), 'answer to nothing': (0x8100, steps[1]),
        }
        for name, (field, sop_class) in messages.items():
            with self.subTest(name), receiving.Raw(door) as raw:
                raw.associate(contexts=[(c, ExplicitVRLittleEndian) for c in steps])
                context = 2 * steps.index(sop_class) + 1
                message = event_answer(0) if field == 0x8100 else command(
                    field, sop_class, receiving.element(0, 0x1001, text('1.2.3')),
                    receiving.element(0, 0x1002 if field == 0x0100 else 0x1008, struct.pack('<H', 1)))
                raw.send(receiving.pdata(message, is_command=True, context=context)
                         + receiving.pdata(referring('2.25.1'), context=context))
                self.assertEqual(raw.pdu()[0], ABORT)
        self.assertEqual(door.count('ended .* died .*'), 0)

    def test_only_what_is_offered_is_accepted(self):
        door = self.door()
        for uid, syntaxes in ((ProceduralEventLogging, BOTH), (StorageCommitmentPushModel, [ExplicitVRBigEndian]),
                              (ModalityPerformedProcedureStep, [ExplicitVRBigEndian])):
            peer = Peer(door, uid, syntaxes=syntaxes)
            self.assertFalse(peer.association.accepted_contexts)
            if peer.association.is_established:
                peer.association.release()

    def test_silence_within_a_request_has_a_limit(self):
        door = self.door(max_peer=64, window_ms=1000, window_bytes=1000, idle_ms=20000)
        for message in (event(), action(), create()):
            with receiving.Raw(door) as raw:
                raw.associate(contexts=[(StorageCommitmentPushModel, ExplicitVRLittleEndian),
                                        (ModalityPerformedProcedureStep, ExplicitVRLittleEndian)])
                context = 3 if message == create() else 1
                raw.send(receiving.pdata(message, is_command=True, context=context)
                         + receiving.pdata(referring('2.25.1'), context=context)[:30])
                began = time.monotonic()
                self.assertEqual(raw.pdu()[0], ABORT)
                self.assertLess(time.monotonic() - began, 5)
        for number in range(1, 4):
            door.wait_for(f'ended {number} slow .*')


if __name__ == '__main__':
    SCTD = sys.argv.pop(1)
    unittest.main()
