# SPDX-License-Identifier: Apache-2.0
"""Deliveries by tests/integration/deliver_tool.c, and PACS that take them in every way."""
import contextlib
import json
import pathlib
import queue
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification

from kit import reactor  # noqa: F401

from kit.daemon import free_port

SCTD = None # the program's path
COMMITMENT_INSTANCE = '1.2.840.10008.1.20.1.1'
SLICES = 8
SHORT = {'connect-ms': 1000, 'answer-ms': 1500, 'report-ms': 1000, 'commitment-ms': 60000, 'slack-ms': 1000}


def make_instance(tag, number, matrix):
    """A CT slice by pydicom, with an accented name and an odd number of characters here and there."""
    rng = np.random.default_rng([tag, number])
    dataset = Dataset()
    dataset.SpecificCharacterSet = 'ISO_IR 100'
    dataset.ImageType = ['DERIVED', 'SECONDARY', 'AXIAL', 'SYNTHETIC']
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = f'2.25.{tag}{number:04}'
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f'2.25.{tag}1', f'2.25.{tag}2'
    dataset.PatientName, dataset.PatientID, dataset.Modality = 'Müller^Zoë', 'P7', 'CT'
    dataset.InstanceNumber = number + 1
    dataset.ImagePositionPatient = [-10, -10, 2.5 * number]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [0.9765625, 0.9765625]
    dataset.Rows = dataset.Columns = matrix
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, 'MONOCHROME2'
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.RescaleIntercept, dataset.RescaleSlope = 0, 1
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = CTImageStorage, f'2.25.9{tag}{number}'
    dataset.SourceImageSequence = [source]
    dataset.PixelData = rng.integers(-1024, 3000, (matrix, matrix), np.int16).tobytes()
    dataset['PixelData'].VR = 'OW'
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


class Pacs:
    """A storage SCP.  `answer(n, event)`: the status of the nth C-STORE.  `commitment(n, uids)`: what it says to the
    nth request: the UIDs that it has lost; None: nothing on this association."""

    def __init__(self, answer=None, commitment=None, *, port=0, syntaxes=(ExplicitVRLittleEndian,), title=None,
                 sop_class=CTImageStorage, hasty=False):
        self.stored, self.asked, self.requests, self.associations = [], 0, [], 0
        self.hasty = hasty # reports before it answers
        self.answer, self.commitment = answer or (lambda n, event: 0), commitment
        self.ae = AE(ae_title='PACS')
        self.ae.require_called_aet = title is not None
        if title is not None:
            self.ae.ae_title = title
        self.ae.add_supported_context(Verification)
        self.ae.add_supported_context(sop_class, list(syntaxes))
        if commitment is not None:
            self.ae.add_supported_context(StorageCommitmentPushModel)
        self.port = port or free_port()
        self.server = self.ae.start_server(('127.0.0.1', self.port), block=False, evt_handlers=[
            (evt.EVT_C_STORE, self._store), (evt.EVT_ACCEPTED, self._accepted), (evt.EVT_N_ACTION, self._commit)])

    def _accepted(self, _event):
        self.associations += 1

    def _store(self, event):
        n, self.asked = self.asked, self.asked + 1
        status = self.answer(n, event)
        if status in (0x0000, 0xB000, 0xB006, 0xB007):
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            self.stored.append(dataset)
        return status

    def _commit(self, event):
        request = event.action_information
        uids = [item.ReferencedSOPInstanceUID for item in request.ReferencedSOPSequence]
        lost = self.commitment(len(self.requests), uids)
        self.requests.append((request.TransactionUID, uids))
        if lost is not None and self.hasty:
            self._report(event.assoc, request.TransactionUID, uids, lost)
        elif lost is not None:
            threading.Thread(target=self._report, args=(event.assoc, request.TransactionUID, uids, lost)).start()
        return 0x0000, None

    @staticmethod
    def _report(association, transaction, uids, lost):
        time.sleep(0.2)
        said = Dataset()
        said.TransactionUID, said.ReferencedSOPSequence = transaction, []
        for uid in uids:
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, uid
            if uid in lost:
                item.FailureReason = 0x0112
                said.setdefault('FailedSOPSequence', [])
                said.FailedSOPSequence.append(item)
            else:
                said.ReferencedSOPSequence.append(item)
        if not said.ReferencedSOPSequence:
            del said.ReferencedSOPSequence
        association.send_n_event_report(said, 2 if lost else 1, StorageCommitmentPushModel, COMMITMENT_INSTANCE)

    @property
    def uids(self):
        return [d.SOPInstanceUID for d in self.stored]

    def stop(self):
        self.server.shutdown()


class SlowLine:
    """A way to a PACS that lets `rate` bytes a second through, towards it."""

    def __init__(self, port, rate):
        self.rate, self.to = rate, port
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.listener.bind(('127.0.0.1', 0))
        self.listener.listen()
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(('127.0.0.1', self.to))
                threading.Thread(target=self._copy, args=(near, far, self.rate), daemon=True).start()
                threading.Thread(target=self._copy, args=(far, near, 1 << 30), daemon=True).start()

    @staticmethod
    def _copy(source, target, rate):
        with contextlib.suppress(OSError):
            while piece := source.recv(16384):
                target.sendall(piece)
                time.sleep(len(piece) / rate)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def stop(self):
        self.listener.close()


class Tool:
    def __init__(self, folder, destinations, **waits):
        self.folder = pathlib.Path(folder)
        self.config, self.waits = self.folder / 'sctd.yaml', SHORT | {k.replace('_', '-'): v for k, v in waits.items()}
        self.configure(destinations)
        (self.folder / 'results').mkdir(exist_ok=True)
        self.start()

    def configure(self, destinations):
        self.config.write_text(json.dumps({'destinations': destinations}))

    def start(self):
        program = pathlib.Path(SCTD).parents[1] / 'tests' / 'integration' / 'deliver_tool'
        words = [w for k, v in self.waits.items() for w in (f'--{k}', str(v))]
        self.events, self.said, self.answers = [], [], queue.Queue()
        self.process = subprocess.Popen([program, '--sctd', SCTD, '--folder', self.folder, '--config', self.config, *words],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.readers = [threading.Thread(target=self._read_log, daemon=True),
                        threading.Thread(target=self._read_answers, daemon=True)]
        for reader in self.readers:
            reader.start()

    def _read_log(self):
        for line in self.process.stderr:
            try:
                self.events.append(json.loads(line))
            except ValueError:
                self.said.append(line)

    def _read_answers(self):
        for line in self.process.stdout:
            self.answers.put(line.rstrip('\n'))

    def ask(self, *words):
        self.process.stdin.write(' '.join(str(w) for w in words) + '\n')
        self.process.stdin.flush()
        lines = []
        while (line := self.answers.get(timeout=20)) != 'ok':
            lines.append(line)
        return lines

    def show(self, destination='pacs'):
        """State, stored, committed, attempt, reason of its one delivery."""
        found = [line.split(' ', 5)[1:] for line in self.ask('show') if line.split()[0] == destination]
        assert len(found) == 1, found
        state, stored, committed, attempt, reason = found[0]
        return state, int(stored), int(committed), int(attempt), reason

    def job(self, name, instances, destinations=('pacs',), commitment=False):
        folder = self.folder / 'results' / name
        folder.mkdir()
        lines = []
        for k, dataset in enumerate(instances):
            dataset.save_as(folder / f'{k}.dcm', enforce_file_format=True)
            lines.append(f'{dataset.SOPClassUID} {dataset.SOPInstanceUID} {name}/{k}.dcm\n')
        (self.folder / 'results' / f'{name}.list').write_text(''.join(lines))
        self.ask('job', name, int(commitment), *destinations)

    def find(self, event, **fields):
        return [e for e in list(self.events)
                if e['event'] == event and all(e.get(k) == v for k, v in fields.items())]

    def wait_for(self, event, timeout=20, **fields):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if found := self.find(event, **fields):
                return found[0]
            time.sleep(0.02)
        raise AssertionError(f'no {event} {fields} in {self.events[-8:]} {self.said}')

    def wait_state(self, state, destination='pacs', timeout=20, wake=False):
        """Without waiting for a try that is put off for seconds, if `wake`."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            shown = self.show(destination)
            if shown[0] == state:
                return shown
            if wake:
                self.ask('wake', destination)
            time.sleep(0.05)
        raise AssertionError(f'not {state} but {shown}: {self.events[-8:]}')

    def senders(self):
        done = subprocess.run(['pgrep', '-P', str(self.process.pid)], capture_output=True, text=True, check=False)
        return [int(p) for p in done.stdout.split()]

    def switches(self):
        status = pathlib.Path(f'/proc/{self.process.pid}/status').read_text(encoding='utf-8')
        return sum(int(line.split()[1]) for line in status.splitlines() if 'ctxt_switches' in line)

    def stop(self, sig=None):
        if sig is not None:
            self.process.send_signal(sig)
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(20)
        for reader in self.readers:
            reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()
        return self.process.returncode


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)

    def pacs(self, *args, **words):
        pacs = Pacs(*args, **words)
        self.addCleanup(pacs.stop)
        return pacs

    @staticmethod
    def destination(port, name='pacs', **more):
        return {'name': name, 'ae_title': 'PACS', 'host': '127.0.0.1', 'port': port} | more

    def tool(self, *destinations, **waits):
        tool = Tool(self.work, list(destinations), **waits)
        self.addCleanup(self._end, tool)
        return tool

    def _end(self, tool):
        """No part of it may crash or leak, a sanitizer's report among them."""
        self.assertEqual(tool.stop(), 0, tool.said)
        self.assertEqual(tool.said, [])

    @staticmethod
    def series(tag=1, n=SLICES, matrix=32):
        return [make_instance(tag, k, matrix) for k in range(n)]

    def assert_sent(self, pacs, series):
        """All, in order, once, and equal in every attribute."""
        self.assertEqual(pacs.uids, [d.SOPInstanceUID for d in series])
        for got, want in zip(pacs.stored, series):
            self.assertEqual(got, want)
