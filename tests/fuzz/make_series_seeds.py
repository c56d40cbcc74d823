#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the seed corpus corpus/series beside this file with pydicom and DCMTK's encoders.

The seeds are kept in the tree; run this after changing it."""
import pathlib
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'integration'))
# pylint: disable=wrong-import-position
from kit import venv  # noqa: E402

venv.enter()
import numpy as np  # noqa: E402
import pydicom  # noqa: E402
from pydicom import uid as uids  # noqa: E402
from pydicom.encaps import encapsulate, generate_frames  # noqa: E402

from kit import sources  # noqa: E402

MARK = '900091'  # fuzz_series.c puts another last digit there
SEVERAL, WANT_CT, HEADERS_ONLY, TWO_ARE_ENOUGH, SELECT = 1, 2, 4, 8, 16
SMALL, LARGE = (6, 5), (33, 32)


def noise(columns, rows, dtype='<u2'):
    return np.random.default_rng(3).integers(0, 200, (rows, columns)).astype(dtype)


def write(path, kind='mr', size=SMALL, dtype='<u2', syntax=uids.ExplicitVRLittleEndian, change=None):
    """One slice of little more than what assembly asks for."""
    dataset = pydicom.dataset.Dataset()
    dataset.SOPClassUID, dataset.Modality = sources.CLASSES[kind], kind.upper()
    dataset.SOPInstanceUID = f'1.2.{MARK}'
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = '1.2.3', '1.2.4', '1.2.5'
    dataset.ImageType = ['ORIGINAL', 'PRIMARY', 'M']
    dataset.PatientID = 'P'
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = ['1', '2', MARK], ['1', '0', '0', '0', '1', '0']
    dataset.PixelSpacing = ['1', '1']
    dataset.Rows, dataset.Columns = size[1], size[0]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, 'MONOCHROME2'
    bits = np.dtype(dtype).itemsize * 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, min(bits, 12), min(bits, 12) - 1
    dataset.PixelRepresentation = 0
    if kind == 'ct':
        dataset.RescaleSlope, dataset.RescaleIntercept = '1', '-1024'
    data = noise(*size, dtype).tobytes()
    dataset.PixelData = data + b'\0' * (len(data) % 2)
    dataset['PixelData'].VR = 'OB' if bits == 8 else 'OW'
    if change is not None:
        change(dataset)
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.preamble = b'\0' * 128
    pydicom.dcmwrite(path, dataset, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)
    return path


def compress(path, syntax, **options):
    dataset = pydicom.dcmread(path)
    dataset.compress(syntax, generate_instance_uid=False, **options)
    pydicom.dcmwrite(path, dataset)


def by_dcmtk(path, *words):
    subprocess.run([*words, path, path], check=True)


def in_fragments(path):
    dataset = pydicom.dcmread(path)
    frames = list(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate(frames, fragments_per_frame=3)
    pydicom.dcmwrite(path, dataset)


def odd(dataset):
    """Padding, a modality LUT, an echo."""
    item = pydicom.dataset.Dataset()
    item.add_new(0x00283002, 'US', [16, 4, 16])
    item.add_new(0x00283006, 'OW', bytes(range(32)))
    dataset.ModalityLUTSequence = pydicom.sequence.Sequence([item])
    dataset.add_new(0x00280120, 'US', 7)
    dataset.add_new(0x00280121, 'US', 9)
    dataset.EchoNumbers, dataset.EchoTime = 1, '2.5'
    dataset.SeriesDescription = 'p\xe9lvis'
    dataset.SpecificCharacterSet = 'ISO_IR 100'


def enhanced(path, kind):
    def fill(dataset):
        dataset.PixelData = noise(6, 20).tobytes()
        keep = {'SOPClassUID', 'SOPInstanceUID', 'StudyInstanceUID', 'SeriesInstanceUID', 'FrameOfReferenceUID',
                'Modality', 'ImageType', 'SharedFunctionalGroupsSequence', 'PerFrameFunctionalGroupsSequence',
                'NumberOfFrames', 'Rows', 'Columns', 'BitsAllocated', 'BitsStored', 'HighBit', 'PixelRepresentation',
                'SamplesPerPixel', 'PhotometricInterpretation', 'PixelData'}
        for element in list(dataset):
            if element.keyword not in keep:
                del dataset[element.tag]
        dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence = sources.sequence(
            RescaleSlope='2', RescaleIntercept='-9', RescaleType='HU')
        for item in dataset.PerFrameFunctionalGroupsSequence:
            item.FrameContentSequence = sources.sequence(StackID='1')
    folder = path.parent / kind
    sources.make_enhanced(folder, kind, sources.Grid(dim=(6, 5, 4)), fill)
    (folder / 'enhanced.dcm').rename(path)


def row_of(*files):
    return b''.join(struct.pack('<H', len(f)) + f for f in files)


def main():
    out = HERE / 'corpus' / 'series'
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / 'x'

        def seed(name, asked=0, data=None):
            raw = path.read_bytes() if data is None else data
            (out / name).write_bytes(bytes([asked]) + raw)
            return raw

        for name, syntax in {'explicit': uids.ExplicitVRLittleEndian, 'implicit': uids.ImplicitVRLittleEndian,
                             'big': uids.ExplicitVRBigEndian, 'deflated': uids.DeflatedExplicitVRLittleEndian}.items():
            write(path, syntax=syntax)
            plain = seed(name)
        write(path)
        plain = seed('two', TWO_ARE_ENOUGH)
        seed('headers', HEADERS_ONLY)
        seed('bare', 0, plain[plain.index(b'\x08\0\x08\0CS'):])
        seed('row', SEVERAL | TWO_ARE_ENOUGH, row_of(plain, plain.replace(b'900091', b'900092'), plain, b'no DICOM'))
        write(path, 'ct')
        seed('ct', WANT_CT)
        write(path, change=odd)
        seed('odd', SELECT)
        write(path, dtype='u1')
        seed('bytes')
        write(path, dtype='<u4')
        seed('words')
        for kind in ('enhanced-mr', 'enhanced-ct'):
            enhanced(path, kind)
            one = seed(kind, TWO_ARE_ENOUGH)
            seed(f'{kind}-row', SEVERAL, row_of(one))
        for name, syntax, size in [('rle', uids.RLELossless, SMALL), ('jls', uids.JPEGLSLossless, SMALL),
                                   ('j2k', uids.JPEG2000Lossless, LARGE)]:
            write(path, size=size)
            compress(path, syntax)
            seed(name)
            in_fragments(path)
            seed(f'{name}-fragments')
        write(path)
        by_dcmtk(path, 'dcmcjpeg', '+e1', '+un')
        seed('sv1')
        write(path, dtype='u1')
        by_dcmtk(path, 'dcmcjpeg', '+eb', '+un')
        seed('baseline')
        write(path)
        by_dcmtk(path, 'dcmcjpeg', '+ee', '+un')
        seed('extended')


main()
