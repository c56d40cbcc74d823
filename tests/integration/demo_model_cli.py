#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demonstration models of deploy/models: whole, small, equal to PyTorch, and as good as their card says.
usage: demo_model_cli.py /path/to/sctd [unittest options]"""
import json
import os
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
import pydicom  # noqa: E402

from kit import tensors  # noqa: E402

SCTD = None
MODELS = pathlib.Path(__file__).resolve().parents[2] / 'deploy' / 'models'
KINDS = {'mr': 50.0, 'cbct': 40.0}  # bound of the mean absolute error in the body, HU
TOLERANCE = 1e-4
HU_PER_UNIT = 1512.0
SEED = 22  # training and the card know it not


def read_series(folder):
    """Values [slice, row, column] from feet to head."""
    slices = sorted((pydicom.dcmread(path) for path in folder.glob('*.dcm')), key=lambda s: s.ImagePositionPatient[2])
    return np.stack([s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in slices])


class DemoModel(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)

    def run_it(self, *words, models=True, status=0):
        words = [SCTD, *map(str, words), *(['--models-dir', str(MODELS)] if models else [])]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout

    def test_the_folder_is_a_models_folder_of_two_whole_models(self):
        listed = json.loads(self.run_it('model', 'list', '--json'))
        self.assertEqual([(m['name'], m['version']) for m in listed['models']],
                         [('phantom-demo-cbct', '1'), ('phantom-demo-mr', '1')])
        for kind in KINDS:
            self.run_it('model', 'verify', f'phantom-demo-{kind}@1')

    def test_what_was_stored_is_computed_again(self):
        copy = self.work / 'models' / 'phantom-demo-mr@1'
        shutil.copytree(MODELS / 'phantom-demo-mr@1', copy)
        where = ('--models-dir', self.work / 'models')
        for precision in ('fp32', 'auto', 'bf16'):
            self.run_it('model', 'selftest', 'phantom-demo-mr', *where, '--precision', precision, models=False)
        stored, _ = tensors.read(copy / 'selftest.safetensors')
        stored['y'][2][1000] += 0.01  # 15 HU in one voxel
        tensors.write(copy / 'selftest.safetensors', stored)
        for words in (('selftest', 'phantom-demo-mr'), ('verify', 'phantom-demo-mr')):
            done = subprocess.run([SCTD, 'model', *words, *where], capture_output=True, text=True)
            self.assertEqual(done.returncode, 1, words)
            self.assertIn('it computes something else than was stored', done.stderr)
        (copy / 'selftest.safetensors').unlink()
        done = subprocess.run([SCTD, 'model', 'selftest', 'phantom-demo-mr', *where], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn('store them with --write', done.stderr)
        self.run_it('model', 'selftest', 'phantom-demo-mr', *where, '--write', models=False)
        self.run_it('model', 'verify', 'phantom-demo-mr', *where, models=False)

    def test_both_together_take_at_most_12_mib(self):
        files = [path for path in MODELS.glob('phantom-demo-*/*') if path.is_file()]
        self.assertEqual(len(files), 6)
        self.assertLessEqual(sum(path.stat().st_size for path in files), 12 << 20)

    def test_the_card_names_the_weights(self):
        card = (MODELS / 'MODEL_CARD.md').read_text()
        for kind in KINDS:
            manifest = json.loads((MODELS / f'phantom-demo-{kind}@1' / 'manifest.json').read_text())
            self.assertIn(manifest['weights']['sha256'], card)
            self.assertEqual(manifest['content_qualification'], 'RESEARCH')

    def test_the_engine_computes_what_pytorch_did(self):
        for kind in KINDS:
            golden, _ = tensors.read(tensors.GOLDEN / f'demo-{kind}.safetensors')
            for backend in ('cpu', 'ref'):
                with self.subTest(kind=kind, backend=backend):
                    self.compare(kind, backend, golden)

    def compare(self, kind, backend, golden):
        for inputs, output, scale in ((('x_cnn', 'x_dino'), 'y', 1.0), (('volume',), 'hu', HU_PER_UNIT)):
            tensors.write(self.work / 'in', {name: golden[name] for name in inputs})
            self.run_it('infer', '--model', f'phantom-demo-{kind}', '--input', self.work / 'in', '--output',
                        self.work / 'out', '--precision', 'fp32', '--backend', backend)
            got, _ = tensors.read(self.work / 'out')
            self.assertLess(tensors.worst(got[output], golden[output]) / scale, TOLERANCE)
            self.assertGreater(np.ptp(golden[output][2]) / scale, 0.2)  # an image, not a constant

    def test_an_unseen_phantom_is_within_the_bounds(self):
        grid = ['--seed', SEED, '--spacing', '1.6,1.6,3', '--slices', 24]
        self.run_it('phantom', '--kind', 'ct', *grid, '--output', self.work / 'ct', models=False)
        ct = read_series(self.work / 'ct')
        body = ct > -300
        water = np.abs(ct[body]).mean()
        for kind, bound in KINDS.items():
            with self.subTest(kind=kind):
                source, target = self.work / kind, self.work / f'sct-{kind}'
                self.run_it('phantom', '--kind', kind, *grid, '--output', source, models=False)
                self.run_it('convert', '--model', f'phantom-demo-{kind}', '--input', source, '--output', target)
                (made,) = target.iterdir()
                report = json.loads((made / 'quality.json').read_text())
                self.assertEqual(report['verdict'], 'passed', [c['text'] for c in report['checks'] if c['verdict'] == 'failed'])
                error = np.abs(read_series(made) - ct)[body].mean()
                self.assertLess(error, min(bound, water / 2))

    def test_sources_that_a_model_has_not_seen_need_review(self):
        def invert(a):
            top = np.percentile(a, 99.5)
            return np.where(a > top / 8, np.clip(top * 1.15 - a, 0, None), a)
        for kind, change in (('mr', invert), ('cbct', lambda a: np.where(a > a.min() + 700, a + 300, a))):
            with self.subTest(kind=kind):
                source, target = self.work / kind, self.work / f'sct-{kind}'
                self.run_it('phantom', '--kind', kind, '--seed', SEED, '--spacing', '1.6,1.6,6', '--slices', 12, '--output',
                            source, models=False)
                for path in source.glob('*.dcm'):
                    instance = pydicom.dcmread(path)
                    voxels = instance.pixel_array
                    instance.PixelData = np.round(change(voxels.astype(np.float64))).astype(voxels.dtype).tobytes()
                    instance.save_as(path)
                self.run_it('convert', '--model', f'phantom-demo-{kind}', '--input', source, '--output', target, status=1)
                (report,) = target.glob('*/quality.json')
                report = json.loads(report.read_text())
                failed = {c['check'] for c in report['checks'] if c['verdict'] == 'failed'}
                self.assertEqual(report['verdict'], 'review')
                self.assertTrue(failed & {'intensity', 'tissue'}, failed)


if __name__ == '__main__':
    SCTD = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=1)
