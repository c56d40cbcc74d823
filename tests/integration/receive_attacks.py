#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Peers that are silent, slow, rude or hostile do no harm: bytes on a socket against the front door.
usage: receive_attacks.py /path/to/sctd [unittest options]"""
import os
import pathlib
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from kit import receiving
from kit.receiving import Raw, command, item, pdata, request

SCTD = None
MR, EXPLICIT, VERIFICATION = '1.2.840.10008.5.1.4.1.1.4', '1.2.840.10008.1.2.1', '1.2.840.10008.1.1'
STORAGE = [(MR, EXPLICIT)]
ABORT = 7


def echo(door):
    """Seconds that a C-ECHO takes, connection and release included."""
    began = time.monotonic()
    with Raw(door) as raw:
        raw.associate()
        raw.send(pdata(command(0x30, VERIFICATION), is_command=True))
        kind, body = raw.pdu()
        assert kind == 4 and receiving.element(0, 0x0900, b'\0\0') in body
        raw.send(receiving.RELEASE)
        assert raw.pdu()[0] == 6
    return time.monotonic() - began


def explicit(group, number, vr, value):
    """An element in explicit VR little endian."""
    value += b'\0' * (len(value) % 2)
    head = struct.pack('<HH', group, number) + vr
    return head + (struct.pack('<xxI', len(value)) if vr in (b'SQ', b'OW', b'UN') else
                   struct.pack('<H', len(value))) + value


def data_set(sop='1.2.3', series='1.2.4', study='1.2.5', pixels=b'\0' * 64):
    return (explicit(8, 0x16, b'UI', MR.encode()) + explicit(8, 0x18, b'UI', sop.encode())
            + explicit(0x20, 0xd, b'UI', study.encode()) + explicit(0x20, 0xe, b'UI', series.encode())
            + explicit(0x7fe0, 0x10, b'OW', pixels))


def status_of(body):
    at = body.index(struct.pack('<HHI', 0, 0x0900, 2)) + 8
    return struct.unpack('<H', body[at:at + 2])[0]


class Case(unittest.TestCase):
    def peer(self, door):
        """A raw peer for the rest of the test."""
        raw = Raw(door)
        self.addCleanup(raw.socket.close)
        return raw

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.work = pathlib.Path(folder.name)
        self.addCleanup(folder.cleanup)

    def door(self, **options):
        door = receiving.Door(SCTD, self.work / str(len(list(self.work.iterdir()))), **options)
        self.addCleanup(door.stop)
        return door

    def closed_within(self, raws, seconds):
        """Every peer sees the end by then."""
        end = time.monotonic() + seconds
        for raw in raws:
            raw.socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                while raw.socket.recv(4096):
                    pass
            except ConnectionResetError:
                pass

    def store(self, raw, data, **words):
        raw.send(pdata(command(1, MR, data=True, **words), is_command=True))
        for at in range(0, max(len(data), 1), 16000):
            raw.send(pdata(data[at:at + 16000], last=at + 16000 >= len(data)))
        kind, body = raw.pdu()
        self.assertEqual(kind, 4)
        return status_of(body)


class Waiting(Case):
    def test_five_hundred_silent_peers_are_dropped_and_nobody_waits_for_them(self):
        door = self.door(request_ms=2000)
        silent = [self.peer(door) for _ in range(500)]
        times = sorted(echo(door) for _ in range(20))
        self.assertLess(times[18], 0.5, times)
        self.closed_within(silent, 10)
        self.assertEqual(door.count('rejected timeout .*'), 500)
        for raw in silent:
            raw.socket.close()
        self.assertLess(door.files(), 40)

    def test_peers_that_stop_or_drip_within_the_request_are_dropped(self):
        door = self.door(request_ms=2000)
        whole = request()
        stopped = [self.peer(door) for _ in range(64)]
        for number, raw in enumerate(stopped):
            raw.send(whole[:[1, 5, 6, 7, 73, 74, len(whole) - 1][number % 7]])
        dripping = [self.peer(door) for _ in range(8)]
        done = threading.Event()

        def drip():
            for number in range(len(whole) - 1):
                for raw in dripping:
                    try:
                        raw.send(whole[number:number + 1])
                    except OSError:
                        pass
                if done.wait(0.05):
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        times = sorted(echo(door) for _ in range(20))
        self.assertLess(times[18], 0.5, times)
        self.closed_within(stopped + dripping, 10)
        done.set()
        thread.join()

    def test_a_request_in_single_bytes_is_still_one(self):
        door = self.door()
        with Raw(door) as raw:
            raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in request():
                raw.send(bytes((byte,)))
                time.sleep(0.001)
            self.assertEqual(raw.pdu()[0], 2)

    def test_the_largest_request_is_read_and_a_larger_one_is_not(self):
        door = self.door()
        limit = 128 << 10
        contexts = [(VERIFICATION, EXPLICIT)] * 3
        syntaxes = item(0x40, b'1.2.840.10008.1.2') * 45
        many = b''.join(item(0x20, bytes((2 * k + 1, 0, 0, 0)) + item(0x30, VERIFICATION.encode()) + syntaxes)
                        for k in range(3, 127))
        rest = limit - len(request(contexts=contexts)) - len(many) - 4
        for size, kind in ((rest, 2), (rest + 1, ABORT)):
            whole = request(contexts=contexts, user=item(0x99, bytes(size)))
            at = 74 + 4 + 21  # after the application context
            whole = whole[:at] + many + whole[at:]
            with Raw(door) as raw:
                raw.send(whole[:2] + struct.pack('>I', len(whole) - 6) + whole[6:])
                self.assertEqual(raw.pdu()[0], kind, len(whole))

    def test_a_silent_association_ends_with_an_abort(self):
        door = self.door(idle_ms=1000)
        with Raw(door) as raw:
            raw.associate()
            began = time.monotonic()
            self.assertEqual(raw.pdu()[0], ABORT)
            self.assertLess(time.monotonic() - began, 3)
        door.wait_for('ended 1 idle stored 0 refused 0')

    def test_peers_that_stop_or_drip_within_a_message_are_aborted(self):
        door = self.door(idle_ms=20000, window_ms=1500, window_bytes=1500, max_peer=64)
        message = pdata(command(1, MR, data=True), is_command=True) + pdata(data_set(pixels=bytes(100000)))
        raws = []
        for number in range(16):
            raw = self.peer(door)
            raw.associate(contexts=STORAGE)
            raw.send(message[:[1, 5, 6, 50, 200, 5000, 60000, len(message) - 1][number % 8]])
            raws.append(raw)
        self.assertLess(sorted(echo(door) for _ in range(10))[8], 1)
        self.closed_within(raws, 10)
        deadline = time.monotonic() + 10
        while door.count('ended .* slow .*') < 16 and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(door.count('ended .* slow stored 0 refused 0'), 16, door.lines[-20:])
        self.assertEqual(door.on_their_way(), [])
        self.assertEqual(door.stored(), [])

    def test_a_slow_but_steady_peer_is_served(self):
        door = self.door(window_ms=500, window_bytes=500)
        message = pdata(command(1, MR, data=True), is_command=True) + pdata(data_set(pixels=bytes(20000)))
        with Raw(door) as raw:
            raw.associate(contexts=STORAGE)
            for at in range(0, len(message), 1000):
                raw.send(message[at:at + 1000])
                time.sleep(0.1)
            kind, body = raw.pdu()
            self.assertEqual((kind, status_of(body)), (4, 0))

    def test_a_peer_that_reads_nothing_is_left(self):
        door = self.door(window_ms=1000, window_bytes=1, idle_ms=1000)
        with Raw(door) as raw:
            raw.associate()
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.socket.settimeout(1)
            with self.assertRaises(OSError):
                while True:
                    raw.send(pdata(command(0x30, VERIFICATION), is_command=True) * 100)
            door.wait_for('ended 1 (slow|lost|idle) .*')
        echo(door)


class Requests(Case):
    def test_hostile_requests_are_refused_and_leak_nothing(self):
        door = self.door(spares=1, max_peer=64)
        identity = item(0x58, b'\1\0\0\4user\0\0')
        requests = {
            'identities': (request(user=identity * 4600), 3),
            'contexts': (request(contexts=[(VERIFICATION, EXPLICIT)] * 128 + [(VERIFICATION, EXPLICIT)]), 3),
            'negotiations': (request(user=item(0x56, b'\0\x05' + b'1.2.3' + b'x' * 100) * 129), 3),
            'calling': (request(calling='../../etc/passwd'), 3),
            'version': (request()[:7] + b'\2' + request()[8:], 3),
            'not one': (b'GET / HTTP/1.1\r\n\r\n', ABORT),
            'data first': (pdata(command(0x30, VERIFICATION), is_command=True), ABORT),
            'release first': (receiving.RELEASE, ABORT),
            'too long': (b'\1\0\xff\xff\xff\xff' + bytes(100), ABORT),
            'too short': (b'\1\0\0\0\0\4' + bytes(4), ABORT),
        }

        def volley():
            for name, (data, expected) in requests.items():
                with Raw(door) as raw:
                    raw.send(data)
                    self.assertEqual(raw.pdu()[0], expected, name)
                    self.assertEqual(raw.receive(1), b'', name)

        volley()
        before = door.memory_kib()
        for _ in range(100):
            volley()
        self.assertLess(door.memory_kib() - before, 1024)
        self.assertEqual(door.count('rejected malformed .*'), 101 * len(requests))
        self.assertEqual(door.count('opened .*'), 0)
        self.assertLess(door.files(), 40)

    def test_random_damage_to_a_request_is_answered(self):
        door = self.door(max_peer=1000, max=1000, request_ms=1000, idle_ms=500)
        rng = random.Random(1)
        for _ in range(200):
            data = bytearray(request(contexts=[(VERIFICATION, EXPLICIT)] * 3))
            for _ in range(rng.randint(1, 4)):
                data[rng.randrange(6, len(data))] = rng.randrange(256)
            with Raw(door) as raw:
                raw.send(bytes(data))
                self.assertIn(raw.pdu()[0], (2, 3, ABORT, None))
        echo(door)

    def test_a_flood_of_connections_leaves_the_door_open(self):
        door = self.door(request_ms=2000)
        done = threading.Event()
        counts = []

        def flood():
            count = 0
            while not done.is_set():
                try:
                    raws = [Raw(door) for _ in range(20)]
                except OSError:
                    continue
                count += 20
                for raw in raws:
                    raw.socket.close()
            counts.append(count)

        thread = threading.Thread(target=flood)
        thread.start()
        try:
            times = sorted(echo(door) for _ in range(30))
        finally:
            done.set()
            thread.join()
        self.assertLess(times[27], 1.5, times)
        self.assertGreater(counts[0], 100)
        self.assertLess(door.memory_kib(), 150 * 1024)


class Messages(Case):
    def test_messages_out_of_place_end_the_association_and_store_nothing(self):
        store = command(1, MR, data=True)
        messages = {
            'request again': request(),
            'answer': b'\2' + request()[1:],
            'no such PDU': b'\x99\0\0\0\0\4\0\0\0\0',
            'context never negotiated': pdata(store, is_command=True, context=99),
            'even context': pdata(store, is_command=True, context=2),
            'data without a command': pdata(data_set()),
            'command of nothing': pdata(b'', is_command=True),
            'half a command': pdata(store[:31], is_command=True),
            'two contexts': pdata(store, is_command=True) + pdata(data_set(), context=3),
            'a command for data': pdata(store, is_command=True) + pdata(store, is_command=True),
            'empty PDU': b'\4\0\0\0\0\0',
            'PDV too long': b'\4\0\0\0\0\6' + struct.pack('>IBB', 500, 1, 3),
            'PDV of zero': b'\4\0\0\0\0\4' + bytes(4),
            'PDU too long': b'\4\0\xff\xff\xff\xff' + bytes(1000),
            'query': pdata(command(0x20, MR, data=True), is_command=True) + pdata(data_set()),
            'no such command': pdata(command(0x7777, MR), is_command=True),
            'deep command': pdata(struct.pack('<HHI', 0, 0x1002, 0xffffffff) * 1
                                  + struct.pack('<HHI', 0xfffe, 0xe000, 0xffffffff) * 20000, is_command=True),
        }
        door = self.door(window_ms=1500, window_bytes=1500, idle_ms=1500, max_peer=64)
        for name, data in messages.items():
            with self.subTest(name), Raw(door) as raw:
                raw.associate(contexts=STORAGE * 2)
                raw.send(data)
                kind, body = raw.pdu()
                if kind == 4:
                    self.assertNotEqual(status_of(body), 0)
        echo(door)
        self.assertEqual(door.stored(), [])
        self.assertEqual(door.entries(), {})

    def test_data_sets_that_break_parsers_break_no_parser(self):
        door = self.door(max_peer=64)
        undefined = 0xffffffff
        nest = struct.pack('<HH2sxxI', 8, 0x1140, b'SQ', undefined) + struct.pack('<HHI', 0xfffe, 0xe000, undefined)
        bad = {
            'depth 33': nest * 33, 'depth 200': nest * 200, 'depth 10,000': nest * 10000, 'depth 60,000': nest * 60000,
            'length beyond the end': data_set()[:-4],
            'length of the sky': struct.pack('<HH2sxxI', 8, 0x16, b'UN', 0xfffffffe),
            'odd group': data_set() + struct.pack('<HH2sH', 9, 1, b'ZZ', 4) + b'abcd',
            'nothing': b'',
            'an element cut short': b'\x08\0\x16\0UI',
            'cut pixels': data_set(pixels=bytes(1000))[:-100],
            'missing UIDs': explicit(8, 0x16, b'UI', MR.encode()),
        }
        for name, data in bad.items():
            with self.subTest(name), Raw(door) as raw:
                raw.associate(contexts=STORAGE)
                self.assertEqual(self.store(raw, data), 0xC000)
                self.assertEqual(self.store(raw, data_set()), 0)  # the same receiver goes on
        self.assertEqual(list(door.entries()), ['1.2.3'])
        self.assertEqual(door.on_their_way(), [])
        self.assertEqual(door.count('ended .* died .*'), 0)

    def test_names_are_never_paths(self):
        door = self.door(max_peer=64)
        names = ['..', '../../etc/x', '/abs', '1..2', '1.2.', '.1', 'CON', '1.2.3\0', 'a' * 64, '1' * 65, '']
        for name in names:
            with self.subTest(name), Raw(door) as raw:
                raw.associate(contexts=STORAGE)
                raw.send(pdata(command(1, MR, data=True, instance=name), is_command=True) + pdata(data_set(sop=name)))
                kind, body = raw.pdu()
                if kind == 4 and status_of(body) == 0:
                    self.assertEqual(name, '1.2.3\0')  # padding
            for words in ({'series': name}, {'study': name}):
                with self.subTest((name, words)), Raw(door) as raw:
                    raw.associate(contexts=STORAGE)
                    status = self.store(raw, data_set(**words))
                    self.assertTrue(status != 0 or name == '1.2.3\0', name)
        for path in self.work.rglob('*'):
            self.assertTrue(path.is_relative_to(self.work / '0'), path)
        self.assertEqual({p.name for p in (self.work / '0').iterdir()}, {'spool', 'ledger'})

    def test_a_sender_that_breaks_off_leaves_nothing(self):
        door = self.door(max_peer=64)
        rng = random.Random(2)
        message = pdata(command(1, MR, data=True), is_command=True) + pdata(data_set(pixels=bytes(50000)))
        for number in range(40):
            raw = Raw(door)
            raw.associate(contexts=STORAGE)
            raw.send(message[:rng.randrange(1, len(message))])
            if number % 2 == 0:  # a reset
                raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            raw.socket.close()
        deadline = time.monotonic() + 10
        while door.count('ended .*') < 40 and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(door.count('ended .* (lost|violation) stored 0 refused 0'), 40, door.lines[-10:])
        self.assertEqual(door.on_their_way(), [])
        self.assertEqual(door.entries(), {})


class Processes(Case):
    def test_a_killed_receiver_harms_no_other_association(self):
        door = self.door(max_peer=64, spares=0)
        with Raw(door) as first, Raw(door) as second:
            first.associate(contexts=STORAGE)
            victim = door.receivers()
            self.assertEqual(len(victim), 1)
            second.associate(contexts=STORAGE)
            self.assertEqual(self.store(first, data_set()), 0)
            first.send(pdata(command(1, MR, data=True, instance='1.2.9'), is_command=True))
            os.kill(victim[0], signal.SIGKILL)
            self.assertEqual(first.pdu()[0], None)
            for number in range(5):
                sop = f'1.2.3.{number}'
                self.assertEqual(self.store(second, data_set(sop=sop), instance=sop), 0)
        self.assertEqual(len(door.entries()), 6)
        door.wait_for('ended 1 died 9')

    def test_receivers_end_with_the_daemon(self):
        door = self.door(spares=3)
        with Raw(door) as raw:
            raw.associate()
            pids = door.receivers()
            self.assertEqual(len(pids), 4)
            door.kill()
            self.assertEqual(raw.pdu()[0], None)
        deadline = time.monotonic() + 5
        while any(pathlib.Path(f'/proc/{pid}').exists() for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertFalse([pid for pid in pids if pathlib.Path(f'/proc/{pid}').exists()])

    def test_the_receiver_by_itself_says_what_it_is(self):
        done = subprocess.run([SCTD, 'receive'], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn('sctd serve', done.stderr)


if __name__ == '__main__':
    SCTD = sys.argv.pop(1)
    unittest.main()
