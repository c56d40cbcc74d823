#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What honest peers send arrives: DCMTK's tools and pynetdicom as scanners.
usage: receive_peers.py /path/to/sctd [unittest options]"""
import pathlib
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
import pydicom.config  # noqa: E402
from pydicom.filebase import DicomBytesIO  # noqa: E402
from pydicom.filewriter import write_dataset  # noqa: E402
from pydicom.uid import (ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian,  # noqa: E402
                         RLELossless)
from pynetdicom import AE, build_context, evt  # noqa: E402
from pynetdicom.sop_class import (CTImageStorage, EnhancedMRImageStorage, MRImageStorage,  # noqa: E402
                                  SecondaryCaptureImageStorage, Verification)

from kit import reactor  # noqa: E402,F401
from kit import receiving, sources  # noqa: E402

SCTD = None
pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE  # some are bad on purpose
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
SUCCESS, OUT_OF_RESOURCES, MISMATCH, NOT_UNDERSTOOD, CONFLICT = 0x0000, 0xA700, 0xA900, 0xC000, 0xC001


def image(number, sop_class='mr', rows=64, **attributes):
    """A slice with pixels that depend on its number."""
    dataset = pydicom.Dataset()
    sources.add_common(dataset, sources.Grid())
    dataset.SOPClassUID = sources.CLASSES[sop_class]
    dataset.SOPInstanceUID = sources.uid('receive', sop_class, number)
    dataset.SeriesInstanceUID = sources.uid('receive series', sop_class)
    dataset.Modality = 'MR' if 'mr' in sop_class else 'CT'
    dataset.InstanceNumber = number
    dataset.Rows = dataset.Columns = rows
    dataset.ImagePositionPatient = [0, 0, number]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [1, 1]
    dataset.PixelData = bytes((number * 7 + i) % 251 for i in range(rows * rows * 2))
    dataset['PixelData'].VR = 'OW'
    for keyword, value in attributes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def encode(dataset, syntax):
    """The data set as pydicom writes it."""
    to = DicomBytesIO()
    to.is_implicit_VR = syntax == ImplicitVRLittleEndian
    to.is_little_endian = syntax != ExplicitVRBigEndian
    write_dataset(to, dataset)
    return to.getvalue()


def with_meta(dataset, syntax):
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


class Scanner:
    """An association of pynetdicom's."""

    def __init__(self, door, contexts=((MRImageStorage, ExplicitVRLittleEndian),), calling='SCANNER', called='SCTD'):
        ae = AE(ae_title=calling)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 30
        ae.requested_contexts = [build_context(c, t) for c, t in contexts]
        self.sent = []
        self.association = ae.associate('127.0.0.1', door.port, ae_title=called,
                                        evt_handlers=[(evt.EVT_DIMSE_SENT, self._note)])

    def _note(self, event):
        data = getattr(event.message, 'data_set', None)
        if data is not None and data.getbuffer().nbytes > 0:
            self.sent.append(data.getvalue())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.association.is_established:
            self.association.release()

    def send(self, dataset, syntax=ExplicitVRLittleEndian):
        return self.association.send_c_store(with_meta(dataset, syntax))


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.work = pathlib.Path(folder.name)
        self.addCleanup(folder.cleanup)

    def door(self, **options):
        door = receiving.Door(SCTD, self.work, **options)
        self.addCleanup(door.stop)
        return door

    def check_entry(self, door, dataset, data):
        """The file is there, whole, and holds exactly `data`."""
        digest, path = door.entries()[dataset.SOPInstanceUID]
        stored = receiving.data_set_of(path)
        self.assertEqual(stored, data)
        self.assertEqual(digest, receiving.digest_of(data))
        return path


class Storing(Case):
    def test_an_echo_is_answered(self):
        door = self.door()
        done = subprocess.run(['echoscu', '-v', '127.0.0.1', str(door.port)], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        with Scanner(door, [(Verification, ImplicitVRLittleEndian)]) as scanner:
            self.assertEqual(scanner.association.send_c_echo().Status, SUCCESS)
            self.assertEqual(scanner.association.send_c_echo().Status, SUCCESS)
        door.wait_for('ended 2 released stored 0 refused 0')

    def test_the_bytes_sent_are_the_bytes_stored_in_each_transfer_syntax(self):
        door = self.door(all_syntaxes=True)
        for number, syntax in enumerate((ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian,
                                         RLELossless)):
            dataset = image(number)
            if syntax == RLELossless:
                dataset.PixelRepresentation = 0
                with_meta(dataset, ExplicitVRLittleEndian)
                dataset.compress(RLELossless)
            with Scanner(door, [(MRImageStorage, syntax)]) as scanner:
                self.assertEqual(scanner.send(dataset, syntax).Status, SUCCESS, syntax)
                path = self.check_entry(door, dataset, scanner.sent[0])
            meta = pydicom.dcmread(path).file_meta
            self.assertEqual(meta.TransferSyntaxUID, syntax)
            self.assertEqual(meta.MediaStorageSOPInstanceUID, dataset.SOPInstanceUID)
            self.assertEqual(meta.MediaStorageSOPClassUID, dataset.SOPClassUID)
            self.assertEqual(pydicom.dcmread(path).PixelData, dataset.PixelData)

    def test_every_class_that_can_be_assembled_is_stored(self):
        door = self.door()
        for sop_class, uid in (('mr', MRImageStorage), ('ct', CTImageStorage),
                               ('enhanced-mr', EnhancedMRImageStorage)):
            dataset = image(1, sop_class)
            with Scanner(door, [(uid, ExplicitVRLittleEndian)]) as scanner:
                self.assertEqual(scanner.send(dataset).Status, SUCCESS)
                self.check_entry(door, dataset, scanner.sent[0])

    def test_what_is_not_taken_is_refused_in_the_negotiation(self):
        door = self.door()
        for contexts in ([(SecondaryCaptureImageStorage, ExplicitVRLittleEndian)],
                         [(MRImageStorage, RLELossless)], [(MRImageStorage, ExplicitVRBigEndian)]):
            scanner = Scanner(door, contexts)
            self.assertFalse(scanner.association.is_established)
            self.assertFalse(scanner.association.accepted_contexts)

    def test_the_preferred_syntax_of_a_context_is_explicit(self):
        door = self.door()
        with Scanner(door, [(MRImageStorage, [ImplicitVRLittleEndian, RLELossless, ExplicitVRLittleEndian])]) as scanner:
            self.assertEqual(scanner.association.accepted_contexts[0].transfer_syntax, [ExplicitVRLittleEndian])

    def test_storescu_and_dcmsend_send_a_series(self):
        door = self.door()
        series = self.work / 'series'
        series.mkdir()
        datasets = [image(k) for k in range(20)]
        for k, dataset in enumerate(datasets):
            with_meta(dataset, ExplicitVRLittleEndian).save_as(series / f'{k}.dcm', enforce_file_format=True)
        for words in (['storescu', '-R', '+sd'], ['dcmsend', '+sd']):
            words = [words[0], *words[1:-1], '127.0.0.1', str(door.port), words[-1], str(series)]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
        for dataset in datasets:
            self.check_entry(door, dataset, encode(dataset, ExplicitVRLittleEndian))
        self.assertEqual(len(door.stored()), 20)
        door.wait_for('ended 2 released stored 20 refused 0')

    def test_a_large_instance_in_small_pieces(self):
        door = self.door()
        dataset = image(1, rows=1024)
        with_meta(dataset, ExplicitVRLittleEndian).save_as(self.work / 'large.dcm', enforce_file_format=True)
        subprocess.run(['storescu', '-R', '--max-send-pdu', '4096', '127.0.0.1', str(door.port),
                        str(self.work / 'large.dcm')], check=True)
        self.check_entry(door, dataset, encode(dataset, ExplicitVRLittleEndian))


class Duplicates(Case):
    def test_the_same_again_is_a_success_and_stored_once(self):
        door = self.door()
        for _ in range(3):
            with Scanner(door) as scanner:
                self.assertEqual(scanner.send(image(1)).Status, SUCCESS)
        self.assertEqual(len(door.stored()), 1)
        self.assertEqual(len(door.ledger.read_text().split('\n')), 2)

    def test_other_content_is_refused_and_the_first_kept(self):
        door = self.door()
        with Scanner(door) as scanner:
            self.assertEqual(scanner.send(image(1)).Status, SUCCESS)
            answer = scanner.send(image(1, PatientID='P-2'))
            self.assertEqual(answer.Status, CONFLICT)
            self.assertIn('other content', answer.ErrorComment)
            self.check_entry(door, image(1), scanner.sent[0])
        self.assertEqual(len(door.stored()), 1)

    def test_many_at_once_agree(self):
        door = self.door(max_peer=64, spares=4)
        for number in range(12):
            statuses = []
            gate = threading.Barrier(8)

            def send(variant):
                with Scanner(door) as scanner:
                    gate.wait()
                    statuses.append((variant, scanner.send(image(number, PatientID=f'P-{variant}')).Status))

            threads = [threading.Thread(target=send, args=(k % 2,)) for k in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            kept = {variant for variant, status in statuses if status == SUCCESS}
            self.assertEqual(len(kept), 1, statuses)
            self.assertEqual(sum(status == SUCCESS for _, status in statuses), 4)
            self.assertEqual(sum(status == CONFLICT for _, status in statuses), 4)
            self.check_entry(door, image(number), encode(image(number, PatientID=f'P-{kept.pop()}'), ExplicitVRLittleEndian))
        self.assertEqual(len(door.stored()), 12)


class Refusals(Case):
    def refused(self, dataset, status, comment, contexts=((MRImageStorage, ExplicitVRLittleEndian),)):
        with Scanner(self.refusing, contexts) as scanner:
            answer = scanner.send(dataset)
            self.assertEqual(answer.Status, status)
            self.assertIn(comment, answer.ErrorComment)
            self.assertEqual(scanner.send(image(99)).Status, SUCCESS)  # and the association goes on

    def test_data_sets_that_are_no_good_are_refused_with_a_reason(self):
        self.refusing = self.door()
        self.refused(image(1, StudyInstanceUID=None), NOT_UNDERSTOOD, 'Study Instance UID is missing')
        self.refused(image(2, SeriesInstanceUID='1..2'), NOT_UNDERSTOOD, 'Series Instance UID is no UID')
        self.refused(image(3, SeriesInstanceUID='../../x'), NOT_UNDERSTOOD, 'Series Instance UID is no UID')
        nested = image(4)
        inner = nested
        for _ in range(40):
            inner.ReferencedImageSequence = [pydicom.Dataset()]
            inner = inner.ReferencedImageSequence[0]
        self.refused(nested, NOT_UNDERSTOOD, 'deep')
        self.assertEqual(len(self.refusing.stored()), 1)
        self.assertEqual(self.refusing.on_their_way(), [])

    def test_an_instance_that_is_too_large_is_refused(self):
        self.refusing = self.door(instance_mib=1)
        self.refused(image(1, rows=1024), OUT_OF_RESOURCES, 'larger than 1 MiB')
        self.assertEqual(len(self.refusing.stored()), 1)

    def test_a_data_set_of_another_instance_than_the_command_says(self):
        door = self.door()
        for pretended in ({'instance': '1.2.99'}, {'sop_class': str(CTImageStorage)}):
            with receiving.Raw(door) as raw:
                sop_class = pretended.get('sop_class', str(MRImageStorage))
                raw.associate(contexts=[(sop_class, str(ExplicitVRLittleEndian))])
                dataset = image(1)
                raw.send(receiving.pdata(receiving.command(
                    1, sop_class, data=True, instance=pretended.get('instance', dataset.SOPInstanceUID)),
                    is_command=True))
                raw.send(receiving.pdata(encode(dataset, ExplicitVRLittleEndian)))
                kind, body = raw.pdu()
                self.assertEqual(kind, 4)
                self.assertIn(receiving.element(0, 0x0900, (MISMATCH).to_bytes(2, 'little')), body)
                raw.send(receiving.RELEASE)
                self.assertEqual(raw.pdu()[0], 6)
        self.assertEqual(door.stored(), [])


class Negotiating(Case):
    def test_titles_and_addresses_are_checked(self):
        door = self.door(ae_title=['SCTD', 'OTHER'], allow=['MR*', 'CT1@127.0.0.0/8', 'BAD@10.0.0.0/8'])
        for calling, called, well in (('MR1', 'SCTD', True), ('MR', 'OTHER', True), ('CT1', 'SCTD', True),
                                      ('XR', 'SCTD', False), ('BAD', 'SCTD', False), ('MR1', 'ELSE', False)):
            with Scanner(door, calling=calling, called=called) as scanner:
                self.assertEqual(scanner.association.is_established, well, (calling, called))
        self.assertEqual(door.count('rejected calling-ae .*'), 2)
        self.assertEqual(door.count('rejected called-ae .*'), 1)

    def test_one_association_too_many_of_a_peer_is_rejected_for_now(self):
        door = self.door()
        opened = [Scanner(door) for _ in range(8)]
        self.assertTrue(all(s.association.is_established for s in opened))
        with receiving.Raw(door) as raw:
            raw.send(receiving.request())
            self.assertEqual(raw.pdu(), (3, bytes((0, 2, 3, 2))))
            self.assertEqual(raw.receive(1), b'')
        self.assertEqual(opened[0].send(image(1)).Status, SUCCESS)
        opened.pop().association.release()
        door.wait_for('ended 8 released.*')
        with Scanner(door) as scanner:
            self.assertTrue(scanner.association.is_established)
        for scanner in opened:
            self.assertEqual(scanner.send(image(2)).Status, SUCCESS)
            scanner.association.release()
        self.assertEqual(door.count('rejected limit-peer .*'), 1)

    def test_one_association_too_many_in_all_is_rejected_for_now(self):
        door = self.door(max=3, max_peer=64)
        opened = [Scanner(door) for _ in range(3)]
        with receiving.Raw(door) as raw:
            raw.send(receiving.request())
            self.assertEqual(raw.pdu(), (3, bytes((0, 2, 3, 2))))
        for scanner in opened:
            scanner.association.release()
        door.wait_for('rejected limit 127.0.0.1 "RAW" .*')


class Ending(Case):
    def test_draining_lets_an_association_end_and_takes_no_other(self):
        door = self.door(grace_ms=20000)
        with Scanner(door) as scanner:
            self.assertEqual(scanner.send(image(1)).Status, SUCCESS)
            door.process.terminate()
            with self.assertRaises(ConnectionRefusedError):
                for _ in range(200):
                    receiving.Raw(door).socket.close()
                    time.sleep(0.02)
            self.assertEqual(scanner.send(image(2)).Status, SUCCESS)
        self.assertEqual(door.stop(), 0)
        self.assertEqual(len(door.entries()), 2)

    def test_draining_ends_an_association_that_goes_on_for_too_long(self):
        door = self.door(grace_ms=200)
        with Scanner(door) as scanner:
            self.assertEqual(scanner.send(image(1)).Status, SUCCESS)
            self.assertEqual(door.stop(), 0)
        self.assertEqual(door.count('ended 1 stopped stored 1 refused 0'), 1, door.lines)


if __name__ == '__main__':
    SCTD = sys.argv.pop(1)
    unittest.main()
