# SPDX-License-Identifier: Apache-2.0
"""Retrospective batches of a daemon, and PACS that hold series for them."""
import json
import subprocess
import time
import urllib.request

from kit import daemon

RULE = {'name': 'mr', 'match': {'modality': 'MR'}, 'model': 'small', 'destinations': ['pacs']}
ENDED = ('done', 'failed', 'cancelled')


class Batches:
    """`sctd reprocess` and `sctd batch` on a daemon."""

    def __init__(self, node):
        self.node = node

    def run(self, *words, status=0, timeout=60):
        done = subprocess.run([self.node.sctd, *map(str, words), '--config', self.node.config], capture_output=True,
                              text=True, timeout=timeout, check=False)
        assert done.returncode == status, f'{words}: {done.returncode} {done.stderr}{done.stdout}'
        return done.stdout if status == 0 else done.stderr

    def begin(self, *words):
        """Its number."""
        return json.loads(self.run('reprocess', *words, '--json'))['batch']

    def dry_run(self, *words):
        return json.loads(self.run('reprocess', *words, '--dry-run', '--json'))['series']

    def report(self, batch):
        return json.loads(self.run('batch', 'report', batch, '--json'))

    def wait_for(self, batch, states=ENDED, timeout=120):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            report = self.report(batch)
            if report['batch']['state'] in states:
                return report
            time.sleep(0.1)
        raise AssertionError(f'batch {batch} never was {states}: {report}')


def states(report):
    """How many series are in each state, without those that none is in."""
    return {k: n for k, n in report['batch']['series'].items() if n}


def upload(orthanc, paths):
    for path in paths:
        request = urllib.request.Request(f'http://127.0.0.1:{orthanc.http_port}/instances', data=path.read_bytes(),
                                         method='POST')
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()


def make_studies(sctd, folder, n, first=1, matrix=32, slices=8, kind='mr'):
    """n studies of one series each: the paths of each one's images."""
    return [daemon.make_series(sctd, folder / f'{kind}{seed}', kind=kind, seed=seed, matrix=matrix, slices=slices)
            for seed in range(first, first + n)]
