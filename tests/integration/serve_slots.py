#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which slot of the daemon runs on what, by its log and its status API, on two GPUs that are made up.
usage: serve_slots.py /path/to/sctd [unittest options]"""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from kit import daemon as kit
from kit.http import Client, section

SCTD = None
RULE = {'name': 'mr', 'match': {'modality': 'MR'}, 'model': 'small', 'destinations': ['down']}
DOWN = {'name': 'down', 'ae_title': 'DOWN', 'host': '127.0.0.1', 'port': 9}
SLOTS = 3


def module(kind):
    """The loader's module of the folder that has server/sctd."""
    return pathlib.Path(SCTD).resolve().parents[1] / f'tests/modules/libmodule-{kind}.so'


class Gpus(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        (self.root / 'state/models').mkdir(parents=True)
        # Of a size with which the host takes seconds for a series: all slots are at work before the first is through.
        kit.make_model(SCTD, self.root / 'state/models', size=64)

    def serve(self, kind='good', **workers):
        self.daemon = kit.Daemon(SCTD, self.root, rules=[RULE], destinations=[DOWN], http=section(),
                                 workers={'slots': SLOTS, 'threads': 1} | workers,
                                 env={'SCTD_CUDA_LIBRARY': str(module(kind))}).start()
        self.addCleanup(self.daemon.stop)
        self.client = Client(self.daemon)

    def engines(self):
        return self.client.get('/api/v1/status').json['workers']['engines']

    def convert(self):
        """A series for each slot, all at once; what the log says of the slots."""
        slots = self.daemon.settings['workers']['slots']
        files = [f for seed in range(slots) for f in kit.make_series(SCTD, self.root / f'series{seed}', seed=seed, slices=24)]
        subprocess.run(['storescu', '-aec', 'SCTD', '127.0.0.1', str(self.daemon.port), *map(str, files)], check=True,
                       capture_output=True)
        said = [self.daemon.wait_for('worker-engine', slot=slot + 1) for slot in range(slots)]
        for slot in range(slots):
            self.daemon.wait_for('job-attempt', job=slot + 1, result='done')
        return said

    def check(self, expected):
        said = self.convert()
        self.assertEqual([e['backend'] for e in said], expected)
        engines = self.engines()
        self.assertEqual([e['backend'] for e in engines], expected)
        for event, engine in zip(said, engines):
            for key in ('slot', 'asked', 'device_mib'):
                self.assertEqual(event[key], engine[key])
            self.assertEqual(event['device'] or None, engine['device'])
        return said

    def test_slots_go_round_the_gpus(self):
        self.serve()
        idle = [(e['slot'], e['asked'], e['backend'], e['device'], e['device_mib']) for e in self.engines()]
        self.assertEqual(idle, [(slot + 1, 'auto', None, None, 0) for slot in range(SLOTS)])
        said = self.check(['cuda:0', 'cuda:1', 'cuda:0'])
        self.assertEqual({(e['asked'], e['device'], e['reason']) for e in said}, {('auto', 'made-up GPU', 'a GPU is there')})
        # What each may take: half of nine tenths of 1 GiB for those that share one, and no limit for the other.
        self.assertEqual([e['device_mib'] for e in said], [460, 0, 460])

    def test_what_is_asked_for_by_name_is_taken(self):
        self.serve(backends=['cuda:1', 'auto', 'cpu'])
        said = self.check(['cuda:1', 'cuda:0', 'cpu'])
        self.assertEqual([e['asked'] for e in said], ['cuda:1', 'auto', 'cpu'])
        self.assertEqual([e['device'] for e in said], ['made-up GPU', 'made-up GPU', ''])

    def test_without_a_gpu_the_reason_is_told(self):
        self.serve(kind='no-gpu', slots=1)
        said = self.check(['cpu'])
        self.assertEqual({e['reason'] for e in said}, {'no GPU: no GPU in this module'})

    def test_a_slot_whose_worker_is_gone_runs_on_nothing(self):
        self.serve()
        self.check(['cuda:0', 'cuda:1', 'cuda:0'])
        children = pathlib.Path(f'/proc/{self.daemon.process.pid}/task/{self.daemon.process.pid}/children')
        for pid in map(int, children.read_text().split()):
            if b'worker' in pathlib.Path(f'/proc/{pid}/cmdline').read_bytes().split(b'\0'):
                os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 30
        while any(e['backend'] for e in self.engines()) and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual([e['backend'] for e in self.engines()], [None] * SLOTS)


if __name__ == '__main__':
    SCTD = sys.argv.pop(1)
    unittest.main()
