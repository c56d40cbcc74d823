#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sctd evaluate from outside: DICOM pairs that sctd phantom and sctd convert made, refusals, cohorts, reports.
usage: evaluate_cli.py /path/to/sctd [unittest options]"""
import base64
import csv
import html.parser
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import unittest

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
import pydicom  # noqa: E402

from kit import tensors  # noqa: E402

SCTD = None


def run(*words, status=0):
    done = subprocess.run([str(w) for w in (SCTD, *words)], capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != status:
        raise AssertionError(f'status {done.returncode}: {done.stderr}')
    return done


def phantom(folder, kind, seed=1, spacing='8,8,8', matrix='48'):
    run('phantom', '--kind', kind, '--seed', str(seed), '--matrix', matrix, '--spacing', spacing, '--slices', '12',
        '--output', folder)
    return folder


def change(folder, keyword, value):
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        setattr(dataset, keyword, value)
        dataset.save_as(path)


class Page(html.parser.HTMLParser):
    """What a page would load, and how its elements nest."""
    VOID = {'meta', 'img'}

    def __init__(self):
        super().__init__()
        self.loads, self.open, self.wrong, self.images = [], [], [], []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ('src', 'href', 'srcset', 'data'):
                (self.images if value.startswith('data:image/png;base64,') else self.loads).append(value)
        if tag in ('script', 'link', 'iframe', 'object'):
            self.loads.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


class Evaluate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.shared = pathlib.Path(cls.folder.name)
        cls.ct = phantom(cls.shared / 'ct', 'ct')
        cls.mr = phantom(cls.shared / 'mr', 'mr')
        cls.cbct = phantom(cls.shared / 'cbct', 'cbct')
        cls.models = cls.shared / 'models'
        tensors.import_model(SCTD, cls.models, 'mr', 'pipeline')

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)

    def copy(self, of):
        return pathlib.Path(shutil.copytree(of, self.work / of.name))

    def evaluate(self, synthetic, *more):
        return json.loads(run('evaluate', '--reference', self.ct, '--synthetic', synthetic, '--json', *more).stdout)

    def refusal(self, synthetic, *more, reference=None, status=1):
        done = run('evaluate', '--reference', reference or self.ct, '--synthetic', synthetic, *more, status=status)
        self.assertEqual(done.stdout, '')
        self.assertEqual(done.stderr.count('\n'), 1)
        return done.stderr

    def test_an_image_is_its_own_equal(self):
        (c,) = self.evaluate(self.ct)['cases']
        m = c['metrics']
        self.assertEqual((m['mae_whole'], m['rmse_body'], m['ssim_body'], m['histogram_body'], m['wepl_most']),
                         (0, 0, 1, 0, 0))
        self.assertIsNone(m['psnr_whole'])
        self.assertEqual((c['resampled'], c['mask'], m['missing']), (False, 'found', 0))

    def test_an_sct_of_ours_with_the_perceptual_distance(self):
        run('convert', '--model', 'mr@1', '--models-dir', self.models, '--input', self.mr, '--output',
            self.work / 'sct')
        (c,) = self.evaluate(self.work / 'sct', '--model', 'mr@1', '--models-dir', self.models)['cases']
        self.assertGreater(c['metrics']['mldp'], 0)
        self.assertGreater(c['metrics']['mae_body'], 0)
        (same,) = self.evaluate(self.ct, '--model', 'mr@1', '--models-dir', self.models)['cases']
        self.assertEqual(same['metrics']['mldp'], 0)

    def test_another_grid_is_resampled_and_said_so(self):
        finer = phantom(self.work / 'finer', 'ct', spacing='5,5,5')
        (c,) = self.evaluate(finer)['cases']
        self.assertTrue(c['resampled'])
        self.assertGreater(c['metrics']['missing'], 0)  # 12 slices of 5 mm reach less far
        self.assertLess(c['metrics']['mae_body'], 80)
        text = run('evaluate', '--reference', self.ct, '--synthetic', finer).stdout
        self.assertIn('was resampled', text)
        self.assertRegex(text, r'\d+\.\d+ % of the body are not reached')

    def test_wrong_inputs_are_refused_with_the_reason_and_the_mend(self):
        other = self.copy(self.cbct)
        change(other, 'PatientID', 'SOMEBODY ELSE')
        self.assertRegex(self.refusal(other), r'different Patient IDs.*--force patient')
        self.assertEqual(self.evaluate(other, '--force', 'patient')['refused'], 0)
        change(other, 'PatientID', pydicom.dcmread(next(self.ct.iterdir())).PatientID)
        change(other, 'FrameOfReferenceUID', '1.2.3')
        self.assertRegex(self.refusal(other), r'different Frame of Reference.*--force frame')
        self.assertEqual(self.evaluate(other, '--force', 'frame')['refused'], 0)
        self.assertRegex(self.refusal(self.mr), 'wrong-modality')

    def test_values_that_are_no_hu_are_refused(self):
        units = self.copy(self.cbct)
        flat = self.copy(self.ct)
        change(flat, 'RescaleSlope', '0.0004')
        change(flat, 'RescaleIntercept', '0')
        self.assertRegex(self.refusal(flat), 'values go from .* no HU.*--force units')
        intercept = pydicom.dcmread(next(units.iterdir())).RescaleIntercept
        change(units, 'RescaleIntercept', '3000')
        self.assertRegex(self.refusal(units), 'soft tissue.*--force units')
        self.assertEqual(self.evaluate(units, '--force', 'units')['refused'], 0)
        change(units, 'RescaleIntercept', str(intercept))
        change(units, 'RescaleType', 'OD')
        self.assertRegex(self.refusal(units), 'Rescale Type OD')

    def test_images_that_do_not_overlap_are_refused(self):
        away = self.copy(self.cbct)
        for path in away.iterdir():
            dataset = pydicom.dcmread(path)
            x, y, z = dataset.ImagePositionPatient
            dataset.ImagePositionPatient = [x + 5000, y, z]
            dataset.save_as(path)
        self.assertIn('does not overlap', self.refusal(away))

    def test_files_that_are_none_are_refused(self):
        for name in ('a.nii', 'a.nii.gz', 'a.mha', 'a.mhd'):
            for content in (b'', b'\x1f\x8b' + b'x' * 40, b'NDims = 3\n', b'\0' * 400):
                (self.work / name).write_bytes(content)
                self.assertIn(name, self.refusal(self.work / name))
        (self.work / 'a.mhd').write_text('NDims = 3\nDimSize = 2 2 2\nElementType = MET_SHORT\n'
                                         'ElementDataFile = /etc/passwd\n')
        self.assertIn('one file beside it', self.refusal(self.work / 'a.mhd'))
        self.assertIn('0 DICOM series', self.refusal(self.work))

    def test_words_that_do_not_fit_are_told(self):
        self.assertIn('--reference and --synthetic', self.refusal(self.ct, '--pairs', self.work, status=2))
        self.assertIn('two files', self.refusal(self.ct, '--labels', 'a.nii', status=2))
        self.assertIn('patient, frame and units', self.refusal(self.ct, '--force', 'all', status=2))
        self.assertIn('--labels REF SYN', run('evaluate', '--help').stdout)

    def test_cohort_has_rows_mean_and_deviation_and_a_page_that_loads_nothing(self):
        cohort, out = self.work / 'cohort', self.work / 'out'
        for name, synthetic in (('one', self.cbct), ('<b>two</b>'.replace('/', '_'), self.ct), ('bad', self.mr)):
            shutil.copytree(self.ct, cohort / name / 'ct')
            shutil.copytree(synthetic, cohort / name / 'sct')
        done = run('evaluate', '--pairs', cohort, '--report', out, '--json', status=1)
        facts = json.loads(done.stdout)
        self.assertEqual([c['name'] for c in facts['cases']], ['<b>two<_b>', 'bad', 'one'])
        self.assertEqual(facts['refused'], 1)
        self.assertIn('wrong-modality', facts['cases'][1]['refused'])
        values = [c['metrics']['mae_body'] for c in facts['cases'] if 'metrics' in c]
        self.assertAlmostEqual(facts['summary']['mae_body']['mean'], statistics.mean(values))
        self.assertAlmostEqual(facts['summary']['mae_body']['deviation'], statistics.stdev(values))
        rows = list(csv.DictReader((out / 'cases.csv').open()))
        self.assertEqual([r['name'] for r in rows], ['<b>two<_b>', 'bad', 'one', 'mean', 'deviation'])
        self.assertAlmostEqual(float(rows[3]['mae_body']), statistics.mean(values), places=4)
        self.assertEqual(json.loads((out / 'cases.json').read_text())['summary'], facts['summary'])
        text = (out / 'report.html').read_text()
        page = Page()
        page.feed(text)
        self.assertEqual((page.loads, page.wrong, page.open), ([], [], []))
        self.assertNotIn('<b>', text)
        self.assertEqual(re.findall(r'https?://', text), [])
        self.assertGreaterEqual(len(page.images), 4)
        for image in page.images:
            self.assertEqual(base64.b64decode(image.split(',')[1], validate=True)[:8], b'\x89PNG\r\n\x1a\n')

    def test_nobody_is_named(self):
        first = pydicom.dcmread(next(self.ct.iterdir()))
        done = run('evaluate', '--reference', self.ct, '--synthetic', self.cbct, '--report', self.work / 'out')
        everything = done.stdout + done.stderr + ''.join(
            p.read_text() for p in (self.work / 'out').iterdir())
        for secret in (str(first.PatientName), str(first.PatientID)):
            self.assertNotIn(secret, everything)


if __name__ == '__main__':
    SCTD = sys.argv.pop(1)
    unittest.main(verbosity=2)
