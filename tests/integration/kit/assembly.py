# SPDX-License-Identifier: Apache-2.0
"""Series for assemble_tool and what has to come of them, by pydicom and numpy."""
import json
import pathlib
import subprocess
import tempfile
import unittest

import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian

from kit import sources

DIM = (6, 5, 8)  # columns, rows, slices


def grid(**more):
    return sources.Grid(**{'dim': DIM, **more})


def noise(dim=DIM, low=0, high=4096, seed=1, dtype='i8'):
    """[k, j, i] stored values"""
    return np.random.default_rng(seed).integers(low, high, dim[::-1]).astype(dtype)


def only(slices, change):
    """Changes the slices of these numbers."""
    return lambda dataset, k: change(dataset, k) if k in slices else None


def attributes(**values):
    """Gives every slice these attributes; None deletes one."""
    def change(dataset, _k):
        for keyword, value in values.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
    return change


def move(dataset, *by):
    dataset.ImagePositionPatient = sources.ds(np.array(dataset.ImagePositionPatient, float) + by)


def make(folder, kind='mr', change=None, stored=None, at=None, dtype='<u2', syntax=ExplicitVRLittleEndian):
    """One file a slice with noise in it; the stored values [k, j, i] in the order of at's slices."""
    at = at or grid()
    stored = noise(at.dim) if stored is None else stored

    def fill(dataset, k):
        size = np.dtype(dtype).itemsize * 8
        dataset.BitsAllocated = size
        if size == 8:
            dataset.BitsStored, dataset.HighBit = 8, 7
        data = stored[k].astype(dtype).tobytes()
        dataset.PixelData = data + b'\0' * (len(data) % 2)
        if size == 8:
            dataset['PixelData'].VR = 'OB'
        if change is not None:
            change(dataset, k)
    sources.make_single(folder, kind, at, fill, syntax)
    return stored


def rewrite(path, change, to=None):
    """A copy of a file with another content."""
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    pydicom.dcmwrite(to or path, dataset)


def group_value(dataset, frame, macro, keyword):
    """An attribute of a frame, whoever has it."""
    if 'PerFrameFunctionalGroupsSequence' in dataset:
        for groups in (dataset.PerFrameFunctionalGroupsSequence[frame], dataset.SharedFunctionalGroupsSequence[0]):
            if macro in groups and keyword in groups[macro].value[0]:
                return groups[macro].value[0][keyword].value
    return dataset.get(keyword)


def floats(dataset, frame, macro, keyword):
    return np.array(group_value(dataset, frame, macro, keyword), float)


def read_frames(path, syntax):
    """By pydicom: what has to become of the frames of a file.  `syntax`: of one that does not tell."""
    d = pydicom.dcmread(path, force=syntax is not None)
    if syntax is not None:
        d.file_meta = pydicom.dataset.FileMetaDataset()
        d.file_meta.TransferSyntaxUID = syntax
    pixels = d.pixel_array.reshape(-1, d.Rows, d.Columns)
    for i, values in enumerate(pixels):
        slope = group_value(d, i, 'PixelValueTransformationSequence', 'RescaleSlope')
        intercept = group_value(d, i, 'PixelValueTransformationSequence', 'RescaleIntercept')
        yield {'position': floats(d, i, 'PlanePositionSequence', 'ImagePositionPatient'),
               'orientation': floats(d, i, 'PlaneOrientationSequence', 'ImageOrientationPatient'),
               'spacing': floats(d, i, 'PixelMeasuresSequence', 'PixelSpacing'),
               'values': values * float(1 if slope is None else slope) + float(intercept or 0),
               'uid': str(d.SOPInstanceUID), 'frame': i}


def expect(folder, keep=None, syntax=None):
    """The volume of the files in a folder, by pydicom and PS3.3 C.7.6.2.1.1: frames rise along the normal."""
    frames = [f for path in sorted(folder.iterdir()) if keep is None or keep(path)
              for f in read_frames(path, syntax)]
    row, column = frames[0]['orientation'][:3], frames[0]['orientation'][3:]
    normal = np.cross(row, column)
    frames.sort(key=lambda f: f['position'] @ normal)
    along = [f['position'] @ normal for f in frames]
    return {'dim': [*frames[0]['values'].shape[::-1], len(frames)],
            'step': [*frames[0]['spacing'][::-1], (along[-1] - along[0]) / (len(frames) - 1)],
            'origin': frames[0]['position'], 'axis': np.array([row, column, normal]),
            'uids': [f['uid'] for f in frames], 'frames': [f['frame'] for f in frames],
            'values': np.array([f['values'] for f in frames])}


class Case(unittest.TestCase):
    tool = None

    @classmethod
    def main(cls, argv):
        cls.tool = argv.pop(1)
        unittest.main()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)

    def scan(self, *words):
        done = subprocess.run([self.tool, *map(str, words)], capture_output=True, text=True, check=False, timeout=120)
        self.assertEqual((done.returncode, done.stderr), (0, ''), done)
        return json.loads(done.stdout)

    def assemble(self, folder, options=()):
        """What came of the one series in a folder; 'values' are its voxels."""
        dump = self.work / 'dump'
        result = self.scan('--dump', dump, *options, folder)
        self.assertEqual(len(result['series']), 1, result)
        (series,) = result['series']
        if 'dim' in series:
            series['values'] = np.fromfile(f'{dump}.0', '<f4').reshape(series['dim'][::-1])
        return series

    def assert_refused(self, folder, code, text='.', options=()):
        series = self.assemble(folder, options)
        self.assertEqual(series.get('refusal'), code, series.get('text', 'it was assembled'))
        self.assertRegex(series['text'], text)

    def assert_volume(self, folder, want, options=(), tolerance=0):
        got = self.assemble(folder, options)
        self.assertNotIn('refusal', got, got.get('text'))
        self.assertEqual(got['dim'], want['dim'])
        self.assertEqual([s['sop_instance_uid'] for s in got['sources']], want['uids'])
        self.assertEqual([s['frame'] for s in got['sources']], want['frames'])
        for key in ('step', 'origin', 'axis'):
            np.testing.assert_allclose(got[key], want[key], rtol=0, atol=1e-6, err_msg=key)
        np.testing.assert_allclose(got['values'], want['values'], rtol=1e-6, atol=tolerance)
