#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The checks of an sCT against NumPy, SciPy and scikit-image, on phantoms and on random volumes, sound and spoilt on
purpose.  Prints the table of what was compared.  usage: quality_checks.py /path/to/sctd [unittest options]"""
import json
import math
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
from scipy import ndimage  # noqa: E402
from skimage import measure, morphology  # noqa: E402

SCTD = None
TOOL = None
ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / 'deploy' / 'models'
AIR = -300
RELATIVE = 1e-6
ROWS = []
TISSUES = {'gas': (-32767, -250), 'fat': (-150, -30), 'soft': (-250, 250), 'bone': (250, 32767)}
PERCENTILES = (5, 25, 50, 75, 95)
CLIP = {'cbct': (-1024.0, 2000.0)}


def image(voxels, spacing, origin=(-20.0, 30.0, 5.0)):
    out = sitk.GetImageFromArray(voxels.astype(np.float32))
    out.SetSpacing(spacing)
    out.SetOrigin(origin)
    return out


def fill(mask, axis=0):
    return np.stack([ndimage.binary_fill_holes(s) for s in np.moveaxis(mask, axis, 0)], axis)


def largest(mask):
    pieces = measure.label(mask, connectivity=1)
    return pieces == np.bincount(pieces.ravel())[1:].argmax() + 1 if pieces.any() else mask


def tissue_of(voxels, kind, clip):
    """Where a source is as bright as tissue."""
    if kind == 'cbct':
        return voxels >= AIR
    low, high = clip
    bins = np.clip((voxels.astype(np.float64) - low) * (4096 / (high - low)), 0, 4095).astype(np.uint16)
    bins = ndimage.median_filter(bins, (1, 3, 3), mode='nearest')
    count = np.bincount(bins.ravel(), minlength=4096).astype(np.float64)
    value = np.log1p(50 * (np.arange(4096) + 0.5) / 4096)
    below, total = np.cumsum(count)[:-1], count.sum()
    weighted = np.cumsum(count * value)[:-1]
    with np.errstate(divide='ignore', invalid='ignore'):
        apart = weighted / below - ((count * value).sum() - weighted) / (total - below)
        between = np.nan_to_num(below * (total - below) * apart ** 2)
    return bins > between.argmax()


def body_of(voxels, kind, clip, axis=0):
    tissue = tissue_of(voxels, kind, clip)
    return fill(largest(tissue), axis), tissue


def outline(mask):
    """Pixels of a slice with one of four neighbours outside."""
    cross = ndimage.generate_binary_structure(2, 1)
    return np.stack([s & ~ndimage.binary_erosion(s, cross) for s in mask])


def hausdorff(a, b, spacing):
    """The 95 % distance of two bodies' outlines in their slices."""
    mm = [[], []]
    for x, y in zip(a, b):
        for way, (one, other) in enumerate(((x, y), (y, x))):
            if not one.any():
                continue
            on = outline(one[None])[0]
            if other.any():
                mm[way].append(ndimage.distance_transform_edt(~outline(other[None])[0], spacing[1::-1])[on])
            else:
                mm[way].append(np.full(on.sum(), math.sqrt(one.sum() * spacing[0] * spacing[1] / math.pi)))
    return max(np.percentile(np.concatenate(m), 95) for m in mm)


def jump(hu, body):
    size = body.sum((1, 2))
    least = np.median(size[size > 0]) / 4
    d = []
    for k in range(len(hu) - 1):
        both = body[k] & body[k + 1]
        d.append(abs(hu[k] - hu[k + 1])[both].mean() if both.sum() >= least else np.nan)
    d, found = np.array(d), []
    for k, here in enumerate(d):
        near = [d[n] for n in (k - 2, k - 1, k + 1, k + 2) if 0 <= n < len(d) and not np.isnan(d[n])]
        if near and not np.isnan(here):
            found.append(here - np.median(near))
    return max(max(found), 0)


def hole(hu, body, tissue, spacing):
    deep = np.stack([s & (ndimage.distance_transform_edt(s, spacing[1::-1]) > 5 if not s.all() else s) for s in body])
    void = deep & tissue & (hu < AIR)
    core = ndimage.binary_erosion(void, ndimage.generate_binary_structure(3, 1), border_value=1)
    return largest(core).sum() * np.prod(spacing) / 1000


def beyond(body, spacing):
    return np.stack([ndimage.distance_transform_edt(~s, spacing[1::-1]) > 10 if s.any() else ~s for s in body])


def cut_off(body, axis=0):
    """Of the lateral outline, at the image's faces."""
    mask = np.moveaxis(body, axis, 0)
    n = cut = 0
    for s in mask:
        on = outline(s[None])[0]
        face = np.zeros_like(on)
        face[[0, -1], :] = face[:, [0, -1]] = True
        n, cut = n + on.sum(), cut + (on & face).sum()
    return 100 * cut / n


def expected(source, hu, spacing, kind, clip):
    source, hu = source.astype(np.float64), hu.astype(np.float64)
    body, tissue = body_of(source, kind, clip)
    far = beyond(body, spacing)
    inside = hu[body]
    found = {'air-outside': 100 * (hu[far] >= AIR).mean() if far.any() else 0,
             'holes': hole(hu, body, tissue, spacing),
             'slice-jump': jump(hu, body),
             'outline': hausdorff(body, fill(largest(hu >= AIR)), spacing),
             'field-of-view': cut_off(body),
             'saturation': 100 * ((abs(inside + 1024) <= 1) | (abs(inside - 2000) <= 1)).mean()}
    for name, (low, high) in TISSUES.items():
        found[f'tissue {name}'] = 100 * ((inside >= low) & (inside <= high)).mean()
    scaled = np.clip((source[body] - clip[0]) / (clip[1] - clip[0]), 0, 1).astype(np.float32).astype(np.float64)
    for p in PERCENTILES:
        found[f'intensity {p}'] = np.percentile(scaled, p)
    return found


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)

    def manifest(self, kind, quality):
        """That of the demonstration model, with other limits."""
        manifest = json.loads((MODELS / f'phantom-demo-{kind}@1' / 'manifest.json').read_text())
        manifest.pop('quality', None)
        if quality:
            manifest['quality'] = quality
        path = self.work / 'manifest.json'
        path.write_text(json.dumps(manifest))
        return path

    def judge(self, kind, clip, source, hu, spacing, quality=None):
        for name, voxels in (('source', source), ('hu', hu)):
            sitk.WriteImage(image(voxels, spacing), str(self.work / f'{name}.mha'))
        words = (TOOL, self.manifest(kind, quality), *clip, self.work / 'source.mha', self.work / 'source.mha',
                 self.work / 'hu.mha')
        done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def compare(self, what, kind, clip, source, hu, spacing):
        report = self.judge(kind, clip, source, hu, spacing)
        self.assertEqual(report['verdict'], 'measured')
        got = {f'{c["check"]} {c["what"]}'.strip(): c['value'] for c in report['checks']}
        want = expected(source, hu, spacing, kind, clip)
        self.assertEqual(sorted(got), sorted(want))
        worst, name = 0.0, ''
        for key, value in want.items():
            off = abs(got[key] - value) / max(abs(value), 1e-9)
            worst, name = max((worst, name), (off, key))
            self.assertLess(off, RELATIVE, f'{what}: {key}: {got[key]!r}, not {value!r}')
        ROWS.append((what, len(want), worst, name))
        return got


def random_pair(dim, kind, seed):
    """Blobs, and other blobs that share most of their outline."""
    rng = np.random.default_rng(seed)
    smooth = [ndimage.gaussian_filter(rng.normal(0, 1, dim), (2, 5, 5)) for _ in range(3)]
    a, b, c = (x / x.std() for x in smooth)
    body, other = a > -0.2, a + 0.3 * b > -0.2
    hu = np.where(other, 300 * c + 20 * rng.normal(0, 1, dim), -1000)
    hu[other & (c > 1.8)] = -900
    hu[other & (c < -1.8)] = rng.choice([-1024, 2000], dim)[other & (c < -1.8)]
    if kind == 'cbct':
        source = np.where(body, 200 * b, -1000) + 30 * rng.normal(0, 1, dim)
    else:
        source = np.where(body, 400 + 150 * b, 0)
        source = np.hypot(source + 20 * rng.normal(0, 1, dim), 20 * rng.normal(0, 1, dim))
    return source.astype(np.float32), hu.astype(np.float32)


class Measures(Case):
    def test_random_volumes(self):
        for seed, (dim, kind, spacing) in enumerate((((12, 60, 70), 'mr', (1.5, 1.25, 4.0)),
                                                     ((20, 64, 48), 'mr', (0.75, 2.0, 1.0)),
                                                     ((9, 80, 80), 'cbct', (2.0, 2.0, 5.0)),
                                                     ((30, 40, 40), 'cbct', (3.0, 1.0, 2.0)))):
            source, hu = random_pair(dim, kind, seed)
            clip = CLIP.get(kind) or tuple(np.percentile(source.astype(np.float64), (1, 99)))
            got = self.compare(f'random {kind}, {dim[2]} x {dim[1]} x {dim[0]}', kind, clip, source, hu, spacing)
            for check in ('air-outside', 'slice-jump', 'outline', 'field-of-view', 'saturation'):
                self.assertGreater(got[check], 0, check)

    def phantom(self, kind, matrix='128', slices='48'):
        folder = self.work / kind
        subprocess.run([SCTD, 'phantom', '--kind', kind, '--seed', '4', '--matrix', matrix, '--spacing', '3.2,3.2,4',
                        '--slices', slices, '--output', folder], check=True, capture_output=True)
        names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
        return sitk.GetArrayFromImage(sitk.ReadImage(names)).astype(np.float32)

    def test_phantom(self):
        ct = self.phantom('ct')
        for kind in ('mr', 'cbct'):
            source = self.phantom(kind)
            clip = CLIP.get(kind) or tuple(np.percentile(source.astype(np.float64), (1, 99)))
            got = self.compare(f'phantom {kind}, 128 x 128 x 48', kind, clip, source, ct, (3.2, 3.2, 4.0))
            self.assertLess(got['holes'], 1)
            self.assertLess(got['outline'], 7)


def sct_with(hu, what):
    """A sound sCT, spoilt."""
    hu, slices = hu.copy(), len(hu)
    middle = slices // 2
    if what == 'moved by 25 mm':
        hu = np.roll(hu, 8, 2)
    elif what == 'a hole of 4 cm':
        z, y, x = np.ogrid[:slices, :hu.shape[1], :hu.shape[2]]
        at = np.argwhere(ndimage.binary_erosion((abs(hu) < 200), iterations=5))
        at = at[len(at) // 2]
        hu[((z - at[0]) * 4.0) ** 2 + ((y - at[1]) * 3.2) ** 2 + ((x - at[2]) * 3.2) ** 2 < 20 ** 2] = -1000
    elif what == 'two slices swapped':
        hu[[10, slices - 10]] = hu[[slices - 10, 10]]
    elif what == 'a slice of another':
        hu[middle] = hu[5]
    elif what == 'a slice 150 HU up':
        hu[middle] += 150
    elif what == 'a slice scaled':
        hu[middle] = (hu[middle] + 1000) * 1.2 - 1000
    elif what == 'an empty slice':
        hu[middle] = -1000
    elif what == 'saturated bone':
        hu[hu > 100] = 2000
    elif what == 'water around':
        hu[:, :20] = 0
    elif what == 'everything twice as dense':
        hu = np.where(hu > AIR, (hu + 1000) * 1.3 - 1000, hu)
    return hu


class Spoilt(Measures):
    """What is wrong on purpose is found by its own check, and what is sound passes."""
    FOUND = {'nothing': None, 'moved by 25 mm': 'outline', 'a hole of 4 cm': 'holes', 'two slices swapped': 'slice-jump',
             'a slice of another': 'slice-jump', 'a slice 150 HU up': 'slice-jump', 'a slice scaled': 'slice-jump',
             'an empty slice': 'slice-jump', 'saturated bone': 'saturation', 'water around': 'air-outside',
             'everything twice as dense': 'tissue'}
    test_random_volumes = test_phantom = None

    def find_limits(self, reports):
        for n, report in enumerate(reports):
            (self.work / f'report-{n}.json').write_text(json.dumps(report))
        done = subprocess.run([SCTD, 'model', 'limits', *(self.work / f'report-{n}.json' for n in range(len(reports)))],
                              capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_each_spoilt_sct_fails_its_check(self):
        hu, spacing = self.phantom('ct'), (3.2, 3.2, 4.0)
        source = self.phantom('mr')
        clip = tuple(np.percentile(source.astype(np.float64), (1, 99)))
        limits = self.find_limits([self.judge('mr', clip, source, hu, spacing)])
        for what, check in self.FOUND.items():
            report = self.judge('mr', clip, source, sct_with(hu, what), spacing, limits)
            failed = {c['check'] for c in report['checks'] if c['verdict'] == 'failed'}
            print(f'  {what}: {", ".join(sorted(failed)) or "passed"}')
            self.assertEqual(report['verdict'], 'review' if check else 'passed', what)
            if check:
                self.assertIn(check, failed, what)

    def test_spoilt_sources_fail(self):
        hu, spacing = self.phantom('ct'), (3.2, 3.2, 4.0)
        source = self.phantom('mr')
        clip = tuple(np.percentile(source.astype(np.float64), (1, 99)))
        limits = self.find_limits([self.judge('mr', clip, source, hu, spacing)])
        narrow = slice(30, 90)
        cut = self.judge('mr', clip, source[:, :, narrow], hu[:, :, narrow], spacing, limits)
        self.assertIn('field-of-view', [c['check'] for c in cut['checks'] if c['verdict'] == 'failed'])
        contrast = np.clip(source / clip[1], 0, 1) ** 3 * clip[1]
        other = self.judge('mr', clip, contrast, hu, spacing, limits)
        self.assertIn('intensity', [c['check'] for c in other['checks'] if c['verdict'] == 'failed'])
        empty = self.judge('mr', clip, np.zeros_like(source), hu, spacing, limits)
        self.assertTrue(all(c['verdict'] == 'failed' and c['value'] is None for c in empty['checks']))


if __name__ == '__main__':
    SCTD = pathlib.Path(sys.argv.pop(1)).resolve()
    TOOL = SCTD.parents[1] / 'tests' / 'integration' / 'quality_tool'
    try:
        unittest.main(verbosity=2)
    finally:
        for row in ROWS:
            print('%-32s %3d numbers, worst %.1e relative (%s)' % row)
