#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the viewers draw, against the same slices rendered by numpy from what pydicom reads.
usage: view_pictures.py /path/to/sctd [unittest options]"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
import numpy as np  # noqa: E402
import PIL.Image  # noqa: E402
import pydicom  # noqa: E402

from kit import png, viewing  # noqa: E402
from kit.viewing import AXIAL, CORONAL, OVERLAY, SAGITTAL, SCT, SOURCE  # noqa: E402

SCTD = TOOL = IDENTITY = None
SIZE = ('--matrix', 96, '--slices', 20, '--spacing', '3.5,3.5,7')
AIR, BODY_HU, AMBER = -1024, -300, (255, 176, 0)


class Series:
    """A folder as pydicom reads it, its axes in the order and direction nearest to the patient's."""

    def __init__(self, folder):
        sets = [pydicom.dcmread(path) for path in folder.iterdir()]
        row, column = (np.array(sets[0].ImageOrientationPatient[n:n + 3], float) for n in (0, 3))
        normal = np.cross(row, column)
        sets.sort(key=lambda d: float(np.dot(normal, d.ImagePositionPatient)))
        slope, intercept = (float(sets[0].get(n, v)) for n, v in (('RescaleSlope', 1), ('RescaleIntercept', 0)))
        stored = np.stack([d.pixel_array for d in sets]) * slope + intercept  # [k, j, i]
        along = np.subtract(sets[1].ImagePositionPatient, sets[0].ImagePositionPatient)
        step = [float(sets[0].PixelSpacing[1]), float(sets[0].PixelSpacing[0]), float(np.linalg.norm(along))]
        axes = [row, column, normal]
        nearest = [int(np.argmax(np.abs(a))) for a in axes]
        assert sorted(nearest) == [0, 1, 2]
        voxels = stored.transpose(2, 1, 0)  # [i, j, k]
        for n, axis in enumerate(axes):
            voxels = np.flip(voxels, n) if axis[nearest[n]] < 0 else voxels
        order = [nearest.index(x) for x in range(3)]
        self.voxels = voxels.transpose(order)  # [x, y, z]
        self.step = [step[n] for n in order]

    def cut(self, plane, at):
        """The slice as it is seen: rows down, columns to the right."""
        if plane == AXIAL:
            return self.voxels[:, :, at].T
        return (self.voxels[:, at, :] if plane == CORONAL else self.voxels[at, :, :]).T[::-1]

    def pixel_mm(self, plane):
        """Down, across."""
        x, y, z = self.step
        return {AXIAL: (y, x), CORONAL: (z, x), SAGITTAL: (z, y)}[plane]


def shade(values, centre, width):
    at = np.clip((values - (centre - width / 2)) / width, 0, 1)
    return np.floor(at * 255 + 0.5).astype('u1')


def scaled(values, width, height):
    """By Pillow, in float."""
    image = PIL.Image.fromarray(values.astype('f4'))
    return np.asarray(image.resize((width, height), PIL.Image.Resampling.BILINEAR), 'f4').astype(float)


def outline(hu):
    """The edge of what the air from outside does not reach, by dilation within the air."""
    air = np.pad(hu < BODY_HU, 1, constant_values=True)
    outside = np.zeros_like(air)
    outside[0] = outside[-1] = outside[:, 0] = outside[:, -1] = True
    while True:
        grown = outside.copy()
        for axis in (0, 1):
            for shift in (1, -1):
                grown |= np.roll(outside, shift, axis)
        grown &= air
        grown |= outside
        if (grown == outside).all():
            break
        outside = grown
    inner = outside[1:-1, 1:-1]
    near = np.pad(inner, 1)
    beside = near[:-2, 1:-1] | near[2:, 1:-1] | near[1:-1, :-2] | near[1:-1, 2:]
    return ~inner & beside


class Pictures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.places = viewing.Places(cls.temporary.name)
        cls.made = {}
        cls.tool = viewing.Tool(TOOL, SCTD, cls.places)

    @classmethod
    def tearDownClass(cls):
        assert cls.tool.end() == 0
        cls.temporary.cleanup()

    def make(self, kind, orientation, name=None):
        name = name or f'{kind}-{orientation}'
        if name not in self.made:
            folder = self.places.folder / name
            subprocess.run([str(w) for w in (SCTD, 'phantom', '--kind', kind, '--orientation', orientation, '--output',
                                             folder, *SIZE)], check=True, stdout=subprocess.DEVNULL)
            self.made[name] = folder
        return self.made[name]

    def subject(self, orientation, kind='mr'):
        source, sct = self.make(kind, orientation), self.make('ct', orientation)
        key = self.tool.subject(f'{kind}-{orientation}', self.places.to_spool(source) + self.places.to_results(sct))
        return key, Series(source), Series(sct)

    def picture(self, *words, **more):
        number = self.tool.ask_picture(*words, **more)
        answer = self.tool.wait(number)
        self.assertEqual((answer['status'], answer['reason']), ('ok', ''))
        pixels = png.read(self.tool.path(number))
        self.assertEqual(pixels.shape[:2], (answer['height'], answer['width']))
        return pixels

    def check_slice(self, key, series, image, plane, at, window=(40, 400)):
        values = series.cut(plane, at)
        down, across = series.pixel_mm(plane)
        fine = min(down, across)
        height, width = round(values.shape[0] * down / fine), round(values.shape[1] * across / fine)
        want = shade(scaled(values, width, height), *window)
        got = self.picture(key, image, plane, at, window=window)
        self.assertEqual(got.shape, want.shape)
        self.assertGreater(len(np.unique(want)), 5)
        np.testing.assert_array_equal(got, want)

    def check_orientation(self, orientation):
        key, mr, ct = self.subject(orientation)
        for plane, n in ((AXIAL, mr.voxels.shape[2]), (CORONAL, mr.voxels.shape[1]), (SAGITTAL, mr.voxels.shape[0])):
            for at in (n // 3, n // 2):
                self.check_slice(key, mr, SOURCE, plane, at, window=(600, 1200))
                self.check_slice(key, ct, SCT, plane, at)

    def test_axial_series_is_drawn_as_it_is(self):
        self.check_orientation('axial')

    def test_oblique_series_is_drawn_as_it_is(self):
        self.check_orientation('oblique')

    def test_sagittal_series_is_drawn_as_it_is(self):
        self.check_orientation('sagittal')

    def test_coronal_series_is_drawn_as_it_is(self):
        self.check_orientation('coronal')

    def test_facts_are_those_of_the_files(self):
        key, mr, ct = self.subject('oblique')
        facts = self.tool.get('facts', key)
        self.assertEqual([p['slices'] for p in facts['plane']], [mr.voxels.shape[n] for n in (2, 1, 0)])
        np.testing.assert_allclose([p['slice_mm'] for p in facts['plane']], [mr.step[n] for n in (2, 1, 0)], rtol=1e-6)
        source, sct = facts['image']
        low, high = np.percentile(mr.voxels, (1, 99))
        self.assertEqual((source['low'], source['high']), (mr.voxels.min(), mr.voxels.max()))
        np.testing.assert_allclose((source['centre'], source['width']), ((low + high) / 2, high - low))
        self.assertEqual((sct['low'], sct['high'], sct['centre'], sct['width']),
                         (ct.voxels.min(), ct.voxels.max(), 40, 400))
        self.assertEqual((facts['modality'], source['is_hu'], sct['is_hu']), ('MR', False, True))
        self.assertFalse(facts['is_resampled'])
        default = self.picture(key, SOURCE, AXIAL, 7)
        np.testing.assert_array_equal(default, shade(mr.cut(AXIAL, 7), (low + high) / 2, high - low))

    def test_cbct_has_a_window_of_hu(self):
        key, cbct, _ = self.subject('axial', 'cbct')
        source = self.tool.get('facts', key)['image'][0]
        self.assertEqual((source['is_hu'], source['centre'], source['width']), (True, 40, 400))
        self.check_slice(key, cbct, SOURCE, AXIAL, 5)

    def test_smaller_pictures_are_averaged(self):
        key, mr, _ = self.subject('axial')
        got = self.picture(key, SOURCE, AXIAL, 9, window=(600, 1200), limit=(37, 2048))
        want = shade(scaled(mr.cut(AXIAL, 9), 37, 37), 600, 1200)
        np.testing.assert_array_equal(got, want)
        self.assertEqual(self.picture(key, SOURCE, CORONAL, 9, limit=(2048, 10)).shape, (10, 24))

    def test_overlay_is_the_source_with_the_outline_of_the_sct(self):
        key, mr, ct = self.subject('axial')
        got = self.picture(key, OVERLAY, AXIAL, 10, window=(600, 1200))
        grey = shade(mr.cut(AXIAL, 10), 600, 1200)
        want = np.repeat(grey[..., None], 3, 2)
        edge = outline(ct.cut(AXIAL, 10))
        self.assertGreater(edge.sum(), 100)
        want[edge] = AMBER
        np.testing.assert_array_equal(got, want)

    def test_histogram_is_numpys(self):
        key, mr, ct = self.subject('axial')
        answer = self.tool.get('histogram', key, 256)
        for found, values, span in ((answer['histogram'][0], mr.voxels, None),
                                    (answer['histogram'][1], ct.voxels, (-1024, 3072))):
            counts, edges = np.histogram(values, 256, span)
            self.assertEqual(found['count'], counts.tolist())
            self.assertEqual((found['low'], found['high']), (edges[0], edges[-1]))
            self.assertEqual((found['below'], found['above']), (0, 0))

    def test_pictures_hold_pixels_and_no_text(self):
        key, _, _ = self.subject('axial')
        number = self.tool.ask_picture(key, OVERLAY, AXIAL)
        self.tool.wait(number)
        kinds = {kind for kind, _ in png.chunks(self.tool.path(number).read_bytes())}
        self.assertLessEqual(kinds, {'IHDR', 'sRGB', 'gAMA', 'IDAT', 'IEND'})

    def test_an_sct_on_another_grid_lies_where_it_is_in_the_patient(self):
        """Moved by whole voxels and cut off: what it does not cover is air."""
        source, sct = self.make('mr', 'axial'), self.make('ct', 'axial')
        moved = self.places.folder / 'moved'
        shutil.copytree(sct, moved)
        for path in moved.iterdir():
            d = pydicom.dcmread(path)
            d.ImagePositionPatient = [float(d.ImagePositionPatient[0]) + 2 * 3.5,
                                      float(d.ImagePositionPatient[1]) - 3.5, d.ImagePositionPatient[2]]
            d.save_as(path)
        key = self.tool.subject('moved', self.places.to_spool(source) + self.places.to_results(moved))
        want = np.full_like(Series(sct).cut(AXIAL, 8), AIR)
        want[:-1, 2:] = Series(sct).cut(AXIAL, 8)[1:, :-2]
        np.testing.assert_array_equal(self.picture(key, SCT, AXIAL, 8, window=(0, 2000)), shade(want, 0, 2000))

    def test_our_own_sct_is_shown_alone_where_the_source_is_gone(self):
        sct = self.make('ct', 'oblique')
        ours = self.places.folder / 'ours'
        shutil.copytree(sct, ours)
        for path in ours.iterdir():
            d = pydicom.dcmread(path)
            d.Manufacturer = 'sctd'
            d.save_as(path)
        key = self.tool.subject('ours', self.places.to_results(ours))
        self.check_slice(key, Series(sct), SCT, SAGITTAL, 44)
        facts = self.tool.get('facts', key)
        self.assertEqual([i['is_there'] for i in facts['image']], [False, True])
        for image in (SOURCE, OVERLAY):
            answer = self.tool.wait(self.tool.ask_picture(key, image, AXIAL))
            self.assertEqual((answer['status'], answer['reason']), ('refused', 'there are no files of it'))

    def convert(self, source, grid):
        """An sCT of ours whose HU are the source's intensities."""
        out = self.places.folder / f'{source.name}-{grid}'
        done = subprocess.run([str(w) for w in (IDENTITY, '--input', source, '--output', out, '--grid', grid)],
                              capture_output=True, text=True, check=True)
        return pathlib.Path(json.loads(done.stdout)['series'][0]['folder'])

    def both(self, key, plane, at):
        """Slices of source and sCT in one window."""
        return [self.picture(key, image, plane, at, window=(900, 1800)).astype(int) for image in (SOURCE, SCT)]

    def test_the_sct_of_a_tilted_series_lies_on_its_source(self):
        """The way through axial slices and back is interpolated; what was moved by a voxel would differ much more."""
        source = self.make('mr', 'oblique')
        for grid in ('source', 'axial'):
            sct = self.convert(source, grid)
            key = self.tool.subject(f'oblique-{grid}', self.places.to_spool(source) + self.places.to_results(sct))
            for plane, at in ((AXIAL, 11), (CORONAL, 48), (SAGITTAL, 48)):
                first, second = self.both(key, plane, at)
                self.assertEqual(first.shape, second.shape)
                off = np.abs(first - second)[3:-3, 3:-3].mean()
                moved = [np.abs(np.roll(first, 1, axis) - second)[3:-3, 3:-3].mean() for axis in (0, 1)]
                self.assertLess(off, min(moved) * 0.8, (grid, plane, off, moved))
                self.assertLess(off, 12, (grid, plane, off, moved))

    def test_the_sct_of_an_axial_series_is_seen_as_its_source_is(self):
        source = self.make('mr', 'axial')
        key = self.tool.subject('identity', self.places.to_spool(source) +
                                self.places.to_results(self.convert(source, 'source')))
        for plane, at in ((AXIAL, 11), (CORONAL, 48), (SAGITTAL, 48)):
            np.testing.assert_array_equal(*self.both(key, plane, at))

    def test_a_series_that_lies_across_all_axes_is_resampled(self):
        """Turned by 60 degrees about (1, 1, 1), no axis of it is within 45 degrees of the patient's."""
        turned = self.places.folder / 'turned'
        shutil.copytree(self.make('mr', 'axial'), turned)
        rows = np.array([[2, 2, -1], [-1, 2, 2], [2, -1, 2]]) / 3
        for path in turned.iterdir():
            d = pydicom.dcmread(path)
            d.ImageOrientationPatient = [float(f'{v:.10f}') for v in np.concatenate([rows[0], rows[1]])]
            d.ImagePositionPatient = [float(f'{v:.8f}') for v in
                                      np.array(d.ImagePositionPatient, float) @ rows]
            d.save_as(path)
        key = self.tool.subject('turned', self.places.to_spool(turned) +
                                self.places.to_results(self.convert(turned, 'axial')))
        facts = self.tool.get('facts', key)
        self.assertTrue(facts['is_resampled'])
        self.assertAlmostEqual(facts['tilt_degrees'], np.degrees(np.arccos(2 / 3)), 4)
        for plane in (AXIAL, CORONAL, SAGITTAL):
            first, second = self.both(key, plane, facts['plane'][plane]['slices'] // 2)
            inside = (first > 20) & (second > 20)
            self.assertGreater(inside.sum(), 500)
            self.assertLess(np.abs(first - second)[inside].mean(), 2)

    def test_what_is_not_there_is_absent(self):
        key, _, _ = self.subject('axial')
        answer = self.tool.wait(self.tool.ask_picture(key, SCT, AXIAL, 20))
        self.assertEqual((answer['status'], answer['reason']), ('absent', 'slice 20: the axial slices are 0 to 19'))

    def test_a_series_with_a_gap_is_refused_with_the_reason(self):
        lines = self.places.to_spool(self.make('mr', 'sagittal'))
        key = self.tool.subject('gap', lines[:9] + lines[10:])
        for answer in (self.tool.wait(self.tool.ask_picture(key, SOURCE, AXIAL)), self.tool.get('facts', key),
                       self.tool.get('histogram', key, 9)):
            self.assertEqual(answer['status'], 'refused')
            self.assertRegex(answer['reason'], r'\Amissing-slice: ')

    def test_requests_that_cannot_be_meant_are_refused(self):
        key, _, _ = self.subject('axial')
        for pattern, words in {'image 3': ('picture', 900, key, 3, 0, 0, 0, 0, 0, 0),
                               'plane -1': ('picture', 900, key, 0, -1, 0, 0, 0, 0, 0),
                               'slice -2': ('picture', 900, key, 0, 0, -2, 0, 0, 0, 0),
                               'window nan / 1': ('picture', 900, key, 0, 0, 0, 'nan', 1, 0, 0),
                               'window 0 / inf': ('picture', 900, key, 0, 0, 0, 0, 'inf', 0, 0),
                               'width 2049': ('picture', 900, key, 0, 0, 0, 0, 0, 2049, 0),
                               'height -1': ('picture', 900, key, 0, 0, 0, 0, 0, 0, -1),
                               'bins 513': ('histogram', 900, key, 513)}.items():
            self.assertRegex(self.tool.say(*words), f'\\Ano -[0-9]+ {pattern}')


if __name__ == '__main__':
    SCTD = pathlib.Path(sys.argv.pop(1)).resolve()
    TOOL = SCTD.parents[1] / 'tests' / 'integration' / 'view_tool'
    IDENTITY = TOOL.with_name('identity_tool')
    unittest.main()
