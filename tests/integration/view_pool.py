#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The viewers as processes: killed, hung, lying, too many, and out of work.
usage: view_pool.py /path/to/sctd [unittest options]"""
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

from kit import faults, viewing
from kit.viewing import AXIAL, SOURCE

SCTD = TOOL = None
SIZE = ('--matrix', 48, '--slices', 8, '--spacing', '7,7,14')
PNG = 'bytes.fromhex("89504e470d0a1a0a") + b"none of it matters"'

# A viewer that speaks the protocol; BODY says what it does when it is asked.
LIAR = '''#!{python}
import fcntl, json, os, socket, struct, sys, time
sock = socket.socket(fileno=3)
def say(text, fd=None):
    data = json.dumps(text).encode()
    rights = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack('i', fd))]
    sock.sendmsg([struct.pack('>I', len(data)) + data], rights)
def hear():
    data, _, _, _ = socket.recv_fds(sock, 4, 1)
    size, = struct.unpack('>I', data) if len(data) == 4 else sys.exit(0)
    text = b''
    while len(text) < size:
        text += sock.recv(size - len(text))
    return json.loads(text)
def memory(data, seals=15, size=None):
    fd = os.memfd_create('x', os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    fcntl.fcntl(fd, 1033, seals)  # F_ADD_SEALS
    return fd
image = dict(is_there=True, reason='', is_hu=True, low=0, high=1, centre=40, width=400)
plane = dict(slices=1, slice_mm=1, width=1, height=1, pixel_mm=1)
loaded = {{'type': 'loaded', 'loaded.modality': 'MR', 'loaded.tilt_degrees': 0, 'loaded.is_resampled': False}}
loaded.update({{f'loaded.image[{{i}}].{{k}}': v for i in range(2) for k, v in image.items()}})
loaded.update({{f'loaded.plane[{{i}}].{{k}}': v for i in range(3) for k, v in plane.items()}})
def picture(data, size=None, fd=True, **more):
    say({{'type': 'picture', 'picture.width': 1, 'picture.height': 1,
         'picture.size': len(data) if size is None else size, **more}}, memory(data) if fd is True else fd)
png = {png}
say({{'type': 'ready'}})
hear()
{early}
say(loaded)
while True:
    hear()
    {body}
'''


def liar(folder, body, early=''):
    path = pathlib.Path(folder) / 'liar'
    path.write_text(LIAR.format(python=sys.executable, png=PNG, body=body, early=early))
    path.chmod(0o755)
    return path


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.places = viewing.Places(folder.name)

    def tool(self, program=None, **options):
        tool = viewing.Tool(TOOL, program or SCTD, self.places, **options)
        self.addCleanup(tool.kill)
        return tool

    def phantom(self, seed=1, kind='mr'):
        folder = self.places.folder / f'{kind}-{seed}'
        subprocess.run([str(w) for w in (SCTD, 'phantom', '--seed', seed, '--kind', kind, '--output', folder, *SIZE)],
                       check=True, stdout=subprocess.DEVNULL)
        return self.places.to_spool(folder)

    def viewers(self, tool):
        return faults.children(tool.process.pid, 'view')

    def until(self, condition, seconds, what):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.02)

    def picture(self, tool, key, slice_=-1, image=SOURCE):
        return tool.wait(tool.ask_picture(key, image, AXIAL, slice_))

    def ended(self, tool):
        self.assertEqual(tool.end(), 0)
        self.assertTrue(tool.answers['drained'])


class Pool(Case):
    def test_one_process_serves_a_subject(self):
        tool = self.tool()
        key = tool.subject('a', self.phantom())
        for k in range(8):
            self.assertEqual(self.picture(tool, key, k)['status'], 'ok')
            pids = self.viewers(tool)
            self.assertEqual(len(pids), 1)
            self.assertEqual(pids, self.viewers(tool))
        self.ended(tool)

    def test_one_that_is_killed_between_requests_is_replaced(self):
        tool = self.tool()
        key = tool.subject('a', self.phantom())
        self.assertEqual(self.picture(tool, key)['status'], 'ok')
        (pid,) = self.viewers(tool)
        os.kill(pid, signal.SIGKILL)
        self.until(lambda: not self.viewers(tool), 5, 'it is still there')
        self.assertEqual(self.picture(tool, key)['status'], 'ok')
        self.ended(tool)

    def kill_at_work(self, tool, key, asked):
        """Its requests are all there when it dies."""
        (pid,) = self.viewers(tool)
        os.kill(pid, signal.SIGSTOP)
        asked += [tool.ask_picture(key, SOURCE, AXIAL) for _ in range(3)]
        os.kill(pid, signal.SIGABRT)
        os.kill(pid, signal.SIGCONT)
        self.until(lambda: pid not in self.viewers(tool), 10, 'it is still there')

    def test_one_that_is_killed_at_work_is_replaced(self):
        tool = self.tool()
        key = tool.subject('a', self.phantom())
        self.assertEqual(self.picture(tool, key)['status'], 'ok')
        asked = []
        self.kill_at_work(tool, key, asked)
        for number in asked:
            self.assertEqual(tool.wait(number)['status'], 'ok')
        self.ended(tool)

    def test_what_kills_two_is_said_so(self):
        tool = self.tool(liar(self.places.folder, 'os.abort()'))
        key = tool.subject('a', ['F x'])
        asked = [tool.ask_picture(key, SOURCE, AXIAL) for _ in range(3)]
        for number in asked:
            answer = tool.wait(number)
            self.assertEqual(answer['status'], 'unavailable')
            self.assertRegex(answer['reason'], 'died: Aborted')
        self.ended(tool)

    def test_one_that_hangs_is_killed(self):
        tool = self.tool(deadline_ms=4000)
        key = tool.subject('a', self.phantom())
        self.assertEqual(self.picture(tool, key)['status'], 'ok')
        (pid,) = self.viewers(tool)
        os.kill(pid, signal.SIGSTOP)
        begin = time.monotonic()
        answer = self.picture(tool, key)
        self.assertEqual((answer['status'], answer['reason']), ('unavailable', 'no picture within 4 s'))
        self.assertLess(time.monotonic() - begin, 15)
        self.assertNotIn(pid, self.viewers(tool))
        self.assertEqual(self.picture(tool, key)['status'], 'ok')
        self.ended(tool)

    def test_it_ends_when_nobody_asks(self):
        tool = self.tool(idle_ms=500)
        key = tool.subject('a', self.phantom())
        self.assertEqual(self.picture(tool, key)['status'], 'ok')
        self.until(lambda: not self.viewers(tool), 10, 'it is idle and still there')
        self.assertEqual(self.picture(tool, key)['status'], 'ok')
        self.ended(tool)

    def test_it_ends_with_the_parent(self):
        tool = self.tool()
        self.picture(tool, tool.subject('a', self.phantom()))
        (pid,) = self.viewers(tool)
        tool.kill()
        self.until(lambda: not pathlib.Path(f'/proc/{pid}').exists() or 'Z' in
                   pathlib.Path(f'/proc/{pid}/stat').read_text(), 5, 'it outlives its parent')

    def test_as_many_as_may_be_and_each_gets_its_turn(self):
        tool = self.tool()
        keys = [tool.subject(f's{n}', self.phantom(seed=n + 1)) for n in range(4)]
        asked = [tool.ask_picture(key, SOURCE, AXIAL, k) for k in range(6) for key in keys]
        most = 0
        for number in asked:
            while number not in tool.answers:
                most = max(most, len(self.viewers(tool)))
            self.assertEqual(tool.wait(number)['status'], 'ok')
        self.assertEqual(most, 2)
        self.ended(tool)

    def test_a_busy_subject_does_not_starve_another(self):
        tool = self.tool(viewers=1, queue=4000)
        one, other = (tool.subject(f's{n}', self.phantom(seed=n + 1)) for n in range(2))
        self.picture(tool, one)
        asked, end = [tool.ask_picture(one, SOURCE, AXIAL) for _ in range(8)], time.monotonic() + 30
        waiting = tool.ask_picture(other, SOURCE, AXIAL)
        while waiting not in tool.answers:
            asked.append(tool.ask_picture(one, SOURCE, AXIAL))
            tool.wait(asked.pop(0))
            self.assertLess(time.monotonic(), end, 'it was starved')
        self.assertEqual(tool.wait(waiting)['status'], 'ok')
        self.ended(tool)

    def test_a_hundred_requests_at_once_are_answered_or_turned_away(self):
        tool = self.tool()
        key = tool.subject('a', self.phantom())
        self.picture(tool, key)
        (pid,) = self.viewers(tool)
        os.kill(pid, signal.SIGSTOP)
        replies = [(n, tool.say('picture', n, key, SOURCE, AXIAL, n % 8, 0, 0, 0, 0)) for n in range(2, 102)]
        taken = [n for n, reply in replies if reply == 'ok']
        self.assertEqual([reply for _, reply in replies], ['ok'] * 64 + ['no 1'] * 36)
        os.kill(pid, signal.SIGCONT)
        for number in taken:
            self.assertEqual(tool.wait(number)['status'], 'ok')
        self.assertEqual(self.picture(tool, key)['status'], 'ok')
        self.ended(tool)

    def test_those_who_went_away_are_not_answered(self):
        tool = self.tool()
        key = tool.subject('a', self.phantom())
        self.picture(tool, key)
        (pid,) = self.viewers(tool)
        os.kill(pid, signal.SIGSTOP)
        asked = [tool.ask_picture(key, SOURCE, AXIAL) for _ in range(6)]
        for number in (asked[0], asked[2], asked[5]):
            self.assertEqual(tool.say('forget', number), 'ok')
        os.kill(pid, signal.SIGCONT)
        for number in (asked[1], asked[3], asked[4]):
            self.assertEqual(tool.wait(number)['status'], 'ok')
        self.picture(tool, key)
        self.assertFalse({asked[0], asked[2], asked[5]} & set(tool.answers))
        self.ended(tool)

    def test_what_waits_at_the_end_is_said_so(self):
        tool = self.tool(viewers=1)
        keys = [tool.subject(f's{n}', self.phantom(seed=n + 1)) for n in range(2)]
        asked = [tool.ask_picture(key, SOURCE, AXIAL) for key in keys for _ in range(3)]
        self.assertEqual(tool.say('drain'), 'ok')
        for number in asked:
            answer = tool.wait(number)
            self.assertIn((answer['status'], answer['reason']), (('ok', ''), ('unavailable', 'the daemon ends')))
        tool.wait('drained')
        self.ended(tool)


class Subjects(Case):
    def test_hostile_lists_harm_nobody(self):
        tool = self.tool()
        good = self.phantom()
        lists = {'name': ['F ../../../etc/passwd'], 'root': ['F /etc/passwd'], 'result': ['R ../spool/a.dcm'],
                 'none': ['F series/' + '0' * 32 + '/' + '0' * 64 + '.dcm']}
        for name, lines in lists.items():
            answer = self.picture(tool, tool.subject(name, lines))
            self.assertEqual(answer['status'], 'refused', (name, answer))
            self.assertNotEqual(answer['reason'], '')
        self.assertEqual(self.picture(tool, tool.subject('a', good))['status'], 'ok')
        self.ended(tool)

    def test_what_lies_there_may_be_anything(self):
        tool = self.tool()
        lines = self.phantom()
        whole = (self.places.spool / lines[3][2:]).read_bytes()
        for n, damage in enumerate((b'', b'not DICOM', whole[:200], whole[:-500], whole[:132] + os.urandom(4000))):
            (self.places.spool / lines[3][2:]).write_bytes(damage)
            answer = self.picture(tool, tool.subject(f'damage{n}', lines))
            self.assertEqual(answer['status'], 'refused', answer)
        self.ended(tool)

    def test_parameters_that_are_none_are_refused(self):
        tool = self.tool()
        answer = self.picture(tool, tool.subject('a', self.phantom(), '{"precision":"fp32"}'))
        self.assertEqual(answer['status'], 'refused')
        self.assertRegex(answer['reason'], 'parameters')
        self.ended(tool)

    def test_a_selector_that_matches_nothing_says_so(self):
        tool = self.tool()
        text = ('{"precision":"fp32","grid":"source","select":["echo=7"],"series_description":"",'
                '"series_number_offset":1,"rescale_intercept":0,"work_sha256":"0"}')
        answer = self.picture(tool, tool.subject('a', self.phantom(), text))
        self.assertEqual(answer['status'], 'refused')
        self.assertRegex(answer['reason'], r'\Anothing-selected: ')
        self.ended(tool)

    def test_more_memory_than_it_may_have_is_no_death(self):
        if b'__asan_init' in SCTD.read_bytes():
            self.skipTest('sanitizers reserve terabytes')
        tool = self.tool(memory_mib=160)
        folder = self.places.folder / 'large'
        subprocess.run([str(w) for w in (SCTD, 'phantom', '--matrix', 512, '--spacing', '0.8,0.8,3', '--slices', 128,
                                         '--output', folder)], check=True, stdout=subprocess.DEVNULL)
        answer = self.picture(tool, tool.subject('large', self.places.to_spool(folder)))
        self.assertEqual(answer['status'], 'refused', answer)
        self.assertEqual(self.picture(tool, tool.subject('a', self.phantom()))['status'], 'ok')
        self.ended(tool)

    def test_it_opens_no_network(self):
        tool = self.tool()
        self.picture(tool, tool.subject('a', self.phantom()))
        (pid,) = self.viewers(tool)
        status = pathlib.Path(f'/proc/{pid}/status').read_text()
        self.assertIn('Seccomp:\t2', status)
        self.assertIn('NoNewPrivs:\t1', status)
        self.assertFalse(any('jobs.db' in os.readlink(p) for p in pathlib.Path(f'/proc/{pid}/fd').iterdir()))
        self.ended(tool)


class Child(Case):
    """The process alone, with a parent that is this test."""

    def start(self):
        ours, theirs = socket.socketpair()
        fd = theirs.fileno()
        # pylint: disable-next=consider-using-with,subprocess-popen-preexec-fn
        process = subprocess.Popen([str(SCTD), 'view'], preexec_fn=lambda: os.dup2(fd, 3), pass_fds=(3, fd),
                                   stderr=subprocess.PIPE, text=True)
        theirs.close()
        self.addCleanup(process.stderr.close)
        self.addCleanup(ours.close)
        self.addCleanup(process.kill)
        ours.settimeout(60)
        self.assertEqual(self.hear(ours), {'type': 'ready'})
        return process, ours

    @staticmethod
    def say(ours, message, text=None):
        data = json.dumps(message).encode()
        frame = struct.pack('>I', len(data)) + data
        if text is None:
            ours.sendall(frame)
            return
        fd = os.memfd_create('list')
        os.write(fd, text.encode())
        socket.send_fds(ours, [frame], [fd])
        os.close(fd)

    @staticmethod
    def hear(ours):
        head, fds, _, _ = socket.recv_fds(ours, 4, 1)
        for fd in fds:
            os.close(fd)
        if not head:
            return None
        text, size = b'', struct.unpack('>I', head)[0]
        while len(text) < size:
            text += ours.recv(size - len(text))
        return json.loads(text)

    def subject(self):
        lines = self.phantom()
        hexed = {n: str(p).encode().hex() for n, p in (('spool', self.places.spool), ('results', self.places.results))}
        message = {'type': 'subject', 'subject.spool': hexed['spool'], 'subject.results': hexed['results'],
                   'subject.parameters': '', 'subject.memory_mib': 0}
        return message, ''.join(line + '\n' for line in lines)

    ASK = {'type': 'ask', 'ask.kind': 0, 'ask.image': 0, 'ask.plane': 0, 'ask.slice': -1, 'ask.centre': 0,
           'ask.width': 0, 'ask.max_width': 0, 'ask.max_height': 0, 'ask.bins': 0}

    def test_it_ends_in_order_when_the_parent_has_no_more_to_ask(self):
        """Under the address sanitizer: and leaks nothing."""
        process, ours = self.start()
        self.say(ours, *self.subject())
        self.assertEqual(self.hear(ours)['type'], 'loaded')
        for change, answer in (({}, 'picture'), ({'ask.plane': 2}, 'picture'), ({'ask.image': 1}, 'no'),
                               ({'ask.slice': 99}, 'no'), ({'ask.kind': 1}, 'loaded'),
                               ({'ask.kind': 2, 'ask.bins': 5}, 'histogram')):
            self.say(ours, {**self.ASK, **change})
            self.assertEqual(self.hear(ours)['type'], answer)
        ours.close()
        self.assertEqual((process.wait(60), process.stderr.read()), (0, ''))

    def test_what_does_not_keep_to_the_protocol_ends_it(self):
        message, text = self.subject()
        for first, said in ((False, {'type': 'what'}), (False, self.ASK), (False, message),
                            (True, {**self.ASK, 'ask.plane': 3}), (True, {**self.ASK, 'ask.bins': None}),
                            (True, {'type': 'ready'})):
            process, ours = self.start()
            if first:
                self.say(ours, message, text)
                self.hear(ours)
            self.say(ours, said)
            self.assertIsNone(self.hear(ours))
            self.assertEqual(process.wait(60), 1)
            self.assertRegex(process.stderr.read(), r'\Asctd view: [^\n]*\n\Z')

    def test_it_is_no_command_for_people(self):
        done = subprocess.run([SCTD, 'view'], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, 'not started by "sctd serve"')


class Liars(Case):
    """Programs in the viewer's place: each is found out, and its requests are answered all the same."""

    def check(self, body, early='', what='picture'):
        tool = self.tool(liar(self.places.folder, body, early), deadline_ms=6000)
        key = tool.subject('a', ['F x'])
        words = {'picture': (SOURCE, AXIAL, -1, 0, 0, 0, 0), 'facts': (), 'histogram': (9,)}[what]
        answer = tool.wait(tool.ask(what, key, *words))
        self.ended(tool)
        return answer['status']

    def test_an_honest_one_is_believed(self):
        self.assertEqual(self.check('picture(png)'), 'ok')
        self.assertEqual(self.check('say(loaded)', what='facts'), 'ok')

    def test_pictures_that_are_none_are_not_passed_on(self):
        for body in ('picture(b"GIF89a" * 9)', 'picture(png, size=9999)', 'picture(png, size=10)',
                     'picture(png, size=-1)', 'picture(png, size=1 << 40)', 'picture(png, fd=None)',
                     'picture(png, fd=memory(png, 0))', 'picture(png, fd=memory(png, 7))',
                     'picture(png, fd=os.open("/dev/zero", 0))', 'picture(png, fd=os.pipe()[0])',
                     'picture(png, **{"picture.width": 0})', 'picture(png, **{"picture.height": 4096})'):
            self.assertEqual(self.check(body), 'unavailable', body)

    def test_answers_to_other_questions_are_none(self):
        for body in ('say(loaded)', 'say({"type": "histogram"}, memory(b"0" * 9))', 'say({"type": "ready"})',
                     'say({"type": "no"})', 'say({"type": "what"})', 'sock.send(b"\\xff" * 99)'):
            self.assertEqual(self.check(body), 'unavailable', body)
        self.assertEqual(self.check('picture(png)', what='histogram'), 'unavailable')
        self.assertEqual(self.check('say({"type": "histogram"}, memory(b"0" * 9))', what='histogram'), 'unavailable')

    def test_facts_that_cannot_be_are_none(self):
        for early in ('loaded["loaded.plane[0].slices"] = 0', 'loaded["loaded.image[1].low"] = None',
                      'loaded["loaded.image[0].width"] = -1', 'del loaded["loaded.modality"]'):
            self.assertEqual(self.check('picture(png)', early), 'unavailable', early)

    def test_one_that_never_starts_or_loads_is_given_up(self):
        self.assertEqual(self.check('picture(png)', 'time.sleep(60)'), 'unavailable')
        self.assertEqual(self.check('time.sleep(60)'), 'unavailable')

    def test_one_that_cannot_be_started_is_said_so(self):
        tool = self.tool('/nonexistent/sctd')
        key = tool.subject('a', ['F x'])
        answer = self.picture(tool, key)
        self.assertEqual(answer['status'], 'unavailable')
        self.assertRegex(answer['reason'], 'no such file')
        self.ended(tool)


if __name__ == '__main__':
    SCTD = pathlib.Path(sys.argv.pop(1)).resolve()
    TOOL = SCTD.parents[1] / 'tests' / 'integration' / 'view_tool'
    unittest.main()
