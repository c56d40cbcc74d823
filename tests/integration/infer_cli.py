#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sctd infer from outside.  usage: infer_cli.py /path/to/sctd [unittest options]"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from kit import tensors

SCTD = None


class Infer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.work = pathlib.Path(cls.folder.name)
        cls.models = cls.work / 'models'
        tensors.import_model(SCTD, cls.models, 'cnn', 'cnn')
        tensors.import_model(SCTD, cls.models, 'mr', 'pipeline')
        cls.slices = tensors.GOLDEN / 'io-cnn-32x48.safetensors'
        cls.volume = tensors.GOLDEN / 'pipeline-mr.safetensors'
        cls.out = cls.work / 'out.safetensors'

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def setUp(self):
        self.out.unlink(missing_ok=True)

    def infer(self, model, source, *more, out=None, status=0):
        """What was printed, after a run that must end with `status`."""
        done = subprocess.run([SCTD, 'infer', '--model', model, '--models-dir', self.models, '--input', source,
                               '--output', out or self.out, *map(str, more)],
                              capture_output=True, text=True, check=False, timeout=120)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout if status == 0 else done.stderr

    def refused(self, status, pattern, model, source, *more, out=None):
        """The run fails with `status`, says so in one line, and leaves no output."""
        text = self.infer(model, source, *more, out=out, status=status)
        self.assertRegex(text, r'\Asctd infer: [^\n]*\n\Z')
        self.assertRegex(text, pattern)
        if out is None:
            self.assertFalse(self.out.exists())
        self.assertEqual([p.name for p in self.work.iterdir() if 'out.safetensors' in p.name and p != self.out], [])

    def made(self, changes):
        """A copy of the golden slices with some tensors replaced, or left out (None)."""
        source, _ = tensors.read(self.slices)
        source.update(changes)
        path = self.work / 'in.safetensors'
        tensors.write(path, {name: t for name, t in source.items() if t is not None})
        return path

    def test_slices_give_the_published_output_and_taps(self):
        names = ['vit.tokens0', 'vit.feature11', 'gen.enc1', 'gen.fuse4', 'gen.up3']
        self.infer('cnn', self.slices, '--precision', 'fp32', *(w for name in names for w in ('--tap', name)))
        golden, _ = tensors.read(self.slices)
        got, metadata = tensors.read(self.out)
        self.assertEqual(set(got), {'y', *names})
        self.assertLess(tensors.worst(got['y'], golden['y']), 2e-5)
        for name in names:
            self.assertLess(tensors.worst(got[name], golden[name]), 1e-3 * max(map(abs, golden[name][2])))
        self.assertEqual(metadata['model'], 'cnn')
        self.assertEqual(metadata['version'], '1')
        self.assertEqual(metadata['precision'], 'fp32')
        self.assertRegex(metadata['weights_sha256'], r'^[0-9a-f]{64}$')

    def test_a_volume_gives_every_step_of_the_recipe(self):
        self.infer('mr@1', self.volume, '--precision', 'fp32')
        golden, _ = tensors.read(self.volume)
        got, _ = tensors.read(self.out)
        self.assertEqual(set(got), {'clip', 'x_cnn', 'x_dino', 'y', 'hu'})
        for name, bound in (('clip', 1e-3), ('x_cnn', 1e-5), ('x_dino', 1e-5), ('y', 2e-5), ('hu', 0.05)):
            self.assertLess(tensors.worst(got[name], golden[name]), bound, name)

    def test_a_volume_of_int16_is_the_same_as_of_float32(self):
        volume, _ = tensors.read(self.volume)
        whole = [int(v) for v in volume['volume'][2]]
        got = []
        for dtype in ('F32', 'I16'):
            path = self.work / 'in.safetensors'
            tensors.write(path, {'volume': (dtype, volume['volume'][1], whole)})
            self.infer('mr', path)
            got.append(self.out.read_bytes())
        self.assertEqual(got[0], got[1])

    def test_x_cnn_serves_where_x_dino_is_missing(self):
        both, _ = tensors.read(self.slices)
        self.infer('cnn', self.made({'x_dino': both['x_cnn']}))
        same = self.out.read_bytes()
        self.infer('cnn', self.made({'x_dino': None}))
        self.assertEqual(self.out.read_bytes(), same)

    def test_runs_at_the_same_settings_are_bit_identical(self):
        self.infer('cnn', self.slices)
        first = self.out.read_bytes()
        self.infer('cnn', self.slices)
        self.assertEqual(self.out.read_bytes(), first)

    def test_batch_and_threads_do_not_change_the_result(self):
        self.infer('cnn', self.slices, '--batch', 1, '--threads', 1)
        one, _ = tensors.read(self.out)
        self.infer('cnn', self.slices, '--batch', 8, '--threads', 3)
        other, _ = tensors.read(self.out)
        self.assertLess(tensors.worst(one['y'], other['y']), 1e-5)

    def test_the_reference_backend_agrees(self):
        self.infer('cnn', self.slices, '--backend', 'ref')
        got, metadata = tensors.read(self.out)
        golden, _ = tensors.read(self.slices)
        self.assertEqual(metadata['backend'], 'ref')
        self.assertLess(tensors.worst(got['y'], golden['y']), 2e-5)

    def test_a_model_is_found_by_its_path(self):
        self.infer(self.models / 'cnn@1', self.slices)

    def test_facts_are_json(self):
        facts = json.loads(self.infer('cnn', self.slices, '--json', '--tap', 'gen.enc1'))
        self.assertEqual(facts['model'], 'cnn')
        self.assertEqual(facts['slices'], 2)
        self.assertEqual(facts['tensors'], ['y', 'gen.enc1'])
        self.assertGreater(facts['run_s'], 0)

    def test_an_existing_output_is_replaced(self):
        self.out.write_text('old')
        self.infer('cnn', self.slices)
        self.assertIn('y', tensors.read(self.out)[0])

    def test_the_input_is_never_overwritten(self):
        path = self.made({})
        before = path.read_bytes()
        link = self.work / 'link.safetensors'
        hard = self.work / 'hard.safetensors'
        link.symlink_to(path)
        os.link(path, hard)
        for out in (path, link, hard):
            self.refused(2, 'is the input', 'cnn', path, out=out)
        self.assertEqual(path.read_bytes(), before)
        link.unlink()
        hard.unlink()

    def test_bad_options_are_usage_errors(self):
        for pattern, more in (('no tap "gen.enc9"', ['--tap', 'gen.enc9']),
                              ('given twice', ['--tap', 'gen.enc1', '--tap', 'gen.enc1']),
                              ('did you mean --precision', ['--precison', 'fp32']),
                              ('use one of', ['--precision', 'fp8']), ('use one of', ['--backend', 'gpu']),
                              ('whole number', ['--threads', '-1']), ('whole number', ['--batch', 'x']),
                              ('operand', ['extra'])):
            with self.subTest(more):
                self.refused(2, pattern, 'cnn', self.slices, *more)
        self.refused(2, 'leave it out', 'mr', self.volume, '--tap', 'gen.enc1')
        self.refused(2, 'no model "none".*cnn@1, mr@1', 'none', self.slices)
        done = subprocess.run([SCTD, 'infer'], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, '--model is missing')

    def test_bad_input_names_the_tensor_and_the_mend(self):
        zero = [0.0] * 512
        for pattern, changes in (
                ('neither x_cnn .* nor volume', {'x_cnn': None}),
                (r'x_cnn is not of shape \[N,1,H,W\]', {'x_cnn': ('F32', [2, 16, 16], zero)}),
                (r'x_cnn is not of shape \[N,1,H,W\]', {'x_cnn': ('F32', [1, 2, 16, 16], zero)}),
                (r'x_cnn is not of shape \[N,1,H,W\]', {'x_cnn': ('F32', [0, 1, 16, 16], [])}),
                ('multiples of 16', {'x_cnn': ('F32', [1, 1, 8, 64], zero)}),
                ('multiples of 16', {'x_cnn': ('F32', [1, 1, 0, 16], [])}),
                ('x_cnn is F16: convert it to F32', {'x_cnn': ('F16', [2, 1, 16, 16], [0] * 512)}),
                ('x_cnn and x_dino differ', {'x_cnn': ('F32', [2, 1, 16, 16], zero)}),
                ('not finite', {'x_cnn': ('F32', [2, 1, 16, 16], [float('nan')] + zero[1:]), 'x_dino': None}),
                ('convert it to F32 or I16', {'volume': ('F64', [2, 16, 16], zero)}),
                (r'volume is not of shape \[D,H,W\]', {'volume': ('F32', [512], zero)}),
                (r'volume is not of shape \[D,H,W\]', {'volume': ('F32', [0, 4, 4], [])}),
                ('no contrast', {'volume': ('F32', [2, 16, 16], zero)})):
            with self.subTest(pattern=pattern, changes=list(changes)):
                self.refused(1, pattern, 'cnn', self.made(changes))

    def test_unreadable_and_broken_files_are_failures(self):
        self.refused(1, 'No such file', 'cnn', self.work / 'none.safetensors')
        broken = self.work / 'broken.safetensors'
        broken.write_bytes(self.slices.read_bytes()[:-1])
        self.refused(1, 'broken.safetensors', 'cnn', broken)

    def test_an_output_folder_that_is_missing_is_a_failure(self):
        self.refused(1, 'none/out', 'cnn', self.slices, out=self.work / 'none' / 'out.st')

    def test_changed_weights_are_refused(self):
        tensors.import_model(SCTD, self.models, 'damaged', 'cnn')
        weights = self.models / 'damaged@1' / 'weights.safetensors'
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
        self.refused(1, 'sha256|SHA-256', 'damaged', self.slices)

    def test_help_is_no_error(self):
        done = subprocess.run([SCTD, 'infer', '--help'], capture_output=True, text=True, check=True)
        self.assertIn('--tap NAME', done.stdout)


if __name__ == '__main__':
    SCTD = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=1)
