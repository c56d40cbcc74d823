#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Thousands of small series through one daemon: memory stays flat, and nothing is left in a queue.
usage: soak.py /path/to/sctd [--series N] [--senders N]
Prints what the daemon and its children hold as it goes; the exit status is 1 if something is left or grows."""
import argparse
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'integration'))
# pylint: disable=wrong-import-position
from kit import venv  # noqa: E402

venv.enter()
import pydicom  # noqa: E402
from pynetdicom import AE  # noqa: E402

from kit import reactor  # noqa: E402,F401
from kit import daemon as kit  # noqa: E402

SLICES = 4
DONE = 4  # a job's state: db/jobs.h
GROWTH_KIB = 8192  # of the parent, from a tenth of the way to the end


def memory_kib(pid):
    return int(re.search(r'VmRSS:\s+(\d+)', pathlib.Path(f'/proc/{pid}/status').read_text())[1])


def files(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


class Sender(threading.Thread):
    """Sends its share of the series, a study and an association each."""

    def __init__(self, number, numbers, template, port):
        super().__init__()
        self.number, self.numbers, self.port = number, numbers, port
        self.template = [pydicom.dcmread(p) for p in template]
        self.again = 0

    def run(self):
        ae = AE(ae_title=f'SENDER{self.number}')
        ae.add_requested_context(self.template[0].SOPClassUID, '1.2.840.10008.1.2.1')
        for n in self.numbers:
            while not self.send_series(ae, f'1.2.826.0.1.3680043.10.1.{n}'):
                time.sleep(0.05)

    def send_series(self, ae, root):
        """Whether all of it was acknowledged; as a scanner does, it is sent again where not."""
        association = ae.associate('127.0.0.1', self.port, ae_title='SCTD')
        if not association.is_established:
            return False
        try:
            for k, dataset in enumerate(self.template):
                dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f'{root}.1', f'{root}.2'
                dataset.FrameOfReferenceUID, dataset.SOPInstanceUID = f'{root}.3', f'{root}.4.{k}'
                dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
                if association.send_c_store(dataset).get('Status') != 0:
                    self.again += 1
                    association.abort()
                    return False
        except RuntimeError:  # the association broke
            self.again += 1
            return False
        association.release()
        return True


def ended(store):
    with sqlite3.connect(f'file:{store}?mode=ro', uri=True) as db:
        return dict(db.execute('SELECT state, count(*) FROM job GROUP BY state').fetchall())


def run(sctd, n_series, n_senders, work):
    port = kit.free_port()
    kit.make_model(sctd, work / 'state' / 'models')
    pacs = subprocess.Popen(['storescp', '--ignore', '-aet', 'PACS', '--fork', str(port)], stderr=subprocess.DEVNULL)
    rule = {'name': 'mr', 'match': {'modality': 'MR'}, 'model': 'small', 'destinations': ['pacs']}
    daemon = kit.Daemon(sctd, work, rules=[rule], destinations=[
        {'name': 'pacs', 'ae_title': 'PACS', 'host': '127.0.0.1', 'port': port, 'no_storage_commitment': True}],
        completion={'quiet_s': 300, 'closed_quiet_s': 1}, retention={'min_free_percent': 1}).start()
    template = kit.make_series(sctd, work / 'source', matrix=32, slices=SLICES)
    senders = [Sender(s, range(s, n_series, n_senders), template, daemon.port) for s in range(n_senders)]
    for sender in senders:
        sender.start()
    early, samples, start = None, [], time.monotonic()
    done = 0
    while done < n_series and time.monotonic() - start < 3600:
        time.sleep(2)
        done = len(daemon.find('delivery', result='stored'))
        samples.append((done, memory_kib(daemon.process.pid), files(daemon.process.pid)))
        if early is None and done >= n_series / 10:
            early = samples[-1]
        if len(samples) % 15 == 0:
            print(json.dumps({'seconds': round(time.monotonic() - start), 'done': done, 'rss_kib': samples[-1][1],
                              'files': samples[-1][2]}), flush=True)
    for sender in senders:
        sender.join()
    time.sleep(8)
    last = samples[-1]
    states = ended(work / 'state' / 'jobs.db')
    status = daemon.stop()
    pacs.terminate()
    facts = {'series': n_series, 'seconds': round(time.monotonic() - start), 'sent_again': sum(s.again for s in senders),
             'delivered': done, 'job_states': states, 'rss_kib_at_a_tenth': early and early[1], 'rss_kib_at_the_end': last[1],
             'files_at_a_tenth': early and early[2], 'files_at_the_end': last[2], 'exit_status': status}
    print(json.dumps(facts))
    return (done == n_series and list(states) == [DONE] and status == 0 and
            last[1] - early[1] < GROWTH_KIB and last[2] <= early[2] + 4)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('sctd')
    parser.add_argument('--series', type=int, default=5000)
    parser.add_argument('--senders', type=int, default=4)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        sys.exit(0 if run(os.path.abspath(words.sctd), words.series, words.senders, pathlib.Path(work)) else 1)


if __name__ == '__main__':
    main()
