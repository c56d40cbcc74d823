#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A disk that is full, at each remaining size: what is acknowledged is whole, the rest is refused as out of resources,
and when there is room again it goes on by itself.
usage: disk_full.py /path/to/sctd [unittest options]   (root: it mounts a tmpfs)"""
import contextlib
import hashlib
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'integration'))
from kit import venv  # noqa: E402

venv.enter()
# pylint: disable=wrong-import-position
import pydicom  # noqa: E402
from pydicom.uid import ExplicitVRLittleEndian  # noqa: E402
from pynetdicom import AE  # noqa: E402
from pynetdicom.dsutils import encode  # noqa: E402
from pynetdicom.sop_class import MRImageStorage  # noqa: E402

from kit import reactor  # noqa: E402,F401
from kit import daemon, faults, receiving, sources  # noqa: E402

SCTD = None
SKIP = 77
PAGE = 4096
SUCCESS, OUT_OF_RESOURCES = 0x0000, 0xA700
DISK_MIB = 32
RESERVED = DISK_MIB * 256 // 100 + 1  # pages, of 1 %; an instance has 128
RECOVERY_S = 10


class Scanner:
    """Sends one instance after another, over one association while it lasts."""

    def __init__(self, port, base):
        self.port, self.base = port, base
        self.association = None
        self.number = 0
        self.acked = {}  # SOP Instance UID -> SHA-256

    def send(self, again=False):
        """The status of the next one, or of the first one again; None: rejected or cut."""
        if self.association is None or not self.association.is_established:
            ae = AE(ae_title='SCANNER')
            ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
            ae.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
            self.association = ae.associate('127.0.0.1', self.port, ae_title='SCTD')
            if not self.association.is_established:
                return None
        self.number += not again
        number = 0 if again else self.number
        one = self.base
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = sources.uid('full', number)
        one.InstanceNumber = number
        try:
            status = self.association.send_c_store(one).get('Status')
        except (RuntimeError, ValueError):
            return None
        if status == SUCCESS:
            self.acked[str(one.SOPInstanceUID)] = hashlib.sha256(encode(one, False, True)).digest()
        return status

    def close(self):
        if self.association is not None and self.association.is_established:
            self.association.release()
        self.association = None


class Full(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.work = pathlib.Path(folder.name)
        self.addCleanup(folder.cleanup)
        self.base = pydicom.dcmread(daemon.make_series(SCTD, self.work / 'series', slices=4, matrix=512)[0])

    def mount(self, options):
        disk = self.work / 'node' / 'state'
        disk.mkdir(parents=True)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', disk], check=True)
        self.addCleanup(subprocess.run, ['umount', '-l', disk], check=True)
        self.node = faults.Daemon(SCTD, self.work / 'node', rules=[{'name': 'none', 'ignore': True}],
                                  retention={'min_free_percent': 1})
        self.node.start()
        self.addCleanup(self.node.stop)
        self.scanner = Scanner(self.node.port, self.base)
        self.addCleanup(self.scanner.close)
        self.assertEqual(self.scanner.send(again=True), SUCCESS)
        return disk

    def check_kept(self):
        """Every acknowledged instance has a row and is whole."""
        rows = {row[0]: (row[1], row[2]) for row in self.node.query('SELECT sop_uid, sha256, file FROM instance')}
        for uid, digest in self.scanner.acked.items():
            self.assertEqual(rows[uid][0], digest)
            data = receiving.data_set_of(self.node.state / 'spool' / rows[uid][1])
            self.assertEqual(hashlib.sha256(data).digest(), digest)
        return rows

    def check_recovery(self):
        end = time.monotonic() + RECOVERY_S
        while self.scanner.send(again=True) != SUCCESS:
            self.assertLess(time.monotonic(), end, 'it takes nothing although there is room')
            self.assertIsNone(self.node.process.poll(), self.node.events[-5:])
            time.sleep(0.1)

    def test_at_each_number_of_free_pages_what_is_acknowledged_is_whole(self):
        disk = self.mount(f'size={DISK_MIB}m')
        filler = disk / 'filler'
        seen = {}
        for pages in [*range(0, RESERVED, 8), *range(RESERVED, RESERVED + 150, 3)]:
            self.scanner.close()  # the next association is let in while there is room, and then there is none
            self.assertEqual(self.scanner.send(again=True), SUCCESS)
            room = os.statvfs(disk)
            with open(filler, 'wb') as file:
                os.posix_fallocate(file.fileno(), 0, (room.f_bfree - pages) * PAGE)
            for _ in range(2):
                status = self.scanner.send()
                self.assertIn(status, (SUCCESS, OUT_OF_RESOURCES, None), f'{pages} pages')
                seen[status] = seen.get(status, 0) + 1
                self.assertFalse(status is None and pages > RESERVED + 4, f'{pages} pages: {self.node.events[-8:]}')
            self.assertIsNone(self.node.process.poll(), self.node.events[-5:])
            filler.unlink()
            self.check_recovery()
        self.check_kept()
        self.scanner.close()
        self.assertGreater(seen.get(OUT_OF_RESOURCES, 0), 20, seen)
        self.assertEqual(self.node.on_their_way(), set())
        self.check_whole_after_a_restart()

    def check_whole_after_a_restart(self):
        self.node.kill()
        self.node.start()
        self.check_kept()
        self.assertEqual(self.node.query('PRAGMA integrity_check'), [('ok',)])
        self.node.wait(lambda: self.node.lying()[0] == self.node.named()[0], 10, 'a row for each file')

    def test_without_inodes_nothing_is_acknowledged_and_with_them_it_goes_on(self):
        disk = self.mount(f'size={DISK_MIB}m,nr_inodes=400')
        for left in range(0, 12):
            self.scanner.close()
            self.assertEqual(self.scanner.send(again=True), SUCCESS)
            hold = disk / 'hold'
            hold.mkdir()
            count = 0
            while os.statvfs(disk).f_ffree > left:
                (hold / str(count)).touch()
                count += 1
            for _ in range(2):
                self.assertIn(self.scanner.send(), (SUCCESS, OUT_OF_RESOURCES, None), left)
            self.assertIsNone(self.node.process.poll(), self.node.events[-5:])
            for path in hold.iterdir():
                path.unlink()
            hold.rmdir()
            self.check_recovery()
        self.check_kept()
        self.scanner.close()
        self.check_whole_after_a_restart()

    def test_below_the_reserve_associations_are_rejected_for_now(self):
        disk = self.mount(f'size={DISK_MIB}m')
        self.scanner.close()
        with open(disk / 'filler', 'wb') as file:
            os.posix_fallocate(file.fileno(), 0, (os.statvfs(disk).f_bfree - 8) * PAGE)
        self.assertIsNone(self.scanner.send())
        self.assertTrue(self.scanner.association.is_rejected)
        (disk / 'filler').unlink()
        self.check_recovery()


DONE = 4  # enum db_job_state


class Results(unittest.TestCase):
    """The disk fills while jobs write: no job is to blame."""

    def test_jobs_wait_for_room_without_losing_a_try(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        work = pathlib.Path(folder.name)
        disk = work / 'node' / 'state'
        disk.mkdir(parents=True)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={DISK_MIB}m', 'tmpfs', disk], check=True)
        self.addCleanup(subprocess.run, ['umount', '-l', disk], check=True)
        daemon.make_model(SCTD, disk / 'models')
        node = daemon.Daemon(SCTD, work / 'node', rules=[{'name': 'mr', 'match': {'modality': 'MR'}, 'model': 'small'}],
                             retention={'min_free_percent': 1}, completion={'quiet_s': 3, 'closed_quiet_s': 3})
        self.addCleanup(node.stop)
        node.start()
        paths = daemon.make_series(SCTD, work / 'series', slices=12, matrix=256)
        subprocess.run(['storescu', '-aec', 'SCTD', '127.0.0.1', str(node.port), *paths], check=True)
        filler = disk / 'filler'
        with open(filler, 'wb') as file:
            room = os.statvfs(disk)
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - (700 << 10))  # of 1.6 MB
        waits = node.wait_for('job-attempt', result='released')
        self.assertIn('No space left on device', waits['reason'])
        node.wait_for('job-attempt', result='released', attempt=2, timeout=40)
        filler.unlink()
        self.assertEqual(node.wait_for('job-attempt', result='done', timeout=40)['attempt'], 3)
        node.stop()
        with contextlib.closing(sqlite3.connect(disk / 'jobs.db')) as store:
            self.assertEqual(store.execute('SELECT state, failures, deaths FROM job').fetchall(), [(DONE, 0, 0)])


def can_mount():
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], capture_output=True,
                              text=True, check=False)
        if done.returncode == 0:
            subprocess.run(['umount', folder], check=True)
        return done


if __name__ == '__main__':
    SCTD = sys.argv.pop(1)
    MOUNTED = can_mount()
    if MOUNTED.returncode != 0:
        print(f'skipped: no tmpfs can be mounted here: {MOUNTED.stderr.strip()}')
        sys.exit(SKIP)
    unittest.main()
