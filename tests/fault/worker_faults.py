#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A worker that dies or hangs costs one attempt; a job that kills its worker three times is parked, the others go on.
usage: worker_faults.py /path/to/sctd [unittest options]"""
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'integration'))
# pylint: disable=wrong-import-position
from kit import daemon, faults  # noqa: E402

SCTD = None
LONG_WAIT_MS = 5000


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.work = pathlib.Path(folder.name)
        self.addCleanup(folder.cleanup)
        daemon.make_model(SCTD, self.work / 'models')

    def node(self, **workers):
        node = faults.Daemon(SCTD, self.work / 'node', rules=[{'name': 'mr', 'model': 'small'}],
                             models_dir=str(self.work / 'models'), completion={'quiet_s': 2, 'closed_quiet_s': 1},
                             workers={'silence_s': 2, **workers})
        node.start()
        self.addCleanup(node.stop)
        return node

    def send(self, node, seed, slices=12, matrix=64):
        """A series of its own; its Series Instance UID."""
        paths = daemon.make_series(SCTD, self.work / f'series{seed}', seed=seed, slices=slices, matrix=matrix)
        subprocess.run(['storescu', '-aec', 'SCTD', '127.0.0.1', str(node.port), '+sd', paths[0].parent], check=True)
        return subprocess.run(['dcmdump', '-q', '+P', '0020,000e', paths[0]], check=True, capture_output=True,
                              text=True).stdout.split('[')[1].split(']')[0]

    def running(self, node):
        """The series whose job a worker has begun, or None: a worker that cannot start is not the job's fault."""
        rows = node.query('SELECT s.uid FROM job j JOIN series s ON s.id = j.series_id'
                          " WHERE j.state = 2 AND j.stage <> ''")
        return rows[0][0] if rows else None

    @contextlib.contextmanager
    def against(self, node, series, sig, times):
        """Sends a signal to the worker as soon as it runs a series' job, so many times; the list of what was hit."""
        done = threading.Event()
        hit = []

        def watch():
            while not done.is_set() and len(hit) < times:
                for pid in node.children('worker') if self.running(node) == series else []:
                    if pid not in hit:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, sig)
                            hit.append(pid)
                done.wait(0.005)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield hit
        finally:
            done.set()
            thread.join()


class Deaths(Case):
    def test_a_killed_worker_costs_one_attempt(self):
        node = self.node()
        series = self.send(node, 1, slices=40)
        with self.against(node, series, signal.SIGKILL, 1) as hit:
            node.settle(60)
        self.assertEqual(len(hit), 1)
        [job] = node.jobs()[series]
        self.assertEqual((job['state'], job['attempt'], job['deaths']), ('done', 2, 1), job)

    def test_a_stopped_worker_is_found_by_its_silence_and_costs_one_attempt(self):
        node = self.node()
        series = self.send(node, 1, slices=40)
        began = time.monotonic()
        with self.against(node, series, signal.SIGSTOP, 1) as hit:
            node.settle(60)
        self.assertEqual(len(hit), 1)
        self.assertLess(time.monotonic() - began, 40)
        self.assertFalse(pathlib.Path(f'/proc/{hit[0]}').exists())
        [job] = node.jobs()[series]
        self.assertEqual((job['state'], job['attempt'], job['deaths']), ('done', 2, 1), job)

    def test_the_third_death_parks_the_job_and_the_others_go_on(self):
        node = self.node()
        poison = self.send(node, 1, slices=40)
        with self.against(node, poison, signal.SIGKILL, 3) as hit:
            others = [self.send(node, seed) for seed in range(2, 10)]
            node.settle(120)
        self.assertEqual(len(hit), 3)
        jobs = node.jobs()
        [parked] = jobs[poison]
        self.assertEqual((parked['state'], parked['attempt'], parked['deaths']), ('poison', 3, 3), parked)
        self.assertIn('killed', parked['reason'])
        for series in others:
            [job] = jobs[series]
            self.assertEqual((job['state'], job['attempt'], job['deaths']), ('done', 1, 0), job)
        ended = node.query('SELECT s.uid, j.ended_ms FROM job j JOIN series s ON s.id = j.series_id'
                           ' ORDER BY j.ended_ms')
        claims = [at for at, in node.query('SELECT h.at_ms FROM history h JOIN job j ON j.id = h.job_id JOIN series s ON'
                                           ' s.id = j.series_id WHERE s.uid = ? AND h.from_state <> 2 AND h.to_state = 2'
                                           ' ORDER BY h.id', poison)]
        waited = max(later - earlier for earlier, later in zip(claims, claims[1:]))
        if waited > LONG_WAIT_MS:  # its waits are drawn, and may both be shorter than a new worker takes to start
            self.assertNotEqual(ended[0][0], poison, 'others waited for the one that is parked')
        _, produced = node.lying()
        self.assertEqual(produced, node.named()[1])

    def test_a_worker_that_dies_when_idle_costs_nothing(self):
        node = self.node()
        first = self.send(node, 1)
        node.settle(60)
        [pid] = node.children('worker')
        os.kill(pid, signal.SIGKILL)
        second = self.send(node, 2)
        node.settle(60)
        for series in (first, second):
            [job] = node.jobs()[series]
            self.assertEqual((job['state'], job['attempt'], job['deaths']), ('done', 1, 0), job)


if __name__ == '__main__':
    SCTD = sys.argv.pop(1)
    unittest.main()
