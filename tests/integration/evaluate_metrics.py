#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The numbers of sctd evaluate against scikit-image, SciPy and SimpleITK, on random volumes and on phantoms.
Prints the table of what was compared.  usage: evaluate_metrics.py /path/to/sctd [unittest options]"""
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
import SimpleITK as sitk  # noqa: E402
from scipy import ndimage, stats  # noqa: E402
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity  # noqa: E402

SCTD = None
LOW, HIGH, SOFT = -1024.0, 3071.0, 250.0
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
RELATIVE = 1e-6
ROWS = []


def image(voxels, spacing=(1.5, 1.25, 2.5), origin=(-20.0, 30.0, 5.0)):
    out = sitk.GetImageFromArray(voxels)
    out.SetSpacing(spacing)
    out.SetOrigin(origin)
    return out


def regions(reference, mask):
    return {'whole': np.ones_like(mask), 'body': mask, 'air': mask & (reference < -SOFT),
            'soft': mask & (abs(reference) <= SOFT), 'bone': mask & (reference > SOFT)}


def interior(values):
    return values[3:-3, 3:-3, 3:-3]


def prepare(voxels, mask):
    clipped = np.clip(voxels.astype(np.float64), LOW, HIGH)
    return (clipped if mask is None else np.where(mask, clipped, LOW)) - LOW


def ssim_map(a, b):
    return structural_similarity(a, b, data_range=HIGH - LOW, full=True)[1]


def component_map(a, b, weight):
    """(L C S)^weight, from moments of 7 x 7 x 7 voxels."""
    sample = 343 / 342
    mean = [ndimage.uniform_filter(x, 7) for x in (a, b, a * a, b * b, a * b)]
    va, vb = sample * (mean[2] - mean[0] ** 2), sample * (mean[3] - mean[1] ** 2)
    c = sample * (mean[4] - mean[0] * mean[1])
    c1, c2 = (0.01 * (HIGH - LOW)) ** 2, (0.03 * (HIGH - LOW)) ** 2
    both = np.sqrt(np.clip(va, 0, None)) * np.sqrt(np.clip(vb, 0, None))
    parts = ((2 * mean[0] * mean[1] + c1) / (mean[0] ** 2 + mean[1] ** 2 + c1), (2 * both + c2) / (va + vb + c2),
             (c + c2 / 2) / (both + c2 / 2))
    return np.prod([np.clip(p, 0, None) ** weight for p in parts], axis=0)


def halve(x):
    for axis in range(3):
        x = (x + np.roll(np.pad(x, [(0, int(a == axis)) for a in range(3)]), 1, axis).take(
            range(x.shape[axis]), axis)) / 2
    return x[::2, ::2, ::2]


def ms_ssim(a, b, region):
    pads = [((97 - n) // 2, 97 - n - (97 - n) // 2) if n < 97 else (0, 0) for n in a.shape]
    a, b, region = (np.pad(x, pads, mode='edge') for x in (a, b, region))
    product = 1.0
    for level, weight in enumerate(WEIGHTS):
        if level:
            a, b, region = halve(a), halve(b), region[::2, ::2, ::2]
        inside = interior(region)
        if not inside.any():
            return None
        product *= min(interior(component_map(a, b, weight))[inside].mean(), 1.0)
    return product


def expected(reference, synthetic, mask):
    """Every number by region, by other people's code where there is some."""
    found = {}
    r, s = reference.astype(np.float64), synthetic.astype(np.float64)
    for name, region in regions(reference, mask).items():
        if not region.any():
            continue
        a, b = r[region], s[region]
        found[f'mae_{name}'] = abs(b - a).mean()
        found[f'me_{name}'] = (b - a).mean()
        found[f'rmse_{name}'] = np.sqrt(mean_squared_error(a, b))
        found[f'psnr_{name}'] = peak_signal_noise_ratio(np.clip(a, LOW, HIGH), np.clip(b, LOW, HIGH),
                                                        data_range=HIGH - LOW)
        binned = [np.clip(np.floor(x + 0.5), LOW, HIGH) for x in (a, b)]
        found[f'histogram_{name}'] = stats.wasserstein_distance(*binned)
        hidden = None if name == 'whole' else mask
        x, y = prepare(reference, hidden), prepare(synthetic, hidden)
        found[f'ssim_{name}'] = interior(ssim_map(x, y))[interior(region)].mean()
        found[f'ms_ssim_{name}'] = ms_ssim(x, y, region)
    return found


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)

    def evaluate(self, *more):
        done = subprocess.run([str(w) for w in (SCTD, 'evaluate', '--json', *more)], capture_output=True, text=True,
                              check=False, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)['cases'][0]

    def compare(self, what, got, want, relative=RELATIVE):
        worst, name = 0.0, ''
        for key, value in want.items():
            if value is None:
                self.assertIsNone(got[key], key)
                continue
            off = abs(got[key] - value) / max(abs(value), 1e-9)
            worst, name = max((worst, name), (off, key))
            self.assertLess(off, relative, f'{what}: {key}: {got[key]!r}, not {value!r}')
        ROWS.append((what, len(want), worst, name))

    def check(self, what, reference, synthetic, mask, name='nii.gz'):
        for part, voxels in (('r', reference), ('s', synthetic), ('m', mask.astype(np.uint8))):
            sitk.WriteImage(image(voxels), str(self.work / f'{part}.{name}'))
        c = self.evaluate('--reference', self.work / f'r.{name}', '--synthetic', self.work / f's.{name}', '--mask',
                          self.work / f'm.{name}')
        self.assertFalse(c['resampled'])
        self.compare(what, c['metrics'], expected(reference, synthetic, mask))


class Images(Case):
    def random(self, dim, kind=np.float32):
        rng = np.random.default_rng(5)
        smooth = ndimage.gaussian_filter(rng.normal(0, 1, dim), 2)
        reference = smooth / smooth.std() * 500 - 100
        synthetic = reference + rng.normal(20, 80, dim)
        mask = ndimage.gaussian_filter(rng.normal(0, 1, dim), 6) > -0.01
        return reference.astype(kind), synthetic.astype(kind), mask

    def test_random_floats(self):
        self.check('random, 110 x 101 x 97 f32', *self.random((97, 101, 110)))

    def test_random_integers_of_few_slices(self):
        self.check('random, 70 x 80 x 9 i16', *self.random((9, 80, 70), np.int16), name='mha')

    def test_values_beyond_the_range_are_clamped_where_they_must_be(self):
        reference, synthetic, mask = self.random((100, 98, 97))
        reference[10:20] = 5000
        synthetic[30:40] = -3000
        self.check('beyond the range, 97 x 98 x 100', reference, synthetic, mask)

    def phantom(self, kind):
        folder = self.work / kind
        subprocess.run([SCTD, 'phantom', '--kind', kind, '--seed', '4', '--matrix', '120', '--spacing', '3.4,3.4,2',
                        '--slices', '99', '--output', folder], check=True, capture_output=True)
        names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
        return sitk.GetArrayFromImage(sitk.ReadImage(names)).astype(np.float32)

    def test_phantom(self):
        ct, cbct = self.phantom('ct'), self.phantom('cbct')
        pieces, _ = ndimage.label(ct >= -300)
        largest = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
        mask = np.stack([ndimage.binary_fill_holes(s) for s in largest])
        self.check('phantom, 120 x 120 x 99', ct, cbct, mask)
        c = self.evaluate('--reference', self.work / 'ct', '--synthetic', self.work / 'cbct')
        self.assertEqual(c['mask'], 'found')
        self.assertEqual(c['voxels']['body'], int(mask.sum()))
        self.compare('the same as DICOM, mask found', c['metrics'], expected(ct, cbct, mask))


class Resampling(Case):
    def test_synthetic_on_another_grid_is_what_simpleitk_makes_of_it(self):
        rng = np.random.default_rng(8)
        smooth = ndimage.gaussian_filter(rng.normal(0, 1, (40, 50, 60)), 4)
        voxels = (smooth / smooth.std() * 400 - 200).astype(np.float64)
        synthetic = image(voxels, (1.1, 1.3, 2.0), (-24.0, 26.0, 0.0))
        reference = image((voxels[:30, :40, :40] + 30).astype(np.float64), (1.0, 1.0, 1.9), (-10.0, 35.0, 9.0))
        turned = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.05, -0.03, 0.08)
        synthetic.SetDirection(turned.GetMatrix())
        sitk.WriteImage(reference, str(self.work / 'r.mha'), useCompression=True)
        sitk.WriteImage(synthetic, str(self.work / 's.mhd'), useCompression=True)
        c = self.evaluate('--reference', self.work / 'r.mha', '--synthetic', self.work / 's.mhd')
        self.assertTrue(c['resampled'])
        placed = sitk.Resample(synthetic, reference, sitk.Transform(), sitk.sitkLinear, -1e6, sitk.sitkFloat64)
        a, b = sitk.GetArrayFromImage(reference), sitk.GetArrayFromImage(placed)
        there = b > -1e5
        # SimpleITK has no value in the outermost half voxel, where the evaluation holds the nearest
        self.assertGreater(there.mean(), 0.9)
        self.assertAlmostEqual(c['voxels']['whole'] / a.size, there.mean(), delta=0.05)
        if there.all():
            self.compare('resampled, turned', c['metrics'], {'mae_whole': abs(b - a).mean()}, 1e-5)
        else:
            self.assertAlmostEqual(c['metrics']['mae_whole'], abs(b - a)[there].mean(), delta=3)

    def test_nifti_and_metaimage_and_dicom_lie_at_one_place(self):
        rng = np.random.default_rng(9)
        voxels = (rng.normal(0, 300, (12, 14, 16)) - 300).astype(np.int16)
        one = image(voxels)
        one.SetDirection(sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.2, -0.1, 0.4).GetMatrix())
        for name in ('a.nii', 'a.nii.gz', 'a.mha', 'a.mhd'):
            sitk.WriteImage(one, str(self.work / name))
            c = self.evaluate('--reference', self.work / 'a.nii', '--synthetic', self.work / name)
            self.assertFalse(c['resampled'], name)
            self.assertEqual(c['metrics']['mae_whole'], 0, name)
            self.assertIsNone(c['metrics']['psnr_whole'], name)


def surface(mask):
    return mask & ~ndimage.binary_erosion(mask)


def distances(a, b, spacing):
    return ndimage.distance_transform_edt(~surface(b), sampling=spacing[::-1])[surface(a)]


class Labels(Case):
    def blobs(self, seed):
        rng = np.random.default_rng(seed)
        smooth = ndimage.gaussian_filter(rng.normal(0, 1, (40, 50, 60)), 5)
        smooth /= smooth.std()
        out = np.zeros(smooth.shape, np.uint8)
        out[smooth > 0.5] = 1
        out[smooth > 1.2] = 7
        out[smooth < -1] = 117
        return out

    def test_overlap_and_surface_distances(self):
        spacing = (1.5, 1.25, 2.5)
        a, b = self.blobs(1), np.roll(self.blobs(1), (1, 2, -1), (0, 1, 2))
        b[:3] = 0
        b[0, 0, 0] = 200
        for name, voxels in (('a', a), ('b', b)):
            sitk.WriteImage(image(voxels, spacing), str(self.work / f'{name}.nii.gz'))
        ct = image(np.where(a > 0, 0, -1000).astype(np.int16), spacing)
        sitk.WriteImage(ct, str(self.work / 'ct.nii'))
        c = self.evaluate('--reference', self.work / 'ct.nii', '--synthetic', self.work / 'ct.nii', '--labels',
                          self.work / 'a.nii.gz', self.work / 'b.nii.gz')
        rows = {row['label']: row for row in c['labels']}
        self.assertEqual(sorted(rows), [1, 7, 117, 200])
        self.assertEqual((rows[200]['dice'], rows[200]['hd95'], rows[200]['msd']), (0, None, None))
        overlap = sitk.LabelOverlapMeasuresImageFilter()
        overlap.Execute(image(a, spacing), image(b, spacing))
        for label in (1, 7, 117):
            there, back = (distances(x == label, y == label, spacing) for x, y in ((a, b), (b, a)))
            want = {'dice': overlap.GetDiceCoefficient(label),
                    'hd95': max(np.percentile(there, 95), np.percentile(back, 95)),
                    'msd': np.concatenate([there, back]).mean()}
            self.compare(f'label {label}: SimpleITK, SciPy', rows[label], want)
            itk = [sitk.LabelContour(image((x == label).astype(np.uint8), spacing)) for x in (a, b)]
            inner = [np.pad(sitk.GetArrayFromImage(x)[1:-1, 1:-1, 1:-1] > 0, 1) for x in itk]
            ours = [np.pad(surface(x == label)[1:-1, 1:-1, 1:-1], 1) for x in (a, b)]
            np.testing.assert_array_equal(inner, ours)


class Depth(Case):
    def test_a_water_cylinder_is_as_deep_as_its_radius(self):
        y, x = np.mgrid[-60:61, -60:61]
        disc = np.where(x ** 2 + y ** 2 <= 50 ** 2, 0, -1000).astype(np.int16)
        reference = np.repeat(disc[None], 5, 0)
        synthetic = np.where(reference == 0, 40, reference).astype(np.int16)
        for name, voxels in (('r', reference), ('s', synthetic)):
            sitk.WriteImage(image(voxels, (1, 1, 3)), str(self.work / f'{name}.mha'))
        c = self.evaluate('--reference', self.work / 'r.mha', '--synthetic', self.work / 's.mha')
        self.assertAlmostEqual(c['metrics']['wepl_mean'], 0.04 * 50, delta=0.05)
        self.assertAlmostEqual(c['metrics']['wepl_percent'], 4.0, delta=0.1)
        self.assertEqual(len(c['wepl_by_angle_mm']), 36)

    def test_bone_in_front_shows_at_the_front(self):
        y, x = np.mgrid[-60:61, -60:61]
        disc = np.where(x ** 2 + y ** 2 <= 50 ** 2, 0, -1000).astype(np.int16)
        other = np.where((y < -30) & (y > -45) & (abs(x) < 5), 600, disc).astype(np.int16)
        for name, plane in (('r', disc), ('s', other)):
            sitk.WriteImage(image(np.repeat(plane[None], 4, 0), (1, 1, 3)), str(self.work / f'{name}.mha'))
        angles = self.evaluate('--reference', self.work / 'r.mha', '--synthetic',
                               self.work / 's.mha')['wepl_by_angle_mm']
        self.assertAlmostEqual(angles[0], 14 * 0.34, delta=0.7)  # 14 mm, density 1.34, the borders linear
        self.assertEqual((angles[9], angles[18], angles[27]), (0, 0, 0))


if __name__ == '__main__':
    SCTD = sys.argv.pop(1)
    try:
        unittest.main(verbosity=2)
    finally:
        for row in ROWS:
            print('%-36s %3d numbers, worst %.1e relative (%s)' % row)
