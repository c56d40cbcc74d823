#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where the voxels of an sCT lie.  A blob of known patient coordinate goes through identity_tool, whose network
changes no value, and is found again by pydicom.  usage: convert_geometry.py /path/to/sctd [unittest options]"""
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

from kit import sources  # noqa: E402

TOOL = None
CENTRE = np.array([12.37, -41.83, 77.21])  # of the blob, mm LPS; on no voxel
SIGMA = 4.5


def turned(orientation, degrees):
    """The two directions of the image turned about x, then by half about z."""
    a, b = np.radians(degrees), np.radians(degrees / 2)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    return [about_z @ about_x @ np.array(v, float) for v in orientation]


AXIAL = ((1, 0, 0), (0, 1, 0))
# Rows and columns of the images; whether the network's slices are the source's voxels in another order.
CASES = {
    'axial': (AXIAL, True),
    'sagittal': (((0, 1, 0), (0, 0, -1)), True),
    'sagittal from the left, upwards': (((0, 1, 0), (0, 0, 1)), True),
    'coronal': (((1, 0, 0), (0, 0, -1)), True),
    'slightly oblique axial': (turned(AXIAL, 7), True),
    'slightly oblique coronal': (turned(((1, 0, 0), (0, 0, -1)), -6), True),
    'oblique axial': (turned(AXIAL, 24), False),
    'oblique sagittal': (turned(((0, 1, 0), (0, 0, -1)), 30), False),
    'double oblique': (turned(turned(AXIAL, 33), -20)[::1], False),
    'feet first': (((-1, 0, 0), (0, 1, 0)), True),
    'feet first, prone': (((1, 0, 0), (0, -1, 0)), True),
    'columns first': (((0, 1, 0), (1, 0, 0)), True),
    'prone': (((-1, 0, 0), (0, -1, 0)), True),
}


def make_grid(orientation, dim=(44, 40, 36), spacing=(1.5, 1.25), step=2.0):
    grid = sources.Grid(orientation=orientation, spacing=spacing, step=step, dim=dim)
    middle = (np.array(dim) - 1) / 2 + (0.7, -1.3, 1.9)  # the blob is not in the middle
    grid.origin = CENTRE - (middle * grid.step) @ grid.axis
    return grid


def positions(grid):
    """[k, j, i, xyz]"""
    k, j, i = np.meshgrid(*(np.arange(n) for n in grid.dim[::-1]), indexing='ij')
    return grid.origin + np.stack([i, j, k], -1) * grid.step @ grid.axis


def blob(mm):
    return 20000 * np.exp(-((mm - CENTRE) ** 2).sum(-1) / (2 * SIGMA ** 2))


def make_series(folder, grid, voxels, kind='mr', renumber=None):
    """The slices as pixels, in files whose names and numbers say nothing of their order."""
    order = np.random.default_rng(4).permutation(grid.dim[2]) if renumber is None else renumber

    def change(dataset, k):
        dataset.BitsStored, dataset.HighBit = 16, 15
        dataset.InstanceNumber = int(order[k]) + 1
        dataset.PixelData = voxels[k].astype('<u2').tobytes()
    return sources.make_single(folder, kind, grid, change)


def read_sct(folder):
    """(mm [n, 3], HU [n]) of every voxel of the instances, by PS3.3 C.7.6.2.1.1 alone; and the instances"""
    mm, hu, instances = [], [], []
    for path in sorted(pathlib.Path(folder).iterdir()):
        d = pydicom.dcmread(path)
        row, column = np.array(d.ImageOrientationPatient[:3], float), np.array(d.ImageOrientationPatient[3:], float)
        between_rows, between_columns = map(float, d.PixelSpacing)
        j, i = np.mgrid[:d.Rows, :d.Columns]
        at = (np.array(d.ImagePositionPatient, float) + i[..., None] * between_columns * row
              + j[..., None] * between_rows * column)
        mm.append(at.reshape(-1, 3))
        hu.append(d.pixel_array.ravel() * float(d.RescaleSlope) + float(d.RescaleIntercept))
        instances.append(d)
    return np.concatenate(mm), np.concatenate(hu), instances


def centroid(mm, hu):
    weight = np.maximum(hu, 0.0)
    return (mm * weight[:, None]).sum(0) / weight.sum()


class Geometry(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)

    def convert(self, source, *more):
        out = self.work / f'sct of {source.name}'
        done = subprocess.run([TOOL, '--input', source, '--output', out, *map(str, more)],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        (series,) = json.loads(done.stdout)['series']
        self.assertEqual(series['outcome'], 'converted', series)
        return series

    def assert_same_place(self, mm, hu):
        distance = np.abs(centroid(mm, hu) - CENTRE).max()
        self.assertLess(distance, 0.01, f'the blob moved by {distance:.4f} mm')

    def test_blob_keeps_its_coordinate_on_the_source_grid(self):
        for name, (orientation, lossless) in CASES.items():
            with self.subTest(name):
                grid = make_grid(orientation)
                voxels = blob(positions(grid))
                source = self.work / name
                made = make_series(source, grid, voxels)
                series = self.convert(source)
                self.assertEqual(series['resampled'], not lossless)
                mm, hu, instances = read_sct(series['folder'])
                self.assert_same_place(mm, hu)
                self.assertEqual(len(instances), grid.dim[2])
                self.assert_planes_are_the_sources(instances, made, voxels if lossless else None)

    def assert_planes_are_the_sources(self, instances, made, voxels):
        """Each instance has the plane of one source slice, and its values if nothing was resampled."""
        planes = {}
        for k, path in enumerate(made.paths()):
            d = pydicom.dcmread(path)
            planes[tuple(d.ImagePositionPatient)] = (k, d)
        for d in instances:
            k, source = planes.pop(tuple(d.ImagePositionPatient))
            self.assertEqual(d.ImageOrientationPatient, source.ImageOrientationPatient)
            self.assertEqual(d.PixelSpacing, source.PixelSpacing)
            self.assertEqual(d.SourceImageSequence[0].ReferencedSOPInstanceUID, source.SOPInstanceUID)
            if voxels is not None:
                np.testing.assert_array_equal(d.pixel_array, voxels[k].astype('<u2'))
        self.assertEqual(planes, {})

    def test_blob_keeps_its_coordinate_on_an_axial_grid(self):
        for name, (orientation, _) in CASES.items():
            with self.subTest(name):
                grid = make_grid(orientation)
                make_series(self.work / name, grid, blob(positions(grid)))
                series = self.convert(self.work / name, '--grid', 'axial')
                mm, hu, instances = read_sct(series['folder'])
                self.assert_same_place(mm, hu)
                for d in instances:
                    np.testing.assert_allclose(np.array(d.ImageOrientationPatient, float), [1, 0, 0, 0, 1, 0], atol=1e-9)
                    self.assertEqual(d.PixelSpacing[0], d.PixelSpacing[1])
                z = [float(d.ImagePositionPatient[2]) for d in instances]
                np.testing.assert_allclose(np.diff(z), np.diff(z)[0], atol=1e-3)
                self.assertGreater(np.diff(z)[0], 0)

    def test_axial_grid_of_an_axial_source_is_the_source(self):
        grid = make_grid(AXIAL, spacing=(1.5, 1.5))
        voxels = blob(positions(grid))
        made = make_series(self.work / 'in', grid, voxels)
        series = self.convert(self.work / 'in', '--grid', 'axial')
        self.assert_planes_are_the_sources(read_sct(series['folder'])[2], made, voxels)

    def test_instance_number_decides_nothing(self):
        """The same slices numbered in three ways, one of them by position, give the same voxels."""
        grid = make_grid(AXIAL)
        voxels = blob(positions(grid)) + np.random.default_rng(3).integers(0, 99, grid.dim[::-1])
        rng = np.random.default_rng(8)
        for name, order in {'rising': np.arange(36), 'falling': np.arange(36)[::-1],
                            'shuffled': rng.permutation(36)}.items():
            with self.subTest(name):
                made = make_series(self.work / name, grid, voxels, renumber=order)
                series = self.convert(self.work / name)
                self.assert_planes_are_the_sources(read_sct(series['folder'])[2], made, voxels)

    def test_computed_tomography_keeps_its_hu(self):
        grid = make_grid(AXIAL)
        voxels = np.random.default_rng(5).integers(0, 3000, grid.dim[::-1])
        made = make_series(self.work / 'in', grid, voxels, 'ct')
        series = self.convert(self.work / 'in', '--modality', 'CT')
        hu = {tuple(d.ImagePositionPatient): d for d in read_sct(series['folder'])[2]}
        for k, path in enumerate(made.paths()):
            d = hu[tuple(pydicom.dcmread(path).ImagePositionPatient)]
            np.testing.assert_array_equal(d.pixel_array + float(d.RescaleIntercept), voxels[k] - 1024.0)


if __name__ == '__main__':
    TOOL = pathlib.Path(sys.argv.pop(1)).resolve().parents[1] / 'tests' / 'integration' / 'identity_tool'
    unittest.main()
