#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is odd and nevertheless a volume: a row for each, its voxels and geometry compared with numpy and pydicom.
usage: assemble_handled.py /path/to/assemble_tool [unittest options]"""
import shutil
import sys

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
import numpy as np  # noqa: E402
import pydicom  # noqa: E402

from kit import assembly, sources  # noqa: E402
from kit.assembly import attributes, expect, grid, make, move, noise, only, rewrite  # noqa: E402

AXIAL = ((1, 0, 0), (0, 1, 0))
LUT_FIRST, LUT_ENTRIES = 100, 300


def angles(degrees, orientation=AXIAL):
    """Directions turned about x, then by half about z."""
    a, b = np.radians(degrees), np.radians(degrees / 2)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    return [about_z @ about_x @ np.array(v, float) for v in orientation]


# Each builder fills a folder, and returns the voxels [k, j, i] if pydicom would not tell them.

def plain(**more):
    def build(folder):
        make(folder, **more)
    return build


def with_attributes(kind='mr', **values):
    return plain(kind=kind, change=attributes(**values))


def at(orientation, **more):
    return plain(at=grid(orientation=orientation, **more))


def renumbered(order):
    return plain(change=lambda d, k: setattr(d, 'InstanceNumber', int(order[k])))


def all_zero(dataset, k):
    dataset.SliceLocation, dataset.InstanceNumber = '0', 0


def swapped(dataset, k):
    """Names of files, numbers and locations run against the positions."""
    dataset.InstanceNumber, dataset.SliceLocation = k + 1, str(-k)


def signed_12_bits(folder):
    """Negative numbers with junk above the stored bits."""
    stored = noise(low=-2048, high=2048)
    make(folder, 'ct', attributes(PixelRepresentation=1), stored & 0x0FFF | noise(high=16, seed=2) << 12)
    return stored - 1024.0


def signed_16_bits(folder):
    stored = noise(low=-32768, high=32768)
    make(folder, 'mr', attributes(PixelRepresentation=1, BitsStored=16, HighBit=15), stored, dtype='<i2')
    return stored


def unsigned_16_bits(folder):
    stored = noise(high=65536)
    make(folder, 'mr', attributes(BitsStored=16, HighBit=15), stored)
    return stored


def overlay_in_the_high_bits(folder):
    stored = noise()

    def change(dataset, _k):
        dataset.add_new(0x60000010, 'US', 5)
        dataset.add_new(0x60000011, 'US', 6)
        dataset.add_new(0x60000100, 'US', 16)
        dataset.add_new(0x60000102, 'US', 15)
    make(folder, 'mr', change, stored | noise(high=2, seed=2) << 15)
    return stored


def overlay_in_the_low_bits(folder):
    stored = noise()
    make(folder, 'mr', attributes(BitsStored=12, HighBit=15), stored << 4 | noise(high=16, seed=2))
    return stored


def eight_bits_of_an_odd_number(folder):
    stored = noise((5, 5, 8), high=256)
    make(folder, 'mr', None, stored, grid(dim=(5, 5, 8)), 'u1')
    return stored


def thirty_two_bits(folder):
    stored = noise(high=1 << 24)
    make(folder, 'mr', attributes(BitsStored=32, HighBit=31), stored, dtype='<u4')
    return stored


def own_rescale(folder):
    stored = noise()
    make(folder, 'mr', lambda d, k: attributes(RescaleSlope=str(0.5 + k), RescaleIntercept=str(-7 * k))(d, k), stored)
    k = np.arange(8)[:, None, None]
    return stored * (0.5 + k) - 7 * k


def rescale_of_many_digits(folder):
    stored = noise()
    make(folder, 'mr', lambda d, k: sources.set_raw(d, 0x00281053, 'DS', b'3.14159265358979312  '
                                                    if k % 2 else b'3.141592653589793E0 '), stored)
    return stored * np.pi


def padding_of_ct(folder):
    stored = noise(low=0, high=50)
    make(folder, 'ct', attributes(PixelPaddingValue=7), stored)
    return np.where(stored == 7, -1024.0, stored - 1024.0)


def padding_of_mr(folder):
    stored = noise(low=3, high=50)
    stored[stored == 8] = 0
    make(folder, 'mr', attributes(PixelPaddingValue=0, RescaleSlope='2', RescaleIntercept='1'), stored)
    return np.where(stored == 0, 7.0, stored * 2.0 + 1)


def padding_range(folder):
    stored = noise(low=0, high=50)
    make(folder, 'ct', attributes(PixelPaddingValue=12, PixelPaddingRangeLimit=5), stored)
    return np.where((stored >= 5) & (stored <= 12), -1024.0, stored - 1024.0)


def padding_with_a_sign(folder):
    stored = noise(low=-40, high=40)
    stored[stored == 5] = -2000

    def change(dataset, _k):
        dataset.PixelRepresentation = 1
        dataset.add_new(0x00280120, 'SS', -2000)
        dataset.add_new(0x00280121, 'SS', -1990)
    make(folder, 'ct', change, stored & 0xFFF)
    return np.where(stored <= -1990, -1024.0, stored - 1024.0)


def modality_lut(folder):
    stored = noise(high=600)
    table = np.random.default_rng(9).integers(0, 65536, LUT_ENTRIES)

    def change(dataset, _k):
        item = pydicom.dataset.Dataset()
        item.add_new(0x00283002, 'US', [LUT_ENTRIES, LUT_FIRST, 16])
        item.ModalityLUTType = 'US'
        item.add_new(0x00283006, 'OW', table.astype('<u2').tobytes())
        dataset.ModalityLUTSequence = pydicom.sequence.Sequence([item])
    make(folder, 'mr', change, stored)
    return table[np.clip(stored - LUT_FIRST, 0, LUT_ENTRIES - 1)]


def overlong_numbers(folder):
    """As ../shared/data/mr-t1w-head has them."""
    def change(dataset, k):
        z = -91.4495864331908 + 0.700000000000000067 * k
        sources.set_raw(dataset, 0x00200032, 'DS', f'-142.505487236053\\-98.76543210987654321\\{z:.20f}'.encode())
        sources.set_raw(dataset, 0x00280030, 'DS', b'0.69999998807907104\\0.69999998807907104 ')
    return plain(change=change)(folder)


def copies(folder):
    """Files of one instance in two encodings, and one of them thrice."""
    make(folder)
    shutil.copy(folder / '003.dcm', folder / 'again.dcm')
    dataset = pydicom.dcmread(folder / '003.dcm')
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    pydicom.dcmwrite(folder / 'implicit.dcm', dataset, implicit_vr=True, little_endian=True)


def of_slices(path):
    return path.name[0] == '0'


def same_slice_twice(folder):
    make(folder)
    rewrite(folder / '003.dcm', lambda d: setattr(d, 'SOPInstanceUID', '2.25.9'), folder / 'zzz.dcm')


def beside_other_files(folder):
    make(folder)
    (folder / 'README').write_text('no DICOM')
    (folder / 'empty').write_bytes(b'')
    (folder / 'short').write_bytes(b'\0' * 40)


# Mixed series: both halves are in one series, the first is to be selected.

def mixed(first, second):
    """Slices of two volumes by turns; their positions are the same."""
    def build(folder):
        stored = noise(dim=(6, 5, 16))

        def change(dataset, k):
            attributes(**(second if k % 2 else first))(dataset, k)
            dataset.ImagePositionPatient = sources.ds(grid().position(k // 2))
        make(folder, 'mr', change, stored, grid(dim=(6, 5, 16)))
    return build


def first_half(path):
    return int(path.stem) % 2 == 0


M, P = ['ORIGINAL', 'PRIMARY', 'M', 'ND'], ['ORIGINAL', 'PRIMARY', 'P', 'ND']
WATER, FAT, IN, OUT = (['DERIVED', 'PRIMARY', 'DIXON', word] for word in ('WATER', 'F', 'IN_PHASE', 'OPP_PHASE'))


# Enhanced instances

def enhanced(kind, change=None):
    def build(folder):
        stored = noise()

        def fill(dataset):
            dataset.PixelData = stored[::-1].astype('<u2').tobytes()
            transform = {'RescaleSlope': '2', 'RescaleIntercept': '-1000', 'RescaleType': 'US'}
            if kind == 'enhanced-ct':
                transform['RescaleType'] = 'HU'
            dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence = sources.sequence(**transform)
            if change is not None:
                change(dataset)
        sources.make_enhanced(folder, kind, grid(), fill)
    return build


def own_groups(dataset):
    """Everything per frame, nothing shared."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for i, item in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        item.PixelMeasuresSequence = shared.PixelMeasuresSequence
        item.PlaneOrientationSequence = shared.PlaneOrientationSequence
        item.PixelValueTransformationSequence = sources.sequence(RescaleSlope=str(i + 1), RescaleIntercept='3',
                                                                 RescaleType='US')
    dataset.SharedFunctionalGroupsSequence[0] = pydicom.dataset.Dataset()


def own_before_shared(dataset):
    for i, item in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        if i % 2:
            item.PixelValueTransformationSequence = sources.sequence(RescaleSlope='5', RescaleIntercept='-9',
                                                                     RescaleType='US')


def two_stacks(dataset):
    for i, item in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        item.FrameContentSequence = sources.sequence(StackID='AB'[i // 4])


# Encodings

def encoded(syntax, kind='ct', **more):
    def build(folder):
        folder.mkdir()
        stored = make(folder / 'plain', kind, **more)
        for path in list((folder / 'plain').iterdir()):
            dataset = pydicom.dcmread(path)
            dataset.file_meta.TransferSyntaxUID = syntax
            if syntax == pydicom.uid.ExplicitVRBigEndian and dataset.BitsAllocated > 8:
                dataset.PixelData = np.frombuffer(dataset.PixelData, '<u2').astype('>u2').tobytes()
            pydicom.dcmwrite(folder / path.name, dataset, implicit_vr=syntax.is_implicit_VR,
                             little_endian=syntax.is_little_endian)
        shutil.rmtree(folder / 'plain')
        return stored - 1024.0 if kind == 'ct' else stored
    return build


def big_endian_bytes_in_words(folder):
    """8 bits in OW: each two bytes change places (PS3.5 8.1.1, A.3)."""
    stored = noise(high=256)

    def change(dataset, k):
        dataset.PixelData = np.frombuffer(stored[k].astype('u1').tobytes(), '<u2').astype('>u2').tobytes()
        dataset['PixelData'].VR = 'OW'
    make(folder, 'mr', change, stored, dtype='u1', syntax=pydicom.uid.ExplicitVRBigEndian)
    return stored


def bare(syntax):
    """Neither preamble nor meta information."""
    def build(folder):
        stored = encoded(syntax)(folder)
        for path in folder.iterdir():
            dataset = pydicom.dcmread(path)
            with open(path, 'wb') as f:
                pydicom.dcmwrite(f, strip(dataset), implicit_vr=syntax.is_implicit_VR,
                                 little_endian=syntax.is_little_endian)
            assert path.read_bytes()[128:132] != b'DICM' and path.read_bytes()[:2] in (b'\x08\0', b'\0\x08')
        return stored
    return build


def strip(dataset):
    bare_one = pydicom.dataset.Dataset()
    bare_one.update(dataset)
    return bare_one


# what it is, how it is made, options of assemble_tool, which files make up the volume (all)
ROWS = [
    ('shuffled instance numbers', renumbered(np.random.default_rng(2).permutation(8))),
    ('instance numbers that rise', renumbered(range(8))),
    ('one instance number for all', plain(change=all_zero)),
    ('numbers and locations against the positions', plain(change=swapped)),
    ('no instance number', with_attributes(InstanceNumber=None)),
    ('an instance number that is no number', plain(change=lambda d, k: sources.set_raw(d, 0x00200013, 'IS', b'x1'))),
    ('feet first', at(((-1, 0, 0), (0, 1, 0)))),
    ('prone', at(((-1, 0, 0), (0, -1, 0)))),
    ('reversed normal', at(((0, 1, 0), (1, 0, 0)))),
    ('positions against the normal', at(AXIAL, step=-2.5)),
    ('sagittal', at(((0, 1, 0), (0, 0, -1)))),
    ('coronal', at(((1, 0, 0), (0, 0, -1)))),
    ('oblique', at(angles(25))),
    ('oblique coronal, reversed', at(angles(-33, ((1, 0, 0), (0, 0, -1))), step=-1.75)),
    ('pixels that are not square', at(AXIAL, spacing=(0.5, 2.25))),
    ('spacing uneven by 0.9 %', plain(change=only([4], lambda d, k: move(d, 0, 0, 0.0225)))),
    ('spacing uneven by 1.1 %, 2 % allowed', plain(change=only([4], lambda d, k: move(d, 0, 0, 0.0275))),
     ('--tolerance', '0.02')),
    ('numbers of more than 16 characters', overlong_numbers),
    ('signed, 12 bits stored with junk above', signed_12_bits),
    ('signed, 16 bits', signed_16_bits),
    ('unsigned, 16 bits', unsigned_16_bits),
    ('an overlay in the high bits', overlay_in_the_high_bits),
    ('an overlay in the low bits', overlay_in_the_low_bits),
    ('8 bits, an odd number of pixels', eight_bits_of_an_odd_number),
    ('32 bits', thirty_two_bits),
    ('MONOCHROME1', with_attributes('ct', PhotometricInterpretation='MONOCHROME1')),
    ('a rescale for each slice', own_rescale),
    ('a slope of many digits', rescale_of_many_digits),
    ('padding in CT', padding_of_ct),
    ('padding in MR', padding_of_mr),
    ('a range of padding', padding_range),
    ('padding with a sign', padding_with_a_sign),
    ('a modality LUT', modality_lut),
    ('copies of an instance', copies, (), of_slices),
    ('a slice under two UIDs', same_slice_twice, (), of_slices),
    ('files that are no DICOM', beside_other_files, (), of_slices),
    ('two slices, if two are enough', plain(at=grid(dim=(6, 5, 2))), ('--min', '2')),
    ('the first echo', mixed({'EchoNumbers': 1}, {'EchoNumbers': 2}), ('--select', 'echo=1'), first_half),
    ('the first echo time', mixed({'EchoTime': '4.6', 'EchoNumbers': 1}, {'EchoTime': '9.2', 'EchoNumbers': 1}),
     ('--select', 'echo=1'), first_half),
    ('the second phase', mixed({'TemporalPositionIdentifier': 2}, {'TemporalPositionIdentifier': 1}),
     ('--select', 'temporal-position=2'), first_half),
    ('magnitude', mixed({'ImageType': M}, {'ImageType': P}), ('--select', r'image-type=*\*\M'), first_half),
    ('water', mixed({'ImageType': WATER}, {'ImageType': FAT}), ('--select', 'dixon=water'), first_half),
    ('in-phase', mixed({'ImageType': IN}, {'ImageType': OUT}), ('--select', 'dixon=in-phase'), first_half),
    ('b = 0', mixed({'DiffusionBValue': 0.0}, {'DiffusionBValue': 800.0}), ('--select', 'b-value=0'), first_half),
    ('the echo without diffusion of four', mixed({'EchoNumbers': 1, 'DiffusionBValue': 0.0},
                                                 {'EchoNumbers': 2, 'DiffusionBValue': 800.0}),
     ('--select', 'echo=1', '--select', 'b-value=0'), first_half),
    ('enhanced MR, groups shared', enhanced('enhanced-mr')),
    ('enhanced MR, groups of each frame', enhanced('enhanced-mr', own_groups)),
    ('enhanced MR, groups of some frames', enhanced('enhanced-mr', own_before_shared)),
    ('enhanced CT', enhanced('enhanced-ct')),
    ('implicit little endian', encoded(pydicom.uid.ImplicitVRLittleEndian)),
    ('explicit big endian', encoded(pydicom.uid.ExplicitVRBigEndian)),
    ('big endian, 8 bits in words', big_endian_bytes_in_words),
    ('deflated', encoded(pydicom.uid.DeflatedExplicitVRLittleEndian)),
    ('no meta information, implicit', bare(pydicom.uid.ImplicitVRLittleEndian)),
    ('no meta information, explicit', bare(pydicom.uid.ExplicitVRLittleEndian)),
    ('no meta information, big endian', bare(pydicom.uid.ExplicitVRBigEndian)),
]


class Handled(assembly.Case):
    def test_a_row_for_each_oddity(self):
        for name, build, *more in ROWS:
            with self.subTest(name):
                folder = self.work / name.replace(' ', '-')
                values = build(folder)
                want = self.expect(folder, more[1] if len(more) > 1 else None, name)
                if values is not None:
                    want['values'] = values
                self.assert_volume(folder, want, more[0] if more else ())

    @staticmethod
    def expect(folder, keep, name):
        if 'no meta' in name:
            syntax = {'implicit': pydicom.uid.ImplicitVRLittleEndian, 'explicit': pydicom.uid.ExplicitVRLittleEndian,
                      'big endian': pydicom.uid.ExplicitVRBigEndian}[name.split(', ')[1]]
            return expect(folder, keep, syntax)
        return expect(folder, keep)

    def test_one_of_two_stacks(self):
        folder = self.work / 'stacks'
        enhanced('enhanced-mr', two_stacks)(folder)
        want = expect(folder)
        for stack, frames in (('A', slice(4, 8)), ('B', slice(0, 4))):
            half = dict(want, dim=[6, 5, 4], uids=want['uids'][frames], frames=want['frames'][frames],
                        values=want['values'][frames],
                        origin=grid().position(4) if stack == 'A' else want['origin'])
            self.assert_volume(folder, half, ('--select', f'stack={stack}'))

    def test_series_are_told_apart_by_their_uid(self):
        for name in ('one', 'two'):
            make(self.work / 'in' / name, change=lambda d, k, n=name: attributes(
                SeriesInstanceUID=sources.uid(n), SOPInstanceUID=sources.uid(n, k))(d, k))
        (self.work / 'in' / 'README').write_text('no DICOM')
        result = self.scan(self.work / 'in')
        self.assertEqual(result['skipped'], 1)
        self.assertEqual([s['series_instance_uid'] for s in result['series']], [sources.uid('one'), sources.uid('two')])
        for series in result['series']:
            self.assertEqual((series['instances'], series['frames'], series['dim']), (8, 8, [6, 5, 8]))


if __name__ == '__main__':
    assembly.Case.main(sys.argv)
