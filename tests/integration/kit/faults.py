# SPDX-License-Identifier: Apache-2.0
"""A daemon to which something is done: its children, its job store (read only), what lies in its folders."""
import contextlib
import os
import pathlib
import signal
import sqlite3
import subprocess
import time

from kit import daemon

JOB = ('queued', 'retry', 'running', 'delivering', 'done', 'failed', 'poison', 'cancelled')
ENDED = ('done', 'failed', 'poison', 'cancelled')
POLL_S = 0.05


def children(pid, kind):
    """Process numbers of the children of `pid` that are `sctd KIND`."""
    found = subprocess.run(['pgrep', '-P', str(pid)], capture_output=True, text=True, check=False)
    pids = []
    for number in found.stdout.split():
        with contextlib.suppress(OSError):
            words = pathlib.Path(f'/proc/{number}/cmdline').read_bytes().split(b'\0')
            if kind.encode() in words[1:2]:
                pids.append(int(number))
    return sorted(pids)


def below(folder, root):
    return {str(p.relative_to(root)) for p in pathlib.Path(folder).rglob('*') if p.is_file()}


class Daemon(daemon.Daemon):
    """What it logged before a restart is in `past`."""

    def __init__(self, sctd, folder, *, port=None, **more):
        listen = {'address': '127.0.0.1', 'port': port or daemon.free_port(), 'per_peer': 64}
        super().__init__(sctd, folder, listen=listen, **more)
        self.events, self.past = [], []

    def start(self):
        self.past += self.events
        return super().start()

    def pid(self):
        """The daemon's own process, whatever it is wrapped in."""
        return children(self.process.pid, 'serve')[0] if self.wrap else self.process.pid

    def children(self, kind):
        """Those that are 'receive', 'worker' or 'send'."""
        return children(self.pid(), kind)

    def kill(self):
        self.stop(signal.SIGKILL)

    def end(self):
        """SIGTERM also where it is wrapped; the exit status."""
        os.kill(self.pid(), signal.SIGTERM)
        status = self.process.wait(90)
        self.reader.join(5)
        return status

    def query(self, text, *values):
        """Rows of the job store, read and let go."""
        uri = f'file:{self.state}/jobs.db?mode=ro'
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as store:
            return store.execute(text, values).fetchall()

    def wait(self, condition, timeout, what):
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, f'not within {timeout} s: {what}: {self.events[-12:]}'
            assert self.process.poll() is None, f'the daemon ended: {self.events[-12:]}'
            time.sleep(POLL_S)

    def jobs(self):
        """Series Instance UID -> its jobs by revision: state, attempts, deaths, reason."""
        found = {}
        for uid, state, attempt, deaths, reason in self.query(
                'SELECT s.uid, j.state, j.attempt, j.deaths, j.reason FROM job j JOIN series s ON s.id = j.series_id'
                ' ORDER BY j.revision'):
            found.setdefault(uid, []).append({'state': JOB[state], 'attempt': attempt, 'deaths': deaths,
                                              'reason': reason})
        return found

    def settle(self, timeout):
        """Until no series is open and no job on its way."""
        self.wait(lambda: self.query('SELECT count(*) FROM series WHERE state = 0') == [(0,)]
                  and all(job['state'] in ENDED for jobs in self.jobs().values() for job in jobs),
                  timeout, 'every series closed, every job ended')

    def named(self):
        """The files that rows name: in the spool, in the results."""
        return ({row[0] for row in self.query('SELECT file FROM instance WHERE file_state < 2')},
                {row[0] for row in self.query('SELECT file FROM output WHERE file_state < 2')})

    def lying(self):
        """The files that are there, named as in the rows."""
        spool, results = self.state / 'spool', self.state / 'results'
        return below(spool / 'series', spool), below(results, results)

    def on_their_way(self):
        tmp = self.state / 'spool' / 'tmp'
        return below(tmp, tmp)
