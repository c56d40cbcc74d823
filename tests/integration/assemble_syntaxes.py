#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compressed pixels: encoders of pydicom's companions and of DCMTK make them, numpy and pydicom tell what they are.
usage: assemble_syntaxes.py /path/to/assemble_tool [unittest options]"""
import struct
import subprocess
import sys

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
import numpy as np  # noqa: E402
import pydicom  # noqa: E402
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames  # noqa: E402
from pydicom import uid as uids  # noqa: E402

from kit import assembly, sources  # noqa: E402
from kit.assembly import attributes, expect, grid, make  # noqa: E402

DIM = (53, 47, 4)  # an odd number of pixels


def smooth(bits, signed=False):
    """[k, j, i] whole numbers that a lossy encoder can keep, with some noise; the whole range is used."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in DIM[::-1]), indexing='ij')
    wave = (1 + np.sin(i / 5 + k) * np.cos(j / 7)) / 2
    values = np.clip(wave + np.random.default_rng(6).normal(0, 0.01, wave.shape), 0, 1) * (2 ** bits - 1)
    return np.rint(values).astype('i8') - (2 ** (bits - 1) if signed else 0)


def write(folder, bits, signed=False, allocated=16):
    """Samples are extended with their sign to all the bits, as encoders want them."""
    stored = smooth(bits, signed)
    dtype = {8: '|u1', 16: '<u2', 32: '<u4'}[allocated]
    make(folder, 'mr', attributes(BitsStored=bits, HighBit=bits - 1, PixelRepresentation=int(signed)), stored,
         grid(dim=DIM), dtype)
    return stored


def by_pydicom(syntax, **options):
    def encode(folder):
        for path in folder.iterdir():
            dataset = pydicom.dcmread(path)
            dataset.compress(syntax, generate_instance_uid=False, **options)
            pydicom.dcmwrite(path, dataset)
    return encode


def by_dcmtk(*words):
    def encode(folder):
        for path in folder.iterdir():
            subprocess.run([*words, '+un', path, path] if words[0] != 'dcmcrle' else [*words, path, path], check=True,
                           capture_output=True)
    return encode


LOSSLESS, BASELINE, EXTENDED = ('dcmcjpeg', '+el'), ('dcmcjpeg', '+eb'), ('dcmcjpeg', '+ee')
SV1 = ('dcmcjpeg', '+e1')
J2K, J2K_LOSSY = uids.JPEG2000Lossless, uids.JPEG2000
JLS, JLS_NEAR = uids.JPEGLSLossless, uids.JPEGLSNearLossless
RLE = uids.RLELossless

# name, how it is encoded, bits, with a sign, Bits Allocated, transfer syntax, largest difference from the source
ROWS = [
    ('RLE, 8 bits', by_pydicom(RLE), 8, False, 8, RLE, 0),
    ('RLE, 12 bits', by_pydicom(RLE), 12, False, 16, RLE, 0),
    ('RLE, 12 bits with sign', by_pydicom(RLE), 12, True, 16, RLE, 0),
    ('RLE, 16 bits with sign', by_pydicom(RLE), 16, True, 16, RLE, 0),
    ('RLE by DCMTK, 32 bits', by_dcmtk('dcmcrle'), 20, False, 32, RLE, 0),
    ('RLE by DCMTK', by_dcmtk('dcmcrle'), 12, False, 16, RLE, 0),
    ('RLE by DCMTK, 8 bits', by_dcmtk('dcmcrle'), 8, False, 8, RLE, 0),
    ('JPEG baseline', by_dcmtk(*BASELINE, '+q', '95'), 8, False, 8, uids.JPEGBaseline8Bit, 16),
    ('JPEG extended, 12 bits', by_dcmtk(*EXTENDED, '+q', '95'), 12, False, 16, uids.JPEGExtended12Bit, 200),
    ('JPEG extended, 8 bits', by_dcmtk(*EXTENDED, '+q', '95'), 8, False, 8, uids.JPEGExtended12Bit, 16),
    ('JPEG lossless, 8 bits', by_dcmtk(*LOSSLESS), 8, False, 8, uids.JPEGLossless, 0),
    ('JPEG lossless, 12 bits', by_dcmtk(*LOSSLESS), 12, False, 16, uids.JPEGLossless, 0),
    ('JPEG lossless, 12 bits with sign', by_dcmtk(*LOSSLESS), 12, True, 16, uids.JPEGLossless, 0),
    ('JPEG lossless, 16 bits', by_dcmtk(*LOSSLESS, '+sv', '6'), 16, False, 16, uids.JPEGLossless, 0),
    ('JPEG lossless SV1, 8 bits', by_dcmtk(*SV1), 8, False, 8, uids.JPEGLosslessSV1, 0),
    ('JPEG lossless SV1, 16 bits with sign', by_dcmtk(*SV1), 16, True, 16, uids.JPEGLosslessSV1, 0),
    ('JPEG-LS, 8 bits', by_pydicom(JLS), 8, False, 8, JLS, 0),
    ('JPEG-LS, 12 bits', by_pydicom(JLS), 12, False, 16, JLS, 0),
    ('JPEG-LS, 16 bits with sign', by_pydicom(JLS), 16, True, 16, JLS, 0),
    ('JPEG-LS by DCMTK, 12 bits', by_dcmtk('dcmcjpls', '+el'), 12, False, 16, JLS, 0),
    ('JPEG-LS near-lossless', by_pydicom(JLS_NEAR, jls_error=3), 12, False, 16, JLS_NEAR, 3),
    ('JPEG-LS near-lossless by DCMTK', by_dcmtk('dcmcjpls', '+en', '+md', '2'), 12, False, 16, JLS_NEAR, 2),
    ('JPEG 2000, 8 bits', by_pydicom(J2K), 8, False, 8, J2K, 0),
    ('JPEG 2000, 12 bits', by_pydicom(J2K), 12, False, 16, J2K, 0),
    ('JPEG 2000, 12 bits with sign', by_pydicom(J2K), 12, True, 16, J2K, 0),
    ('JPEG 2000, 16 bits with sign', by_pydicom(J2K), 16, True, 16, J2K, 0),
    ('JPEG 2000, 20 of 32 bits', by_pydicom(J2K), 20, False, 32, J2K, 0),
    ('JPEG 2000, lossy', by_pydicom(J2K_LOSSY, j2k_cr=[4]), 12, False, 16, J2K_LOSSY, 200),
]


def frames_of(path):
    dataset = pydicom.dcmread(path)
    return list(generate_frames(dataset.PixelData, number_of_frames=int(dataset.get('NumberOfFrames', 1))))


def replace_frame(path, change):
    """Another stream in the one fragment of a file."""
    dataset = pydicom.dcmread(path)
    (frame,) = frames_of(path)
    dataset.PixelData = encapsulate([change(frame)])
    pydicom.dcmwrite(path, dataset)


def split(frames, parts, has_bot):
    return encapsulate(frames, fragments_per_frame=parts, has_bot=has_bot)


class Syntaxes(assembly.Case):
    def make(self, name, encode, bits=12, signed=False, allocated=16):
        folder = self.work / name.replace(' ', '-')
        stored = write(folder, bits, signed, allocated)
        encode(folder)
        return folder, stored

    def test_every_transfer_syntax_gives_the_values(self):
        for name, encode, bits, signed, allocated, syntax, loss in ROWS:
            with self.subTest(name):
                folder, stored = self.make(name, encode, bits, signed, allocated)
                for path in folder.iterdir():
                    self.assertEqual(pydicom.dcmread(path).file_meta.TransferSyntaxUID, syntax)
                want = expect(folder)
                if loss == 0:
                    np.testing.assert_array_equal(want['values'], stored)
                # two decoders of a lossy stream round in their own way
                self.assert_volume(folder, want, tolerance=0 if loss in (0, 2, 3) else 1)
                self.assertLessEqual(np.abs(self.assemble(folder)['values'] - stored).max(), loss)

    def test_frames_are_found_in_fragments(self):
        stored = smooth(12)
        for name, wrap in {'one each': encapsulate, 'no offsets': lambda f: encapsulate(f, has_bot=False),
                           'three each': lambda f: split(f, 3, True),
                           'three each, no offsets': lambda f: split(f, 3, False)}.items():
            for syntax in (J2K, JLS, uids.JPEGLosslessSV1):
                with self.subTest(name, syntax=syntax):
                    folder = self.work / f'{name} {syntax}'.replace(' ', '-')
                    self.make_enhanced(folder, stored, syntax, wrap)
                    want = expect(folder)
                    np.testing.assert_array_equal(want['values'], stored)
                    self.assert_volume(folder, want)

    def make_enhanced(self, folder, stored, syntax, wrap):
        def fill(dataset):
            dataset.PixelData = stored[::-1].astype('<u2').tobytes()
        sources.make_enhanced(folder, 'enhanced-mr', grid(dim=DIM), fill)
        path = folder / 'enhanced.dcm'
        if syntax == uids.JPEGLosslessSV1:
            by_dcmtk(*SV1)(folder)
        else:
            by_pydicom(syntax)(folder)
        dataset = pydicom.dcmread(path)
        dataset.PixelData = wrap(frames_of(path))
        pydicom.dcmwrite(path, dataset)

    def test_an_extended_offset_table_is_no_obstacle(self):
        stored = smooth(12)
        folder = self.work / 'eot'
        self.make_enhanced(folder, stored, J2K, encapsulate)
        dataset = pydicom.dcmread(folder / 'enhanced.dcm')
        pixels, offsets, lengths = encapsulate_extended(frames_of(folder / 'enhanced.dcm'))
        dataset.PixelData, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = pixels, offsets, lengths
        pydicom.dcmwrite(folder / 'enhanced.dcm', dataset)
        self.assert_volume(folder, expect(folder))

    def test_fragments_without_a_plan_are_refused(self):
        stored = smooth(12)
        for name, wrap, code in [
                ('too few', lambda f: encapsulate(f[:3]), 'truncated-pixels'),
                ('one frame doubled', lambda f: encapsulate([*f, f[0]], has_bot=False), 'undecodable-pixels'),
                ('no start', lambda f: encapsulate([f[0][2:], f[0], *f], has_bot=False), 'undecodable-pixels')]:
            with self.subTest(name):
                folder = self.work / name.replace(' ', '-')
                self.make_enhanced(folder, stored, J2K, wrap)
                self.assert_refused(folder, code)
        folder = self.work / 'rle'
        self.make_enhanced(folder, stored, RLE, lambda f: split(f, 2, True))
        self.assert_refused(folder, 'undecodable-pixels', 'which of 8 fragments belong to which of 4 frames')

    def test_a_stream_that_was_cut_off_is_refused(self):
        for name, encode, bits, signed, allocated, _, _ in ROWS:
            folder, _ = self.make(name, encode, bits, signed, allocated)
            path = folder / '002.dcm'
            whole = path.read_bytes()
            (frame,) = frames_of(path)
            end = b'' if name.startswith('RLE') else b'\xff\xd9'
            for part in (2, 20, 70, len(frame) // 3, len(frame) // 2, len(frame) - 40):
                for tail in {b'', end}:
                    with self.subTest(name, part=part, size=len(frame), tail=tail):
                        path.write_bytes(whole)
                        replace_frame(path, lambda f, p=part, t=tail: f[:p] + t)
                        series = self.assemble(folder)
                        codes = ('truncated-pixels', 'undecodable-pixels')
                        self.assertIn(series.get('refusal'), codes, 'it was assembled')

    def test_damaged_streams_do_no_harm(self):
        rng = np.random.default_rng(12)
        for name, encode, bits, signed, allocated, _, _ in ROWS:
            folder, _ = self.make(name, encode, bits, signed, allocated)
            path = folder / '002.dcm'
            whole = path.read_bytes()
            for _ in range(12):
                path.write_bytes(whole)

                def flip(frame):
                    data = bytearray(frame)
                    for at in rng.integers(0, min(len(data), 200), 3):
                        data[at] ^= 1 << rng.integers(0, 8)
                    return bytes(data)
                replace_frame(path, flip)
                series = self.assemble(folder)
                self.assertIn(series.get('refusal', ''), ('', 'truncated-pixels', 'undecodable-pixels'))

    def test_a_stream_of_another_size_is_refused_before_it_is_decoded(self):
        def taller(marker, at, width):
            def change(frame):
                where = frame.index(marker) + at
                size = int.from_bytes(frame[where:where + width], 'big')
                return frame[:where] + (size * 2 + 7).to_bytes(width, 'big') + frame[where + width:]
            return change
        for name, encode, change in [('J2K', by_pydicom(J2K), taller(b'\xff\x51', 10, 4)),
                                     ('J2K tiles', by_pydicom(J2K), lambda f: f[:24] + struct.pack('>II', 1, 0) + f[32:]),
                                     ('JLS', by_pydicom(JLS), taller(b'\xff\xf7', 5, 2)),
                                     ('JPEG', by_dcmtk(*SV1), taller(b'\xff\xc3', 5, 2))]:
            with self.subTest(name):
                folder, _ = self.make(name, encode)
                replace_frame(folder / '002.dcm', change)
                self.assert_refused(folder, 'undecodable-pixels', '101 pixels, not 53 x 47|no header')

    def test_streams_that_contradict_the_header_are_refused(self):
        for name, encode, change, code in [
                ('bits stored', by_pydicom(JLS), attributes(BitsAllocated=8, BitsStored=8, HighBit=7),
                 'undecodable-pixels'),
                ('rows', by_pydicom(JLS), attributes(Rows=28), 'undecodable-pixels'),
                ('rows of RLE', by_pydicom(RLE), attributes(Rows=30), 'undecodable-pixels'),
                ('segments of RLE', by_pydicom(RLE), attributes(BitsAllocated=32), 'undecodable-pixels'),
                ('sign', by_pydicom(J2K), attributes(PixelRepresentation=1, BitsStored=16, HighBit=15),
                 'undecodable-pixels')]:
            with self.subTest(name):
                folder, _ = self.make(name, encode)
                for path in folder.iterdir():
                    assembly.rewrite(path, lambda d, c=change: c(d, 0))
                self.assert_refused(folder, code)

    def test_a_stream_under_another_syntax_is_refused(self):
        names = {'RLE': (by_pydicom(RLE), RLE), 'JLS': (by_pydicom(JLS), JLS), 'J2K': (by_pydicom(J2K), J2K),
                 'SV1': (by_dcmtk(*SV1), uids.JPEGLosslessSV1), 'none': (lambda _: None, uids.ExplicitVRLittleEndian),
                 'MPEG': (by_pydicom(J2K), uids.MPEG2MPML), 'JPIP': (by_pydicom(J2K), uids.UID('1.2.840.10008.1.2.4.94'))}
        for made, (encode, _) in names.items():
            for told, (_, syntax) in names.items():
                if made == told or {made, told} & {'MPEG', 'JPIP'} == {made}:
                    continue
                with self.subTest(made=made, told=told):
                    folder, _ = self.make(f'{made} as {told}', encode)
                    for path in folder.iterdir():
                        raw = path.read_bytes()
                        old = pydicom.dcmread(path).file_meta.TransferSyntaxUID
                        dataset = pydicom.dcmread(path)
                        dataset.file_meta.TransferSyntaxUID = syntax
                        path.write_bytes(self.with_syntax(raw, old, syntax))
                    self.assert_refused(folder, 'undecodable-pixels')

    @staticmethod
    def with_syntax(raw, old, new):
        """The same file with another Transfer Syntax UID."""
        def element(value):
            value = value.encode() + b'\0' * (len(value) % 2)
            return b'\x02\x00\x10\x00UI' + struct.pack('<H', len(value)) + value
        (length,) = struct.unpack('<I', raw[140:144])
        length += len(element(new)) - len(element(old))
        return raw[:140] + struct.pack('<I', length) + raw[144:].replace(element(old), element(new), 1)


if __name__ == '__main__':
    assembly.Case.main(sys.argv)
