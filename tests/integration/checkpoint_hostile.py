#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile and damaged checkpoints given to sctd model import: every one is refused with a reason,
nothing in them is executed, and no memory is taken on their word.
usage: checkpoint_hostile.py /path/to/sctd [unittest options]"""
import builtins
import io
import os
import pathlib
import pickle
import random
import re
import resource
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile
import zlib

SCTD = None
SANITIZED = False
ADDRESS_SPACE = 1 << 30
CPU_SECONDS = 60
RESIDENT_MAX_KIB = 256 * 1024


# pickles, opcode by opcode

def text(s):
    raw = s if isinstance(s, bytes) else s.encode()
    return b'X' + struct.pack('<I', len(raw)) + raw


def number(n):
    if 0 <= n < 256:
        return b'K' + bytes([n])
    if -2**31 <= n < 2**31:
        return b'J' + struct.pack('<i', n)
    raw = n.to_bytes(n.bit_length() // 8 + 1, 'little', signed=True)
    return b'\x8a' + bytes([len(raw)]) + raw


def tuple_of(items):
    return b'(' + b''.join(items) + b't'


def global_of(module, name):
    return b'c' + module.encode() + b'\n' + name.encode() + b'\n'


def dictionary(entries):
    return b'}(' + b''.join(text(k) + v for k, v in entries) + b'u'


ORDERED_DICT = global_of('collections', 'OrderedDict') + b')R'
STORAGE = ('FloatStorage', '0', 6)  # type, key, count


def tensor(size=(2, 3), stride=(3, 1), offset=0, storage=STORAGE, legacy=False):
    kind, key, count = storage
    persistent = [text('storage'), global_of('torch', kind), text(key), text('cpu'), number(count)]
    arguments = [tuple_of(persistent + [b'N'] * legacy) + b'Q', number(offset),
                 tuple_of(map(number, size)), tuple_of(map(number, stride)), b'\x89', ORDERED_DICT]
    return global_of('torch._utils', '_rebuild_tensor_v2') + tuple_of(arguments) + b'R'


def whole(body):
    return b'\x80\x02' + body + b'.'


VALUES = struct.pack('<6f', *range(6))
GOOD = whole(dictionary([('a', tensor()), ('b', tensor((6,), (1,)))]))
GOOD_LEGACY = whole(dictionary([('a', tensor(legacy=True))]))


# the two containers

class Zip:
    """An archive of stored entries whose headers may lie."""

    def __init__(self):
        self.body, self.directory, self.n = b'', b'', 0

    def local(self, name, data):
        return struct.pack('<IHHHHHIIIHH', 0x04034B50, 20, 0, 0, 0, 0, zlib.crc32(data), len(data),
                           len(data), len(name), 0) + name + data

    def central(self, name, data, at, size=None, method=0, flags=0):
        size = len(data) if size is None else size
        self.directory += struct.pack('<IHHHHHHIIIHHHHHII', 0x02014B50, 20, 20, flags, method, 0, 0,
                                      zlib.crc32(data), size, size, len(name), 0, 0, 0, 0, 0, at) + name
        self.n += 1

    def add(self, name, data, **lies):
        name = name.encode()
        self.central(name, data, len(self.body), **lies)
        self.body += self.local(name, data)
        return self

    def finish(self):
        return self.body + self.directory + struct.pack(
            '<IHHHHIIH', 0x06054B50, 0, 0, self.n, self.n, len(self.directory), len(self.body), 0)


def torch_zip(data_pkl, **more):
    archive = Zip().add('x/data.pkl', data_pkl)
    for name, data in {'byteorder': b'little', 'data/0': VALUES, **more}.items():
        archive.add('x/' + name, data)
    return archive.finish()


def library_zip(data_pkl, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', method) as archive:
        archive.writestr('x/data.pkl', data_pkl)
        archive.writestr('x/data/0', VALUES)
    return out.getvalue()


PREAMBLE = (whole(b'\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19') + whole(b'M\xe9\x03') +
            whole(b'}' + text('little_endian') + b'\x88s'))
KEYS = whole(b'](' + text('0') + b'e')


def torch_legacy(data_pkl, keys=KEYS, data=struct.pack('<q', 6) + VALUES):
    return PREAMBLE + data_pkl + keys + data


def safetensors(header, data=VALUES, length=None):
    raw = header.encode()
    return struct.pack('<Q', len(raw) if length is None else length) + raw + data


# pickles of Python itself that would run something

class Reduce:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def overlapping():
    """x/inner lies within the data of x/outer."""
    archive = Zip()
    archive.add('x/data.pkl', GOOD)
    inner_at = len(archive.body) + len(archive.local(b'x/outer', b''))
    archive.add('x/outer', archive.local(b'x/inner', VALUES))
    archive.central(b'x/inner', VALUES, inner_at)
    return archive.finish()


def with_zip64_size(size):
    """x/data/0 claims a size in a ZIP64 field."""
    archive = Zip().add('x/data.pkl', GOOD)
    at = len(archive.body)
    name = b'x/data/0'
    extra = struct.pack('<HHQQ', 1, 16, size, size)
    archive.directory += struct.pack('<IHHHHHHIIIHHHHHII', 0x02014B50, 45, 45, 0, 0, 0, 0,
                                     zlib.crc32(VALUES), 0xFFFFFFFF, 0xFFFFFFFF, len(name),
                                     len(extra), 0, 0, 0, 0, at) + name + extra
    archive.n += 1
    local = archive.local(name, VALUES)
    archive.body += local[:18] + b'\xff' * 8 + local[26:]
    return archive.finish()


def shared_levels(levels, fan):
    """Dictionaries that hold the next one `fan` times: fan**levels names from few bytes."""
    body = b'}' + text('t') + tensor() + b'sq\x00'
    for level in range(1, levels):
        entries = b''.join(text(str(i)) + b'h' + bytes([level - 1]) for i in range(fan))
        body += b'}(' + entries + b'uq' + bytes([level])
    return whole(b'}(' + text('l') + b'](' + body + b'e' + text('t') + b'h' + bytes([levels - 1]) + b'u')


class Hostile(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.marker = self.folder / 'executed'

    def limit(self):
        if not SANITIZED:  # a sanitizer's shadow memory is address space
            resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def refuse(self, content, reason=r'\S'):
        """Import the bytes as both checkpoints; the message, checked with all else."""
        path = self.folder / 'hostile.pth'
        models = self.folder / 'models'
        path.write_bytes(content)
        with tempfile.TemporaryFile() as stderr:
            child = subprocess.Popen(
                [SCTD, 'model', 'import', '--backbone', path, '--generator', path, '--recipe', 'mr',
                 '--name', 'hostile', '--version', '1', '--models-dir', models],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
                cwd=self.folder, preexec_fn=self.limit)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = 0  # Popen is not to wait for it again
            stderr.seek(0)
            message = stderr.read().decode('utf-8', 'strict')
        self.assertTrue(os.WIFEXITED(status), f'signal {os.WTERMSIG(status)}: {message}')
        self.assertEqual(os.WEXITSTATUS(status), 1, message)
        self.assertRegex(message, reason)
        self.assertIsNone(re.search(r'[\x00-\x09\x0b-\x1f\x7f]', message), repr(message))
        self.assertNotRegex(message, 'Sanitizer|runtime error')
        self.assertFalse(self.marker.exists(), 'something in the file was executed')
        self.assertEqual({p.name for p in self.folder.iterdir()} - {'models'}, {'hostile.pth'})
        self.assertEqual([p for p in models.rglob('*') if p.is_file()], [])
        if not SANITIZED:
            self.assertLess(usage.ru_maxrss, RESIDENT_MAX_KIB)
        return message

    def refuse_pickle(self, data_pkl, reason):
        """The same pickle in both containers."""
        self.refuse(torch_zip(data_pkl), reason)
        self.refuse(torch_legacy(data_pkl), reason)

    def refuse_all(self, cases):
        for content, reason in cases:
            with self.subTest(reason):
                self.refuse_pickle(content, reason)

    def test_sound_files_get_as_far_as_their_tensors(self):
        for content in (torch_zip(GOOD), library_zip(GOOD), torch_legacy(GOOD_LEGACY)):
            self.assertNotRegex(self.refuse(content), 'pickle:|torch:|zip:')

    def test_code_is_not_executed(self):
        command = f'touch {self.marker}'
        python = f'open({str(self.marker)!r}, "w")'
        calls = [Reduce(os.system, command), Reduce(builtins.eval, python),
                 Reduce(builtins.exec, python), Reduce(subprocess.Popen, ['sh', '-c', command]),
                 Reduce(builtins.open, str(self.marker), 'w')]
        names = ['posix.system', '__builtin__.eval', '__builtin__.exec', r'(subprocess|commands)\.Popen',
                 r'(io|_io|__builtin__)\.open']
        for call, name in zip(calls, names):
            for protocol in (2, 0, 4):
                with self.subTest(name=name, protocol=protocol):
                    pattern = f'global {name} at offset [0-9]+ is not allowed'
                    if protocol != 2:
                        pattern = 'opcode|PROTO|global'
                    data_pkl = pickle.dumps({'a': call}, protocol=protocol)
                    self.refuse_pickle(data_pkl, pattern)

    def test_globals_and_opcodes_that_are_not_allowed(self):
        self.refuse_all([
            (whole(global_of('torch', 'load') + b')R'), r'global torch\.load at offset [0-9]+'),
            (whole(global_of('torch.storage', '_load_from_bytes') + b')R'), r'global torch\.storage'),
            (whole(global_of('a\x1b[31m', 'b')), r'global a\?\[31m\.b at offset'),
            (whole(b'(' + text('x') + b'ios\nsystem\n'), r'opcode INST \(0x69\) at offset'),
            (whole(global_of('torch', 'Size') + b')\x81'), r'opcode NEWOBJ \(0x81\) at offset'),
            (whole(b'\x95' + b'\0' * 8), r'opcode FRAME \(0x95\) at offset'),
            (whole(b'\xff'), r'opcode unknown \(0xff\) at offset'),
            (whole(b'}}b'), 'BUILD at offset [0-9]+: only an OrderedDict'),
            (whole(global_of('torch', 'FloatStorage') + b')R'), 'torch.FloatStorage is called'),
            (b'\x80\x05' + GOOD[2:], 'protocol 5'),
        ])

    def test_lengths_that_lie(self):
        self.refuse_all([
            (b'\x80\x02X\xff\xff\xff\xffabc', 'BINUNICODE at offset [0-9]+: (truncated|longer)'),
            (b'\x80\x02U\xff', 'SHORT_BINSTRING at offset [0-9]+'),
            (b'\x80\x02\x8a\xffab', 'LONG1 at offset [0-9]+'),
            (whole(dictionary([('a', tensor((2**70,), (1,)))])), 'size 0 is a long integer'),
            (whole(dictionary([('a', tensor((6,), (1,))), ('b', b'\x8a\xff' + b'\x01' * 255)])
                   + b'0'), 'opcode POP'),
            (whole(b'Nr\xff\xff\xff\xff'), 'memo index 4294967295 is out of range'),
            (whole(b'j\xff\xff\xff\xff'), 'nothing is kept at memo index 4294967295'),
        ])
        self.refuse(torch_zip(whole(dictionary([('a', tensor((255,), (1,))),
                                                ('n', b'\x8a\xff' + b'\x01' * 255)]))),
                    'has 255 values at 0 of a storage of 6')
        legacy = whole(dictionary([('a', tensor(legacy=True))]))
        for count in (5, 7, 2**60, -1):
            self.refuse(torch_legacy(legacy, data=struct.pack('<q', count) + VALUES),
                        'storage 0 has 6 values, but')

    def test_stacks_that_grow_without_end(self):
        for body in (b'(', b']', b'}', b'N', b'K\x01', b')\x85', b'Nq\x00', b'\x85', b']q\x00h\x00'):
            with self.subTest(body=body):
                self.refuse_pickle(whole(b')' + body * 1000000), 'pickle: ')
        self.refuse_pickle(whole(b')' + b'\x85' * 1000), 'holds a tuple, not a dictionary|storages')
        self.refuse_pickle(whole((b'}' + text('a')) * 1000 + tensor() + b's' * 1000),
                           'nested more than 16 deep|persistent id')

    def test_names_that_multiply(self):
        self.refuse(torch_zip(shared_levels(15, 10)), 'dictionaries are shared too often')
        self.refuse(torch_zip(whole(b'}q\x00' + text('a') + b'h\x00s')), 'shared too often')

    def test_tensors_that_reach_beyond_their_storage(self):
        cases = [
            (tensor((2, -3), (3, 1)), 'size 1 is -3'),
            (tensor((2, 3), (-3, 1)), 'stride 0 is -3'),
            (tensor((2, 3), (1, 2)), 'is a strided view'),
            (tensor((2, 3), (0, 0)), 'is a strided view'),
            (tensor((2, 3), (3,)), '2 dimensions and 1 strides'),
            (tensor((1,) * 9, (1,) * 9), 'has 9 dimensions'),
            (tensor((7,), (1,)), 'has 7 values at 0 of a storage of 6'),
            (tensor((6,), (1,), 1), 'has 6 values at 1 of a storage of 6'),
            (tensor((6,), (1,), -1), 'has 6 values at -1 of'),
            (tensor((6,), (1,), 2**63 - 1), 'has 6 values at 9223372036854775807 of'),
            (tensor((2**31 - 1,), (1,)), 'has 2147483647 values'),
            (tensor((2**62, 2**62), (2**62, 1)), 'overflows'),
            (tensor((0, 2**62, 2**62), (1, 1, 1)), 'overflows'),
            (tensor(storage=('FloatStorage', '0', 2**40)), 'storage 0: 1099511627776 F32 values'),
            (tensor(storage=('FloatStorage', '0', 2**62)), 'impossible number of values'),
            (tensor(storage=('FloatStorage', '0', -6)), 'impossible number of values'),
            (tensor(storage=('FloatStorage', '0', 7)), 'are 28 bytes, not 24'),
            (tensor(storage=('DoubleStorage', '0', 6)), 'are 48 bytes, not 24'),
            (tensor(storage=('FloatStorage', '1', 6)), 'no entry for storage 1'),
            (tensor(storage=('FloatStorage', '../data.pkl', 6)), 'no entry for storage'),
            (tensor(storage=('Size', '0', 6)), 'torch.Size is no type of a storage'),
        ]
        for body, reason in cases:
            with self.subTest(reason):
                self.refuse(torch_zip(whole(dictionary([('a', body)]))), reason)

    def test_names_that_are_not_sound(self):
        for entries, reason in [
                ([('a', tensor()), ('a', tensor())], 'has the key "a" twice'),
                ([('a', dictionary([('b', tensor())])), ('a.b', tensor())], 'the name "a.b"'),
                ([(b'\xff\xfe', tensor())], 'is not UTF-8'),
                ([(b'\xed\xa0\x80', tensor())], 'is not UTF-8'),
                ([('a\x1b[2J', tensor())], 'is empty or not printable'),
                ([('', tensor())], 'is empty or not printable'),
                ([('x' * 300, tensor())], 'longer than 255 bytes')]:
            with self.subTest(reason):
                self.refuse(torch_zip(whole(dictionary(entries))), reason)

    def test_archives_that_lie(self):
        flags = Zip().add('x/data.pkl', GOOD).add('x/data/0', VALUES, flags=1).finish()
        twice = Zip().add('x/data.pkl', GOOD).add('x/data.pkl', GOOD).finish()
        big = Zip().add('x/data.pkl', GOOD).add('x/data/0', VALUES, size=0x7FFFFFFF).finish()
        far = Zip()
        far.add('x/data.pkl', GOOD).central(b'x/data/0', VALUES, 0x7FFFFFFF)
        bomb = library_zip(b'\x80\x02' + b'(' * (64 << 20), zipfile.ZIP_DEFLATED)
        self.assertLess(len(bomb), 1 << 20)
        for content, reason in [
                (bomb, r'entry x/data\.pkl is compressed \(method 8\)'),
                (flags, 'entry x/data/0 is encrypted'),
                (twice, r'entry x/data\.pkl is there twice'),
                (overlapping(), 'entries x/outer and x/inner overlap'),
                (big, 'the header at offset [0-9]+ does not agree'),
                (far.finish(), 'begins at offset 2147483647, beyond'),
                (with_zip64_size(2**40), 'of 1099511627776 bytes reaches beyond'),
                (with_zip64_size(2**64 - 1), 'of 18446744073709551615 bytes reaches beyond'),
                (torch_zip(GOOD, byteorder=b'big'), 'the byte order is "big"'),
                (torch_zip(GOOD + b'cos\nsystem\n'), 'bytes follow the pickle'),
                (Zip().add('x/data/0', VALUES).finish(), 'no entry data.pkl'),
                (torch_zip(GOOD).replace(VALUES, VALUES[::-1]), 'is damaged: its CRC-32'),
                (Zip().add('x/data.pkl', GOOD).add('y/data.pkl', GOOD).finish(), 'two entries')]:
            with self.subTest(reason):
                self.refuse(content, reason)

    def test_legacy_streams_that_lie(self):
        for content, reason in [
                (torch_legacy(GOOD_LEGACY) + b'x', '1 bytes follow the last storage'),
                (torch_legacy(GOOD_LEGACY, keys=whole(b']')), '0 storages are listed, 1 are used'),
                (torch_legacy(GOOD_LEGACY, keys=whole(b'](' + text('7') + b'e')), 'is unknown'),
                (torch_legacy(GOOD_LEGACY).replace(b'\x88s.', b'\x89s.', 1), 'not little-endian'),
                (torch_legacy(GOOD_LEGACY).replace(b'M\xe9\x03', b'M\xe8\x03', 1), 'not protocol'),
                (torch_legacy(whole(tuple_of([text('module'), b'N', b'N', b'N']) + b'Q')),
                 'a whole module')]:
            with self.subTest(reason):
                self.refuse(content, reason)

    def test_safetensors_that_lie(self):
        entry = '{"a":{"dtype":"F32","shape":[%s],"data_offsets":[%s]}}'
        for content in [
                safetensors(entry % ('6', '0,24'), length=2**63),
                safetensors(entry % ('6', '0,24'), length=10**8),
                safetensors(entry % ('-6', '0,24')),
                safetensors(entry % ('4611686018427387904,4', '0,24')),
                safetensors(entry % ('6', '8,32')),
                safetensors(entry % ('6', '24,0')),
                safetensors(entry % ('6', '0,24') + '}'),
                safetensors('{' * 100000)]:
            self.refuse(content)

    def test_what_is_no_checkpoint(self):
        for content, reason in [(b'', 'the file is empty'), (b'<html>', 'a web page'),
                                (b'\x80\x02}.', 'neither safetensors nor'),
                                (b'version https://git-lfs.github.com/spec/v1\n', 'Git LFS'),
                                (pickle.dumps(Reduce(os.system, f'touch {self.marker}')), 'neither')]:
            with self.subTest(reason):
                self.refuse(content, reason)

    def sound_files(self):
        many = [(f'layer.{i}.weight', tensor()) for i in range(8)]
        legacy = [(f'layer.{i}.weight', tensor(legacy=True)) for i in range(8)]
        header = '{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}'
        return {'zip': torch_zip(whole(dictionary(many))), 'legacy': torch_legacy(whole(dictionary(legacy))),
                'library zip': library_zip(GOOD), 'safetensors': safetensors(header)}

    def test_every_truncation(self):
        for name, content in self.sound_files().items():
            for size in range(0, len(content), 64):
                with self.subTest(name=name, size=size):
                    self.refuse(content[:size], 'hostile.pth: ')

    def test_flipped_bits(self):
        chance = random.Random(20251112)
        for name, content in self.sound_files().items():
            for _ in range(60):
                damaged = bytearray(content)
                for _ in range(chance.choice((1, 1, 2, 8))):
                    damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
                with self.subTest(name=name, damaged=damaged.hex()):
                    self.refuse(bytes(damaged))


if __name__ == '__main__':
    SCTD = str(pathlib.Path(sys.argv.pop(1)).resolve())
    SANITIZED = b'__asan_init' in pathlib.Path(SCTD).read_bytes()
    unittest.main()
