#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sctd doctor and sctd model selftest with GPUs, whose place modules take that round as they do.
usage: doctor_gpu.py /path/to/sctd [unittest options]"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from kit import daemon as kit
from kit import tensors

SCTD = None
RULE = {'name': 'mr', 'match': {'modality': 'MR'}, 'model': 'small'}


class Doctor(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)
        self.models = self.work / 'state' / 'models'
        kit.make_model(SCTD, self.models)

    def run_it(self, *words, module='good', status=0):
        library = pathlib.Path(SCTD).parents[1] / 'tests' / 'modules' / f'libmodule-{module}.so'
        self.assertTrue(library.exists(), library)
        done = subprocess.run([SCTD, *map(str, words)], capture_output=True, text=True, timeout=120, check=False,
                              env=os.environ | {'SCTD_CUDA_LIBRARY': str(library)})
        self.assertEqual(done.returncode, status, done.stderr + done.stdout)
        return done.stdout if status == 0 or done.stdout else done.stderr

    def of_the_model(self, workers, **more):
        """[outcome, text] of what the doctor finds of the model, but for its limits."""
        config = kit.Daemon(SCTD, self.work, rules=[RULE], workers=workers).config
        findings = json.loads(self.run_it('doctor', '--json', '--config', config, **more))['findings']
        return [(f['outcome'], f['text']) for f in findings if f['subject'] == 'model small@1' and 'limits' not in f['text']]

    def store(self):
        self.run_it('model', 'selftest', '--write', 'small', '--models-dir', self.models)
        return self.models / 'small@1' / 'selftest.safetensors'

    def test_a_sound_gpu_passes_in_the_precision_that_is_default_there(self):
        self.store()
        found = self.of_the_model({'slots': 1})
        self.assertEqual([outcome for outcome, _ in found], ['ok'])
        self.assertIn('on auto: ', found[0][1])
        self.assertIn('from its stored outputs (32 x 32x32);', found[0][1])
        self.assertIn('runs on cuda (', found[0][1])

    def test_what_is_stored_is_the_processor_s_at_the_network_s_size(self):
        stored, _ = tensors.read(self.store())
        self.assertEqual({name: tensor[1] for name, tensor in stored.items()}, dict.fromkeys(('x_cnn', 'x_dino', 'y'), [2, 1, 32, 32]))
        self.run_it('infer', '--model', 'small', '--models-dir', self.models, '--input', self.models / 'small@1' / 'selftest.safetensors',
                    '--output', self.work / 'gpu', '--backend', 'cuda', '--precision', 'fp32')
        by_gpu, _ = tensors.read(self.work / 'gpu')
        self.assertGreater(tensors.worst(by_gpu['y'], stored['y']), 0.0)
        facts = json.loads(self.run_it('model', 'selftest', 'small', '--models-dir', self.models, '--json'))
        self.assertEqual((facts['backend'], facts['mean_bound_hu'], facts['p999_bound_hu'], facts['max_bound_hu']),
                         ('cuda', 5.0, 100.0, None))
        self.assertGreater(facts['mean_hu'], 0.01)

    def test_a_gpu_that_is_less_exact_than_is_promised_is_named(self):
        path = self.store()
        stored, _ = tensors.read(path)
        dtype, shape, values = stored['y']
        tensors.write(path, stored | {'y': (dtype, shape, [v + 2.5 / 1512 for v in values])})
        found = self.of_the_model({'slots': 1, 'batch': 2})
        self.assertEqual([outcome for outcome, _ in found], ['ok', 'warning'])
        self.assertIn('fp16 is less exact with this model than 1 HU in the mean', found[1][1])
        tensors.write(path, stored | {'y': (dtype, shape, [v + 20 / 1512 for v in values])})
        found = self.of_the_model({'slots': 1, 'batch': 2}, status=1)
        self.assertEqual([outcome for outcome, _ in found], ['failed'])
        self.assertIn('it computes something else than was stored', found[0][1])

    def test_every_backend_is_looked_at_in_batches(self):
        self.store()
        workers = {'slots': 5, 'batch': 3, 'backends': ['cuda:0', 'cuda:1', 'cpu', 'cuda:0']}
        found = self.of_the_model(workers)
        self.assertEqual([(outcome, text.split(': ')[0]) for outcome, text in found],
                         [('ok', 'on cuda:0'), ('ok', 'on cuda:1'), ('ok', 'on cpu')])
        self.assertTrue(all('(3 x 32x32)' in text for _, text in found), found)
        found = self.of_the_model(workers, module='wrong', status=1)
        self.assertEqual([(outcome, text.split(': ')[0]) for outcome, text in found],
                         [('ok', 'on cuda:0'), ('failed', 'on cuda:1'), ('ok', 'on cpu')])
        self.assertIn('it computes something else than was stored', found[1][1])
        self.assertIn('try precision fp32, and report it', found[1][1])

    def test_without_stored_outputs_a_gpu_is_compared_with_the_processor(self):
        workers = {'slots': 1, 'backends': ['cuda:1']}
        found = self.of_the_model(workers)
        self.assertEqual([outcome for outcome, _ in found], ['warning'])
        self.assertIn('from fp32 on this processor (32 x 32x32)', found[0][1])
        found = self.of_the_model(workers, module='wrong', status=1)
        self.assertIn('it computes something else than fp32 on this processor', found[0][1])

    def test_stored_outputs_of_another_size_are_not_enough(self):
        path = self.store()
        stored, _ = tensors.read(path)
        crop = [(0, y, x) for y in range(16) for x in range(16)]
        inputs = [stored['x_cnn'][2][(s * 32 + y) * 32 + x] for s, y, x in crop]
        small = {name: ('F32', [1, 1, 16, 16], inputs) for name in ('x_cnn', 'x_dino')}
        tensors.write(self.work / 'in', small)
        self.run_it('infer', '--model', 'small', '--models-dir', self.models, '--input', self.work / 'in', '--output', self.work / 'out',
                    '--backend', 'cpu', '--precision', 'fp32')
        tensors.write(path, small | {'y': tensors.read(self.work / 'out')[0]['y']})
        workers = {'slots': 1, 'batch': 2}
        found = self.of_the_model(workers)
        self.assertEqual([outcome for outcome, _ in found], ['ok'])
        self.assertIn('from its stored outputs (2 x 16x16), ', found[0][1])
        self.assertIn('from fp32 on this processor (2 x 32x32)', found[0][1])


if __name__ == '__main__':
    SCTD = os.path.abspath(sys.argv.pop(1))
    unittest.main()
