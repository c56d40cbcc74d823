#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Before each acknowledgement, in the order of the system calls: the file is synced, renamed, its folder synced, the
job store's log written and synced; and the check notices when one of the syncs is not done.
usage: sync_order.py /path/to/sctd [unittest options]"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'integration'))
# pylint: disable=wrong-import-position
from kit import daemon, faults  # noqa: E402

SCTD = None
SERIES, SLICES = 3, 12
CALLS = 'fsync,fdatasync,rename,renameat,renameat2,write,writev,pwrite64,sendto,sendmsg'
BEGIN = re.compile(r'^(\d+) +(\w+)\((.*)')
RESUMED = re.compile(r'^(\d+) +<\.\.\. (\w+) resumed>(.*)')
RESULT = re.compile(r'= (-?\d+)')
C_STORE_RSP = r'\x00\x00\x00\x01\x02\x00\x00\x00\x01\x80'  # (0000,0100) US 8001H, implicit little endian
SUCCESS = r'\x00\x00\x00\x09\x02\x00\x00\x00\x00\x00'  # (0000,0900) US 0000H


class Call:
    def __init__(self, pid, name, text, begin):
        self.pid, self.name, self.text, self.begin = pid, name, text, begin
        self.end, self.result = None, None

    def finish(self, text, end):
        self.end = end
        self.text += text
        found = RESULT.search(text.rsplit(')', 1)[-1])
        self.result = int(found[1]) if found else None


def read_trace(path):
    """The calls in the order of their beginning; begin and end are line numbers."""
    calls, running = [], {}
    for number, line in enumerate(path.read_text().splitlines()):
        resumed, began = RESUMED.match(line), BEGIN.match(line)
        if resumed:
            call = running.pop(resumed[1], None)
            if call is not None:
                call.finish(resumed[3], number)
        elif began:
            call = Call(began[1], began[2], began[3], number)
            calls.append(call)
            if line.endswith('<unfinished ...>'):
                running[began[1]] = call
            else:
                call.finish(began[3], number)
    return calls


def last(calls, begin, end, names, text):
    """The last call that ended well between two lines."""
    for call in reversed(calls):
        if (call.begin > begin and call.end is not None and call.end < end and call.name in names
                and text in call.text and call.result is not None and call.result >= 0):
            return call
    return None


def check(calls):
    """(acknowledgements, what is missing before them)."""
    acknowledged, missing = 0, []
    log = [c for c in calls if 'jobs.db-wal' in c.text]
    before = {}  # process -> where its last instance ended
    for answer in calls:
        if answer.name not in ('write', 'writev', 'sendto', 'sendmsg') or C_STORE_RSP not in answer.text \
                or SUCCESS not in answer.text:
            continue
        acknowledged += 1
        own = [c for c in calls if c.pid == answer.pid]
        begin = before.get(answer.pid, -1)
        before[answer.pid] = answer.begin
        renamed = last(own, begin, answer.begin, ('rename', 'renameat', 'renameat2'), '.dcm')
        if renamed is None:
            missing.append('rename')
            continue
        synced = last(own, begin, renamed.begin, ('fsync', 'fdatasync'), '/spool/tmp/')
        wrote = last(own, begin, renamed.begin, ('write',), '/spool/tmp/')
        if synced is None or wrote is None or wrote.end > synced.begin:
            missing.append('fdatasync of the file before its rename')
        folder = last(own, renamed.end, answer.begin, ('fsync', 'fdatasync'), '/spool/series/')
        if folder is None:
            missing.append('fsync of the folder after the rename')
            continue
        kept = last(log, folder.end, answer.begin, ('fsync', 'fdatasync'), '')
        if kept is None or last(log, folder.end, kept.begin, ('pwrite64',), '') is None:
            missing.append("fdatasync of the job store's log")
    return acknowledged, missing


class Order(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.work = pathlib.Path(cls.folder.name)
        cls.series = [daemon.make_series(SCTD, cls.work / f'series{k}', seed=k + 1, slices=SLICES)[0].parent
                      for k in range(SERIES)]

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def trace(self, name, stubbed=None):
        """Receive all series at once under strace."""
        trace = self.work / f'{name}.trace'
        env = []
        if stubbed is not None:
            library = pathlib.Path(SCTD).parents[1] / 'tests' / 'fault' / 'libnosync.so'
            self.assertTrue(library.exists(), library)
            asan = os.environ.get('ASAN_OPTIONS', '') + ':verify_asan_link_order=0'  # it need not come first
            env = ['-E', f'LD_PRELOAD={library}', '-E', f'SCTD_NOSYNC={stubbed}', '-E', f'ASAN_OPTIONS={asan}']
        node = faults.Daemon(SCTD, self.work / name, rules=[{'name': 'none', 'ignore': True}],
                             wrap=['strace', '-f', '-y', '-x', '-s', '256', '-e', 'signal=none', '-e',
                                   f'trace={CALLS}', *env, '-o', trace])
        node.start()
        try:
            senders = [subprocess.Popen(['storescu', '-aec', 'SCTD', '127.0.0.1', str(node.port), '+sd', folder],
                                        env=os.environ | {'TCP_NODELAY': '1'}) for folder in self.series]
            self.assertEqual([sender.wait(60) for sender in senders], [0] * SERIES)
        finally:
            node.end()
        return check(read_trace(trace))

    def test_everything_is_synced_in_order_before_each_acknowledgement(self):
        acknowledged, missing = self.trace('honest')
        self.assertEqual(acknowledged, SERIES * SLICES)
        self.assertEqual(missing, [])

    def test_the_check_notices_that_files_are_not_synced(self):
        self.notice('/spool/tmp/', 'fdatasync of the file before its rename')

    def test_the_check_notices_that_folders_are_not_synced(self):
        self.notice('/spool/series', 'fsync of the folder after the rename')

    def test_the_check_notices_that_the_log_is_not_synced(self):
        self.notice('jobs.db-wal', "fdatasync of the job store's log")

    def notice(self, stubbed, what):
        acknowledged, missing = self.trace(f'stubbed-{len(stubbed)}', stubbed)
        self.assertEqual(acknowledged, SERIES * SLICES)
        self.assertEqual(missing, [what] * acknowledged)


if __name__ == '__main__':
    SCTD = sys.argv.pop(1)
    unittest.main()
