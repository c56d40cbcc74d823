#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sctd phantom from outside: dicom3tools, DCMTK and pydicom read what it wrote.
usage: phantom_cli.py /path/to/sctd [unittest options]"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
import numpy as np  # noqa: E402
import pydicom  # noqa: E402

SCTD = None
SMALL = ('--matrix', 64, '--slices', 5, '--spacing', '2,1.9,2')
# Synthetic Data is of PS3.3 C.12.1 since 2022; Debian 12's dicom3tools are older, and say one thing of it.
UNKNOWN_TO_DICOM3TOOLS = '(0x0008,0x001c)'
AXES = {'axial': ([1, 0, 0], [0, 1, 0]), 'sagittal': ([0, 1, 0], [0, 0, -1]), 'coronal': ([1, 0, 0], [0, 0, -1])}


def run(*words, status=0):
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != status:
        raise AssertionError(f'{words}: {done.returncode}, {done.stderr}')
    return done


class Series:
    """What one run wrote, as pydicom reads it."""

    def __init__(self, folder):
        self.paths = sorted(folder.iterdir())
        self.sets = [pydicom.dcmread(path) for path in self.paths]
        self.first = self.sets[0]
        slope, intercept = self.first.get('RescaleSlope', 1), self.first.get('RescaleIntercept', 0)
        self.voxels = np.stack([s.pixel_array for s in self.sets]).astype('f4') * slope + intercept

    def place(self, points):
        """Positions in mm of points (slice, row, column) by PS3.3 C.7.6.2.1.1."""
        out = []
        for k, j, i in points:
            s = self.sets[k]
            row, column = np.array(s.ImageOrientationPatient[:3]), np.array(s.ImageOrientationPatient[3:])
            out.append(np.array(s.ImagePositionPatient) + row * s.PixelSpacing[1] * i + column * s.PixelSpacing[0] * j)
        return np.array(out, float)


class Phantom(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.work = pathlib.Path(cls.temporary.name)
        cls.made = 0

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def make(self, *words, size=SMALL):
        Phantom.made += 1
        folder = self.work / f'{Phantom.made}'
        run(SCTD, 'phantom', '--output', folder, *words, *size)
        return Series(folder)

    def refused(self, pattern, *words, status=2):
        done = run(SCTD, 'phantom', *words, status=status)
        self.assertRegex(done.stderr, r'\Asctd phantom: [^\n]*\n\Z')
        self.assertRegex(done.stderr, pattern)
        self.assertEqual(done.stdout, '')

    def test_validators_find_no_error(self):
        series = [self.make('--kind', kind, '--seed', 3, '--orientation', o)
                  for kind, o in (('mr', 'axial'), ('cbct', 'oblique'), ('ct', 'sagittal'), ('mr', 'coronal'),
                                  ('cbct', 'axial'), ('ct', 'axial'))]
        for s in series:
            for path in s.paths:
                done = subprocess.run(['dciodvfy', path], capture_output=True, text=True, check=False)
                wrong = [line for line in done.stderr.splitlines()
                         if line.startswith('Error') and UNKNOWN_TO_DICOM3TOOLS not in line]
                self.assertEqual(wrong, [], path)
                dump = run('dcmdump', '-q', path)
                self.assertEqual(dump.stderr, '')
        self.assertEqual(run('dcentvfy', *[p for s in series for p in s.paths]).stderr, '')

    def test_every_object_says_that_it_is_a_phantom(self):
        for kind, modality, sop_class in (('mr', 'MR', '1.2.840.10008.5.1.4.1.1.4'),
                                          ('cbct', 'CT', '1.2.840.10008.5.1.4.1.1.2'),
                                          ('ct', 'CT', '1.2.840.10008.5.1.4.1.1.2')):
            s = self.make('--kind', kind, '--seed', 7)
            self.assertEqual([p.name for p in s.paths], [f'000{k}.dcm' for k in range(1, 6)])
            for k, d in enumerate(s.sets):
                self.assertEqual(d[0x0008001c].value, 'YES')
                self.assertEqual((d.PatientName, d.PatientID), ('PHANTOM^PELVIS^SEED 7', 'PHANTOM-7'))
                self.assertIn('phantom', d.StudyDescription.lower())
                self.assertIn('phantom', d.SeriesDescription.lower())
                self.assertEqual((d.Modality, d.SOPClassUID, d.file_meta.MediaStorageSOPClassUID),
                                 (modality, sop_class, sop_class))
                self.assertEqual((d.PatientPosition, d.InstanceNumber), ('HFS', k + 1))
            self.assertEqual(len({d.SOPInstanceUID for d in s.sets}), 5)

    def test_geometry_is_that_of_the_options(self):
        for orientation in ('axial', 'sagittal', 'coronal', 'oblique'):
            s = self.make('--kind', 'ct', '--orientation', orientation,
                          size=('--matrix', 16, '--slices', 4, '--spacing', '7.5,8.25,12'))
            row = np.array(s.first.ImageOrientationPatient[:3], float)
            column = np.array(s.first.ImageOrientationPatient[3:], float)
            if orientation in AXES:
                self.assertEqual([row.tolist(), column.tolist()], list(AXES[orientation]))
            self.assertLess(abs(row @ column), 1e-9)
            self.assertLess(abs(np.linalg.norm(row) - 1) + abs(np.linalg.norm(column) - 1), 1e-9)
            self.assertEqual((s.first.Columns, s.first.Rows), (16, 16))
            self.assertEqual(list(s.first.PixelSpacing), [8.25, 7.5])
            self.assertEqual((s.first.SliceThickness, s.first.SpacingBetweenSlices), (12, 12))
            positions = np.array([d.ImagePositionPatient for d in s.sets], float)
            steps = np.diff(positions, axis=0)
            self.assertLess(np.abs(steps - 12 * np.cross(row, column)).max(), 1e-6)
            middle = s.place([(0, 0, 0), (3, 15, 15)]).mean(axis=0)
            self.assertLess(np.abs(middle - [0, 4, 6]).max(), 1e-6)

    def test_a_place_is_the_same_in_every_orientation(self):
        size = ('--matrix', 64, '--slices', 63, '--spacing', '2,2,2')
        axial = self.make('--kind', 'ct', '--orientation', 'axial', size=size)
        inverse = np.linalg.inv(2 * np.eye(3))
        for orientation in ('sagittal', 'coronal'):
            s = self.make('--kind', 'ct', '--orientation', orientation, size=size)
            rng = np.random.default_rng(1)
            points = rng.integers([0, 0, 0], [63, 64, 64], (4000, 3))
            index = (s.place(points) - axial.place([(0, 0, 0)])) @ inverse
            here = np.array([s.voxels[tuple(p)] for p in points])
            low = np.floor(index + 1e-6).astype(int)
            offset = index - low
            ok = np.all((low >= 0) & (low + 1 < [64, 64, 63]), axis=1)
            # the grids lie up to half a voxel apart: between the least and the greatest of the neighbours
            lo, hi = np.full(len(points), np.inf), np.full(len(points), -np.inf)
            for corner in np.ndindex(2, 2, 2):
                at = low + np.minimum(corner, np.ceil(offset - 1e-6).astype(int))
                at = np.clip(at, 0, [63, 63, 62])
                value = axial.voxels[at[:, 2], at[:, 1], at[:, 0]]
                lo, hi = np.minimum(lo, value), np.maximum(hi, value)
            self.assertGreater(ok.sum(), 3000)
            inside = (here >= lo - 60) & (here <= hi + 60)
            self.assertGreater(inside[ok].mean(), 0.97, orientation)
            i, j, k = np.clip(low, 0, [63, 63, 62]).T
            mirrored = axial.voxels[k, 63 - j, i]
            self.assertLess((np.abs(mirrored - here) < 60)[ok].mean(), 0.8)

    def test_same_options_make_the_same_bytes_and_another_seed_another_patient(self):
        for kind in ('mr', 'cbct', 'ct'):
            a, b, c = (self.make('--kind', kind, '--seed', seed) for seed in (11, 11, 12))
            self.assertEqual([p.read_bytes() for p in a.paths], [p.read_bytes() for p in b.paths])
            self.assertNotEqual(a.first.StudyInstanceUID, c.first.StudyInstanceUID)
            self.assertGreater(np.mean(np.abs(a.voxels - c.voxels) > 40), 0.05)

    def test_one_seed_is_one_patient_in_every_kind(self):
        size = ('--matrix', 128, '--slices', 4, '--spacing', '3.2,3.2,2')
        for seed in (1, 2, 5):
            mr, cbct, ct = (self.make('--kind', kind, '--seed', seed, size=size) for kind in ('mr', 'cbct', 'ct'))
            for other in (cbct, ct):
                for keyword in ('StudyInstanceUID', 'FrameOfReferenceUID', 'PatientSex'):
                    self.assertEqual(mr.first[keyword].value, other.first[keyword].value)
                self.assertNotEqual(mr.first.SeriesInstanceUID, other.first.SeriesInstanceUID)
                self.assertEqual(*([s.ImagePositionPatient for s in series.sets] for series in (mr, other)))
            body = ct.voxels > -500
            view = cbct.voxels > -950
            bright = mr.voxels > 0.12 * np.percentile(mr.voxels, 99)
            # cortex and gas are as dark in MR as air, so the outer border is what can be compared
            for k in range(4):
                filled = [np.logical_or.accumulate(m[k], 1) & np.logical_or.accumulate(m[k][:, ::-1], 1)[:, ::-1]
                          for m in (body, bright)]
                dice = 2 * (filled[0] & filled[1]).sum() / (filled[0].sum() + filled[1].sum())
                self.assertGreater(dice, 0.95)
            self.assertGreater((view & body).sum() / body.sum(), 0.97)
            # bone: bright in both CTs; compact bone dark in MR
            bone = ct.voxels > 250
            self.assertGreater(np.corrcoef(ct.voxels[body], cbct.voxels[body])[0, 1], 0.8)
            compact = ct.voxels > 900
            fat = (ct.voxels > -115) & (ct.voxels < -90)
            self.assertLess(mr.voxels[compact].mean(), 0.5 * mr.voxels[fat].mean())
            self.assertGreater(cbct.voxels[bone].mean(), cbct.voxels[fat].mean() + 250)

    def test_cbct_is_wrong_as_linacs_are(self):
        for seed in range(1, 5):
            s = self.make('--kind', 'cbct', '--seed', seed, size=('--matrix', 128, '--slices', 2, '--spacing', '4,4,2'))
            stored = s.voxels[0, 0, 0]
            self.assertIn(stored, (-1000, -1024))
            self.assertEqual(stored == -1024, 'PixelPaddingValue' in s.first)
            if 'PixelPaddingValue' in s.first:
                self.assertEqual(s.first.PixelPaddingValue + s.first.RescaleIntercept, stored)
            j, i = np.mgrid[:128, :128]
            far = np.hypot(i - 63.5, j - 63.5) * 4 > 245
            self.assertTrue((s.voxels[:, far] == stored).all())
            self.assertEqual((s.first.PixelRepresentation, s.first.BitsStored), (1, 16))
            self.assertEqual(s.first.RescaleIntercept, -1000)

    def test_defaults_cover_the_pelvis(self):
        s = self.make(size=('--slices', 1))
        self.assertEqual((s.first.Modality, s.first.PatientID), ('MR', 'PHANTOM-1'))
        self.assertEqual((s.first.Rows, s.first.Columns, list(s.first.PixelSpacing)), (256, 256, [1.6, 1.6]))
        self.assertEqual(s.first.SliceThickness, 3)
        for orientation, slices in (('axial', 64), ('sagittal', 137), ('coronal', 100), ('oblique', 77)):
            s = self.make('--kind', 'ct', '--orientation', orientation, size=('--matrix', 16, '--spacing', '1.6,1.6,3'))
            self.assertEqual(len(s.paths), slices)
        for orientation, slices in (('sagittal', 137), ('coronal', 100)):
            s = self.make('--kind', 'ct', '--orientation', orientation, '--slices', slices,
                          size=('--matrix', 60, '--spacing', '5,5,3'))
            self.assertTrue((s.voxels[[0, -1]] == -1000).all(), orientation)

    def test_json_tells_what_was_made(self):
        folder = self.work / 'json'
        facts = json.loads(run(SCTD, 'phantom', '--seed', 9, '--output', folder, '--json', *SMALL).stdout)
        s = Series(folder)
        self.assertEqual(facts, {'output': str(folder), 'kind': 'mr', 'seed': 9, 'orientation': 'axial', 'instances': 5,
                                 'rows': 64, 'columns': 64, 'spacing_mm': [2, 1.9, 2],
                                 'study_instance_uid': s.first.StudyInstanceUID,
                                 'series_instance_uid': s.first.SeriesInstanceUID,
                                 'frame_of_reference_uid': s.first.FrameOfReferenceUID})

    def test_what_cannot_be_made_is_refused(self):
        new = self.work / 'refused'
        out = ('--output', new)
        self.refused('--output is missing', '--seed', 1)
        self.refused('--spacing has 0 mm: use 0.1 to 50 mm', *out, '--spacing', '1,0,1')
        self.refused('--spacing is "1,2": use 3 numbers', *out, '--spacing', '1,2')
        self.refused('--matrix', *out, '--matrix', 4096)
        self.refused('too many voxels', *out, '--matrix', 1024, '--slices', 400)
        self.refused('give --slices of at most 2000', *out, '--spacing', '1,1,0.1', '--orientation', 'sagittal')
        self.refused('use one of mr', *out, '--kind', 'pet')
        self.refused('--seed', *out, '--seed', -1)
        self.assertFalse(new.exists())
        full = self.work / 'full'
        full.mkdir()
        (full / 'notes.txt').write_text('mine')
        self.refused('is not empty: give a new or an empty folder', '--output', full, *SMALL)
        self.refused('notes.txt: Not a directory', '--output', full / 'notes.txt', *SMALL, status=1)
        self.assertEqual([p.name for p in full.iterdir()], ['notes.txt'])


if __name__ == '__main__':
    SCTD = sys.argv.pop(1)
    unittest.main(verbosity=1)
