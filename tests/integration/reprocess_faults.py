#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A PACS that stalls, lies, sends rubbish or breaks off while a batch fetches from it: each series ends with a reason or with
all of its images, and nothing hangs.
usage: reprocess_faults.py /path/to/sctd [unittest options]"""
import contextlib
import os
import pathlib
import random
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
import time
import unittest

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
from pydicom.dataset import Dataset  # noqa: E402
from pynetdicom.dimse_primitives import C_FIND, C_GET, C_MOVE  # noqa: E402

from kit import reactor  # noqa: E402,F401
from kit import batches as kit  # noqa: E402
from kit import daemon  # noqa: E402
from kit.pacs import WAITING, Pacs  # noqa: E402

SCTD = None
IMAGES = 8
SILENCE_S = 2
ABORT = bytes([7, 0, 0, 0, 0, 4, 0, 0, 0, 0])  # PS3.8 9.3.8
ALWAYS = 99


def say(event, primitive, status, **counts):
    """One answer, whatever has been said before."""
    answer = primitive()
    answer.MessageIDBeingRespondedTo = event.request.MessageID
    answer.AffectedSOPClassUID = event.request.AffectedSOPClassUID
    answer.Status = status
    for name, value in counts.items():
        setattr(answer, f'NumberOf{name.capitalize()}Suboperations', value)
    event.assoc.dimse.send_msg(answer, event.context.context_id)


class Faulty(Pacs):
    """faults: by Series Instance UID the name of a method, and how often it takes the place of a retrieval."""

    def __init__(self, *args, **more):
        self.faults, self.tries, self.over, self.lists = {}, {}, threading.Event(), None
        self.elsewhere = Sink()
        super().__init__(*args, **more)

    def stop(self):
        self.over.set()
        super().stop()
        self.elsewhere.stop()

    def _find(self, event):
        if event.identifier.QueryRetrieveLevel == 'STUDY' and self.faults.get('query', ('', 0))[1] > 0:
            name, left = self.faults['query']
            self.faults['query'] = (name, left - 1)
            yield from getattr(self, name)(event)
            return
        for status, answer in super()._find(event):
            if answer is not None and 'NumberOfSeriesRelatedInstances' in answer and self.lists is not None:
                answer.NumberOfSeriesRelatedInstances = self.lists
            yield status, answer

    def _choose(self, event, otherwise):
        uid = event.identifier.SeriesInstanceUID
        name, times = self.faults.get(uid, ('', 0))
        n = self.tries[uid] = self.tries.get(uid, 0) + 1
        if n > times:
            yield from otherwise(event)
        else:
            yield from getattr(self, name)(event, self._matching(event.identifier))

    def _get(self, event):
        yield from self._choose(event, super()._get)

    def _move(self, event):
        yield from self._choose(event, super()._move)

    def _address(self, port=None):
        return next(super()._move(None)) if port is None else ('127.0.0.1', port, self._address()[2])

    def _wait(self, event, seconds=0.2):
        """Whether to go on, a moment later."""
        return not self.over.wait(seconds) and event.assoc.is_established and event.assoc.dul.is_alive()

    # Queries

    def query_pending_for_ever(self, event):
        while self._wait(event):
            say(event, C_FIND, WAITING)
        yield 0x0000, None

    def query_rubbish_for_ever(self, event):
        nothing = Dataset()
        nothing.QueryRetrieveLevel = 'STUDY'
        while self._wait(event, 0.05):
            yield WAITING, nothing
        yield 0x0000, None

    # C-GET

    def get_pending_for_ever(self, event, found):
        yield len(found)
        yield WAITING, found[0]
        while self._wait(event):
            say(event, C_GET, WAITING, remaining=len(found), completed=1, failed=0, warning=0)

    def get_silence(self, event, found):
        yield len(found)
        for d in found[:3]:
            yield WAITING, d
        while self._wait(event):
            pass

    def get_same_image_for_ever(self, event, found):
        yield 60000
        while self._wait(event, 0.02):
            yield WAITING, found[0]

    def get_too_few(self, _event, found):
        yield len(found)
        for d in found[:5]:
            yield WAITING, d
        yield 0x0000, None

    def get_other_series(self, event, found):
        others = [d for d in self.sets if d.SeriesInstanceUID == self.other]
        assert others[0].SeriesInstanceUID != found[0].SeriesInstanceUID
        yield len(others)
        for d in others:
            yield WAITING, d

    def get_damaged_images(self, _event, found):
        yield len(found)
        for d in found:
            broken = Dataset()
            broken.update(d)
            broken.file_meta = d.file_meta
            if d is found[4]:
                del broken.SeriesInstanceUID
            yield WAITING, broken

    def get_rubbish(self, event, found):
        yield len(found)
        for d in found[:3]:
            yield WAITING, d
        event.assoc.dul.socket.send(random.Random(1).randbytes(20000))
        while self._wait(event):
            pass

    def get_abort(self, event, found):
        yield len(found)
        for d in found[:6]:
            yield WAITING, d
        event.assoc.dul.socket.send(ABORT)
        while self._wait(event):
            pass

    def get_hang_up(self, event, found):
        yield len(found)
        for d in found[:6]:
            yield WAITING, d
        event.assoc.dul.socket.close()
        while self._wait(event):
            pass

    # C-MOVE

    def move_pending_for_ever(self, event, found):
        yield self._address()
        yield len(found)
        for d in found[:2]:
            yield WAITING, d
        while self._wait(event):
            say(event, C_MOVE, WAITING, remaining=6, completed=2, failed=0, warning=0)

    def move_silence(self, event, _found):
        while self._wait(event):
            pass
        yield self._address()

    def move_too_few(self, _event, found):
        yield self._address()
        yield len(found)
        for d in found[:5]:
            yield WAITING, d
        yield 0x0000, None

    def move_to_somebody_else(self, _event, found):
        yield self._address(self.elsewhere.port)
        yield len(found)
        for d in found:
            yield WAITING, d

    def move_abort(self, event, found):
        yield self._address()
        yield len(found)
        for d in found[:6]:
            yield WAITING, d
        event.assoc.dul.socket.send(ABORT)
        while self._wait(event):
            pass

    def move_silence_after_all(self, event, found):
        yield self._address()
        yield len(found)
        for d in found:
            yield WAITING, d
        while self._wait(event):
            pass


class Sink(Pacs):
    """Somebody else."""

    def __init__(self):
        super().__init__([], 0)


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)
        daemon.make_model(SCTD, self.work / 'state' / 'models')
        self.is_over = False

    def hold(self, n, faults=(), **more):
        """n studies; faults: of each, as Faulty wants them."""
        studies = kit.make_studies(SCTD, self.work, n)
        port = daemon.free_port()
        self.pacs = Faulty([p for paths in studies for p in paths], port)
        self.addCleanup(self.pacs.stop)
        self.uids = [self.pacs.sets[i * IMAGES].SeriesInstanceUID for i in range(n)]
        self.pacs.other = self.uids[-1]
        self.pacs.faults |= dict(zip(self.uids, faults))
        self.start(self.pacs.port, port, **more)

    def start(self, pacs_port, port, **more):
        destination = {'name': 'pacs', 'ae_title': 'PACS', 'host': '127.0.0.1', 'port': pacs_port, 'silence_s': SILENCE_S,
                       'no_storage_commitment': True, 'get': True, 'move': True, 'retrievals': 8} | more
        self.node = daemon.Daemon(SCTD, self.work, rules=[kit.RULE], destinations=[destination], port=port,
                                  completion={'quiet_s': 3, 'closed_quiet_s': 1}, workers={'slots': 4, 'threads': 1})
        self.addCleanup(self.node.stop, signal.SIGKILL)
        self.batches = kit.Batches(self.node)
        self.node.start()

    def ask(self, query, *values, mode='ro'):
        with contextlib.closing(sqlite3.connect(f'file:{self.node.state}/jobs.db?mode={mode}', uri=True, timeout=30)) as db:
            with db:
                return db.execute(query, values).fetchall()

    def hurry(self):
        """The times between two tries pass at once."""
        def run():
            while not self.is_over:
                self.ask('UPDATE batch_item SET due_ms = 0 WHERE state = 0', mode='rw')
                self.ask('UPDATE batch SET due_ms = 0', mode='rw')
                time.sleep(0.3)

        thread = threading.Thread(target=run, daemon=True)

        def end():
            self.is_over = True
            thread.join()

        self.addCleanup(end)
        thread.start()

    def run_batch(self, *words, timeout=180):
        batch = self.batches.begin('--pacs', 'pacs', '--from', '2000-01-01', '--moves', 8, *words)
        self.hurry()
        return self.batches.wait_for(batch, timeout=timeout)

    def check(self, report, wanted):
        """wanted: for each series its state, how often it was tried and a piece of what its tries said."""
        found = {s['series_uid']: s for s in report['series']}
        items = dict(self.ask('SELECT series_uid, id FROM batch_item'))
        for uid, (state, tries, piece) in zip(self.uids, wanted):
            series = found[uid]
            name = self.pacs.faults.get(uid)
            self.assertEqual((series['state'], self.pacs.tries[uid]), (state, tries), (name, series))
            said = [e['reason'] for e in self.node.find('batch-series', item=items[uid]) if e['reason']]
            self.assertTrue(all(piece in reason for reason in said), (name, piece, said))
            self.assertEqual(len(said) > 0, piece != '', (name, said))
            self.assertIn(piece if state == 'failed' else '', series['reason'])
        done = {uid for uid, (state, *_) in zip(self.uids, wanted) if state == 'done'}
        time.sleep(5)  # what the live rules would make of what is left shows by now
        sources = [d.ReferencedSeriesSequence[0].SeriesInstanceUID for d in self.pacs.stored]
        self.assertEqual({uid: sources.count(uid) for uid in set(sources)}, {uid: IMAGES for uid in done})
        self.assertEqual(self.ask('SELECT count(*) FROM job'), [(len(done),)])
        self.assertEqual(self.ask('SELECT count(*) FROM series WHERE state = 0'), [(0,)])
        self.assertEqual(self.node.stop(), 0)


class Faults:
    """What a case does with its ROWS: a fault of the PACS, and what the batch says of it."""

    def test_what_never_goes_well_ends_after_five_tries(self):
        self.hold(len(self.ROWS) + 1, [(name, ALWAYS) for name, _ in self.ROWS])
        report = self.run_batch('--method', self.METHOD)
        self.check(report, [*(('failed', 5, piece) for _, piece in self.ROWS), ('done', 1, '')])

    def test_what_goes_well_later_is_made(self):
        self.hold(len(self.ROWS) + 1, [(name, 2) for name, _ in self.ROWS])
        report = self.run_batch('--method', self.METHOD)
        self.check(report, [*(('done', 3, piece) for _, piece in self.ROWS), ('done', 1, '')])


class Get(Faults, Case):
    METHOD = 'get'
    ROWS = (('get_pending_for_ever', 'PACS goes on and sent no new image for 2 s; 1 of 8'),
            ('get_silence', 'did not answer in time; 3 of 8'),
            ('get_same_image_for_ever', 'PACS goes on and sent no new image for 2 s; 1 of 8'),
            ('get_too_few', '5 of 8 images came'),
            ('get_other_series', '0 of 8 images'),
            ('get_damaged_images', '7 of 8 images'),
            ('get_rubbish', '3 of 8 images are here'),
            ('get_abort', 'aborted the association; 6 of 8'),
            ('get_hang_up', 'closed the connection; 6 of 8'))

    def test_a_pacs_that_does_not_count_is_measured_by_what_it_announced(self):
        self.hold(2, [('get_too_few', 1)])
        self.pacs.lists = ''
        report = self.run_batch('--method', 'get')
        self.check(report, [('done', 2, '5 of 8 images came'), ('done', 1, '')])

    def test_a_pacs_that_lists_too_few_is_measured_by_what_it_announced(self):
        self.hold(2, [('get_abort', 1)])
        self.pacs.lists = 6
        report = self.run_batch('--method', 'get')
        self.check(report, [('done', 2, 'aborted the association; 6 of 6'), ('done', 1, '')])


class Move(Faults, Case):
    METHOD = 'move'
    ROWS = (('move_pending_for_ever', 'no new image came for 2 s; 2 of 8'),
            ('move_silence', 'no new image came for 2 s; 0 of 8'),
            ('move_too_few', '5 of 8 images came'),
            ('move_to_somebody_else', '0 of 8 images came, though the PACS says that it sent 8: see whether it has'),
            ('move_abort', 'aborted the association; 6 of 8'))

    def test_all_images_are_enough_whatever_is_said_after_them(self):
        self.hold(1, [('move_silence_after_all', ALWAYS)])
        report = self.run_batch('--method', 'move')
        self.check(report, [('done', 1, '')])

    def test_a_cancelled_batch_ends_a_transfer_that_stalls(self):
        self.hold(1, [('move_silence', ALWAYS)], silence_s=3600)
        batch = self.batches.begin('--pacs', 'pacs', '--from', '2000-01-01', '--method', 'move')
        while not self.pacs.tries:
            time.sleep(0.05)
        self.batches.run('batch', 'cancel', batch)
        self.node.wait_for('association-end', timeout=10)
        self.check(self.batches.report(batch), [('cancelled', 1, 'stopped')])


class Query(Case):
    def check_query(self, name, reason):
        self.hold(1)
        self.pacs.faults['query'] = (name, 1)
        report = self.run_batch()
        self.assertIn(reason, self.node.find('batch-waits')[0]['reason'])
        self.assertEqual(kit.states(report), {'done': 1}, report)

    def test_a_query_that_is_pending_for_ever_is_asked_again(self):
        self.check_query('query_pending_for_ever', 'told nothing for 2 s')

    def test_answers_that_tell_nothing_do_not_go_on_for_ever(self):
        self.check_query('query_rubbish_for_ever', 'told nothing for 2 s')

    def test_a_port_that_never_answers_is_waited_for(self):
        with contextlib.closing(socket.create_server(('127.0.0.1', 0))) as server:
            self.start(server.getsockname()[1], daemon.free_port())
            batch = self.batches.begin('--pacs', 'pacs', '--from', '2000-01-01')
            waits = self.node.wait_for('batch-waits', timeout=25)
            self.assertIn('no association with PACS', waits['reason'])
            self.assertEqual(self.batches.report(batch)['batch']['state'], 'planning')


if __name__ == '__main__':
    SCTD = os.path.abspath(sys.argv.pop(1))
    unittest.main()
