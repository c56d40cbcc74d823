#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIGKILL of the daemon or of one of its children at random moments, while eight senders stream series into it:
nothing that was acknowledged is lost, and each series becomes one sCT series at the destination.
usage: kill_rounds.py /path/to/sctd [--rounds N] [--seed S] [--commitment] [--reviewed] [--keep]

Prints one line of JSON with what was counted; 200 rounds take about 15 minutes."""
import argparse
import copy
import hashlib
import json
import os
import pathlib
import random
import signal
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'integration'))
from kit import venv  # noqa: E402

venv.enter()
# pylint: disable=wrong-import-position
import numpy as np  # noqa: E402
import pydicom  # noqa: E402
from pydicom.dataset import Dataset  # noqa: E402
from pydicom.uid import ExplicitVRLittleEndian  # noqa: E402
from pynetdicom import AE, build_role, evt  # noqa: E402
from pynetdicom.dsutils import encode  # noqa: E402
from pynetdicom.sop_class import (CTImageStorage, MRImageStorage, SecondaryCaptureImageStorage,  # noqa: E402
                                  StorageCommitmentPushModel, StorageCommitmentPushModelInstance)

from kit import reactor  # noqa: E402,F401
from kit import daemon, faults, receiving, sources  # noqa: E402

SENDERS, SLICES, READY_S = 8, 12, 5.0
# Limits that no result keeps.
UNKEPT = {'air_outside_percent': 100, 'hole_ml': 10000, 'slice_jump_hu': 3000, 'outline_mm': 500,
          'field_of_view_percent': 100, 'saturation_percent': 100, 'intensity': [],
          'tissues': [{'name': 'brass', 'hu': [1900, 2000], 'percent': [99, 100]}]}
TARGETS = ('serve', 'serve', 'receive', 'receive', 'worker', 'send')


class Pacs:
    """A storage SCP that remembers what it was given; its storage commitment comes over an association of its own."""

    def __init__(self, node_port):
        self.node_port = node_port
        self.reports = 0
        self.lock = threading.Lock()
        self.objects = {}  # SOP Instance UID -> SHA-256 of its data set
        self.series = {}  # Series Instance UID -> SOP Instance UIDs
        self.changed = []  # UIDs that came with two contents
        self.repeats = 0
        ae = AE(ae_title='PACS')
        for sop_class in (CTImageStorage, SecondaryCaptureImageStorage):
            ae.add_supported_context(sop_class, ExplicitVRLittleEndian)
        ae.add_supported_context(StorageCommitmentPushModel)
        ae.maximum_associations = 20
        handlers = [(evt.EVT_C_STORE, self.store), (evt.EVT_N_ACTION, self.commit)]
        self.server = ae.start_server(('127.0.0.1', 0), block=False, evt_handlers=handlers)
        self.port = self.server.socket.getsockname()[1]

    def commit(self, event):
        threading.Thread(target=self.report, args=(event.action_information,), daemon=True).start()
        return 0, None

    def report(self, asked):
        """What is kept and what is not (PS3.4 J.3.3), in a while."""
        time.sleep(0.1)
        answer = Dataset()
        answer.TransactionUID = asked.TransactionUID
        kept, failed = [], []
        for one in asked.ReferencedSOPSequence:
            with self.lock:
                (kept if one.ReferencedSOPInstanceUID in self.objects else failed).append(one)
        for one in failed:
            one.FailureReason = 0x0112
        if kept:
            answer.ReferencedSOPSequence = kept
        if failed:
            answer.FailedSOPSequence = failed
        ae = AE(ae_title='PACS')
        ae.add_requested_context(StorageCommitmentPushModel)
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        for _ in range(50):
            association = ae.associate('127.0.0.1', self.node_port, ae_title='SCTD', ext_neg=[role])
            if association.is_established:
                status, _ = association.send_n_event_report(answer, 2 if failed else 1, StorageCommitmentPushModel,
                                                            StorageCommitmentPushModelInstance)
                association.release()
                if status.get('Status') == 0:
                    self.reports += 1
                    return
            time.sleep(0.2)

    def store(self, event):
        digest = hashlib.sha256(event.request.DataSet.getvalue()).hexdigest()
        dataset = event.dataset
        uid = str(event.request.AffectedSOPInstanceUID)
        with self.lock:
            if self.objects.setdefault(uid, digest) != digest:
                self.changed.append(uid)
            members = self.series.setdefault(str(dataset.SeriesInstanceUID), set())
            self.repeats += uid in members
            members.add(uid)
        return 0


class Series:
    """A series to be sent: data sets, and which were acknowledged."""

    def __init__(self, base, seed, round_number, number):
        rng = np.random.default_rng((seed, round_number, number))
        self.uid = sources.uid('kill', seed, round_number, number)
        self.pending, self.acked = [], {}
        for k, dataset in enumerate(base):
            one = copy.deepcopy(dataset)
            one.StudyInstanceUID = sources.uid('kill study', seed, round_number, number)
            one.SeriesInstanceUID = self.uid
            one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = sources.uid('kill', seed, round_number,
                                                                                        number, k)
            one.PixelData = (dataset.pixel_array + rng.integers(0, 9, dataset.pixel_array.shape, 'u2')).tobytes()
            self.pending.append(one)

    def send(self, port, deadline):
        """Until all are acknowledged.  Returns how many associations it took."""
        tries = 0
        while self.pending and time.monotonic() < deadline:
            tries += 1
            ae = AE(ae_title='SCANNER')
            ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 15
            ae.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
            association = ae.associate('127.0.0.1', port, ae_title='SCTD')
            try:
                while association.is_established and self.pending:
                    one = self.pending[0]
                    if association.send_c_store(one).get('Status') != 0:
                        break
                    self.acked[str(one.SOPInstanceUID)] = hashlib.sha256(encode(one, False, True)).digest()
                    self.pending.pop(0)
            except (RuntimeError, ValueError):
                pass  # it was cut while sending
            if association.is_established:
                association.release()
            if self.pending:
                time.sleep(0.1)
        return tries


class Rounds:
    def __init__(self, sctd, work, args):
        self.args = args
        self.rng = random.Random(args.seed)
        port = daemon.free_port()
        self.pacs = Pacs(port)
        self.problems, self.acked, self.sent = [], {}, {}
        self.ready_s, self.kills, self.tries = [], dict.fromkeys(TARGETS, 0), 0
        limits = work / 'limits.json'
        limits.write_text(json.dumps(UNKEPT))
        daemon.make_model(sctd, work / 'models', quality=limits if args.reviewed else 'none')
        self.base = [pydicom.dcmread(path) for path in daemon.make_series(sctd, work / 'phantom', slices=SLICES)]
        self.daemon = faults.Daemon(
            sctd, work, port=port, models_dir=str(work / 'models'), completion={'quiet_s': 2, 'closed_quiet_s': 1},
            destinations=[{'name': 'pacs', 'ae_title': 'PACS', 'host': '127.0.0.1', 'port': self.pacs.port,
                           'no_storage_commitment': not args.commitment}],
            rules=[{'name': 'mr', 'model': 'small', 'destinations': ['pacs'], 'review': 'deliver'}])

    def expect(self, holds, text):
        if not holds:
            self.problems.append(text)

    def start(self):
        leftover = self.daemon.on_their_way()
        began = time.monotonic()
        self.daemon.start()
        self.ready_s.append(time.monotonic() - began)
        self.expect(not leftover & self.daemon.on_their_way(), 'spool/tmp was not emptied at the start')

    def kill(self, kind):
        """Kill one; a worker or sender when there is one."""
        end = time.monotonic() + 3
        while True:
            pids = [self.daemon.process.pid] if kind == 'serve' else self.daemon.children(kind)
            if pids or time.monotonic() > end:
                break
            time.sleep(0.01)
        if not pids:
            return
        self.kills[kind] += 1
        if kind == 'serve':
            self.daemon.kill()
            self.start()
        else:
            try:
                os.kill(self.rng.choice(sorted(pids)), signal.SIGKILL)
            except ProcessLookupError:
                pass

    def round(self, number):
        every = [Series(self.base, self.args.seed, number, k) for k in range(SENDERS)]
        deadline = time.monotonic() + 60
        counts = [0] * SENDERS

        def stream(k):
            counts[k] = every[k].send(self.daemon.port, deadline)

        threads = [threading.Thread(target=stream, args=(k,)) for k in range(SENDERS)]
        for thread in threads:
            thread.start()
        time.sleep(self.rng.uniform(0, 1.2))
        self.kill(self.rng.choice(TARGETS))
        for thread in threads:
            thread.join()
        self.tries += sum(counts)
        for series in every:
            self.expect(not series.pending, f'round {number}: {len(series.pending)} instances were never acknowledged')
            self.acked.update(series.acked)
            self.sent[str(series.uid)] = set(series.acked)

    def check_received(self):
        rows = {row[0]: (row[1], row[2]) for row in self.daemon.query('SELECT sop_uid, sha256, file FROM instance')}
        for uid, digest in self.acked.items():
            if uid not in rows:
                self.problems.append(f'{uid} was acknowledged and has no row')
                continue
            path = self.daemon.state / 'spool' / rows[uid][1]
            self.expect(rows[uid][0] == digest, f'{uid} has another hash in the store')
            self.expect(path.is_file() and hashlib.sha256(receiving.data_set_of(path)).digest() == digest,
                        f'{uid} is not on the disk as it was sent')
        self.expect(len(rows) == len(self.acked), f'{len(rows)} rows for {len(self.acked)} instances')

    def check_results(self):
        """Each revision that was not superseded before its result: one sCT series, all of it, and nothing else."""
        query = ('SELECT s.uid, s.revision, s.instances, j.revision, j.state, j.output_series_uid, j.outputs, j.review,'
                 " j.reason, (SELECT file FROM output o WHERE o.job_id = j.id AND file LIKE '%/quality.dcm')"
                 ' FROM job j JOIN series s ON s.id = j.series_id')
        latest, outputs = set(), set()
        for uid, newest, instances, revision, state, output, n, review, reason, page in self.daemon.query(query):
            state = faults.JOB[state]
            if state == 'cancelled' or (state == 'failed' and revision < newest):
                continue  # of a part of the series, and a later revision took its place
            self.expect(state == 'done', f'{uid} revision {revision} is {state}: {reason}')
            self.expect(output not in outputs, f'{output} is made by two jobs')
            outputs.add(output)
            self.expect((review, page is not None) == ((2, True) if self.args.reviewed else (0, False)),
                        f'{output}: review {review}, page {page}')
            if page is not None:
                n -= 1
                outputs.add(page.split('/')[0])
                self.expect(len(self.pacs.series.get(page.split('/')[0], ())) == 1, f'{output}: its page is not at the PACS')
            self.expect(len(self.pacs.series.get(output, ())) == n, f'{output}: {n} slices are not all at the PACS')
            if revision == newest:
                latest.add(uid)
                self.expect(n == instances == SLICES, f'{uid}: its last revision has {n} slices of {instances}')
        self.expect(latest == set(self.sent), f'{len(latest)} of {len(self.sent)} series have a result')
        self.expect(set(self.pacs.series) == outputs, 'the PACS holds series that no job made')
        self.expect(not self.pacs.changed, f'{len(self.pacs.changed)} UIDs came to the PACS with two contents')

    def check_files(self):
        received, produced = self.daemon.named()
        lie_received, lie_produced = self.daemon.lying()
        reports = {name for name in lie_produced if name.endswith('/quality.json')}
        lie_produced -= reports
        self.expect(len(reports) == (len({name.split('/')[0] for name in produced}) // 2 if self.args.reviewed else 0),
                    f'{len(reports)} reports')
        self.expect(not self.daemon.on_their_way(), 'files in spool/tmp')
        self.expect(lie_received == received, f'spool: {len(lie_received - received)} files without a row, '
                                              f'{len(received - lie_received)} rows without a file')
        self.expect(lie_produced == produced, f'results: {len(lie_produced - produced)} files without a row '
                    f'{sorted(lie_produced - produced)[:3]}, {len(produced - lie_produced)} rows without a file')

    def run(self):
        began = time.monotonic()
        try:
            self.start()
            for number in range(self.args.rounds):
                self.round(number)
            streamed_s = time.monotonic() - began
            self.daemon.settle(60 + self.args.rounds)
            self.daemon.kill()
            self.start()
            self.daemon.settle(30)
            self.expect(self.daemon.query('PRAGMA integrity_check') == [('ok',)], 'integrity_check')
            self.check_received()
            self.check_results()
            self.check_files()
            self.expect(max(self.ready_s) <= READY_S, f'a start took {max(self.ready_s):.1f} s')
            self.expect(self.daemon.stop() == 0, 'it did not end well')
        finally:
            if self.daemon.process is not None and self.daemon.process.poll() is None:
                self.daemon.kill()
            self.pacs.server.shutdown()
        return {'rounds': self.args.rounds, 'seed': self.args.seed, 'kills': self.kills,
                'acknowledged': len(self.acked), 'series': len(self.sent), 'associations': self.tries, 'at_pacs': len(self.pacs.objects),
                'sent_again': self.pacs.repeats, 'reports': self.pacs.reports,
                'ready_s_max': round(max(self.ready_s), 3),
                'streamed_s': round(streamed_s, 1), 'seconds': round(time.monotonic() - began, 1),
                'problems': self.problems[:20]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('sctd')
    parser.add_argument('--rounds', type=int, default=8)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--commitment', action='store_true', help='the PACS confirms what it keeps')
    parser.add_argument('--reviewed', action='store_true', help='the results are checked, and none passes')
    parser.add_argument('--keep', action='store_true', help='leave the folder there')
    args = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix='sctd-kill-'))
    result = None
    try:
        result = Rounds(args.sctd, work, args).run()
    finally:
        if args.keep or result is None or result['problems']:
            print(f'see {work}', file=sys.stderr)
        else:
            shutil.rmtree(work, ignore_errors=True)
    print(json.dumps(result))
    return 1 if result['problems'] else 0


if __name__ == '__main__':
    sys.exit(main())
