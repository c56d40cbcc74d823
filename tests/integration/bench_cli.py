#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sctd bench engine from outside.  usage: bench_cli.py /path/to/sctd [unittest options]"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

from kit import tensors

SCTD = None
KEYS = {'model', 'version', 'height', 'width', 'backend', 'precision', 'arithmetic', 'cpu', 'threads', 'batch',
        'slices', 'slices_per_s', 's_per_slice', 'stage_ms', 'peak_mib', 'load_ms', 'gflop_per_slice', 'tflops',
        'peak_tflops', 'peak_share', 'backend_because', 'first_run_ms'}
GPU_KEYS = {'device', 'device_mib'}


class Bench(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.work = pathlib.Path(self.folder.name)
        self.addCleanup(self.folder.cleanup)

    def bench(self, *words, status=0):
        done = subprocess.run([SCTD, 'bench', 'engine', *map(str, words)], capture_output=True, text=True,
                              check=False, timeout=240, env=os.environ | {'TMPDIR': str(self.work)})
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout if status == 0 else done.stderr

    def test_ingest_counts_what_stock_senders_send(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([SCTD, 'bench', 'ingest', '--images', '64', '--senders', '2', '--folder', folder,
                                   '--json'], capture_output=True, text=True, check=True)
            facts = json.loads(done.stdout)
            self.assertEqual((facts['images'], facts['senders']), (64, 2))
            self.assertAlmostEqual(facts['images_per_s'], 64 / facts['seconds'], delta=0.01 * facts['images_per_s'])
            self.assertEqual(list(pathlib.Path(folder).iterdir()), [])

    def test_a_synthetic_model_is_measured_and_removed(self):
        facts = json.loads(self.bench('--synthetic', 'tiny', '--slices', 3, '--batch', 2, '--threads', 2, '--json'))
        self.assertEqual(set(facts) - GPU_KEYS, KEYS)
        self.assertEqual(facts['model'], 'synthetic-tiny')
        self.assertEqual((facts['slices'], facts['batch'], facts['threads']), (3, 2, 2))
        self.assertEqual(set(facts['stage_ms']), {'vit', 'encoder', 'fusion', 'decoder'})
        for value in facts['stage_ms'].values():
            self.assertGreater(value, 0)
        for key in ('slices_per_s', 'peak_mib', 'load_ms', 'first_run_ms', 'gflop_per_slice', 'tflops'):
            self.assertGreater(facts[key], 0, key)
        self.assertAlmostEqual(facts['slices_per_s'] * facts['s_per_slice'], 1, 5)
        self.assertLess(sum(facts['stage_ms'].values()), 1000 * facts['s_per_slice'] * 1.05)
        self.assertAlmostEqual(facts['tflops'], facts['gflop_per_slice'] * facts['slices_per_s'] / 1000, 6)
        self.assertEqual(list(self.work.iterdir()), [])

    def test_an_interrupted_one_leaves_nothing(self):
        for end, pattern in ((signal.SIGINT, '*'), (signal.SIGTERM, '*/weights*'), (signal.SIGHUP, '*/manifest.json')):
            with self.subTest(pattern), subprocess.Popen(
                    [SCTD, 'bench', 'engine', '--synthetic', 'tiny', '--slices', '100000'], stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE, text=True, env=os.environ | {'TMPDIR': str(self.work)}) as child:
                while child.poll() is None and not list(self.work.glob(pattern)):
                    pass
                child.send_signal(end)
                told = child.stderr.read()
            self.assertEqual(child.returncode, -end)
            self.assertRegex(told, rf'random weights pass through {self.work}/sctd-bench\.\d+\.\d+\n')
            self.assertEqual(list(self.work.iterdir()), [])

    def test_what_a_killed_one_left_is_removed_by_the_next(self):
        with subprocess.Popen([SCTD, 'bench', 'engine', '--synthetic', 'tiny', '--slices', '100000'],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env=os.environ | {'TMPDIR': str(self.work)}) as child:
            while child.poll() is None and not list(self.work.iterdir()):
                pass
            child.kill()
        self.assertEqual(len(list(self.work.iterdir())), 1)
        self.bench('--synthetic', 'tiny', '--slices', 1)
        self.assertEqual(list(self.work.iterdir()), [])

    def test_a_model_is_measured(self):
        tensors.import_model(SCTD, self.work / 'models', 'cnn', 'cnn')
        text = self.bench('--model', 'cnn', '--models-dir', self.work / 'models', '--slices', 1, '--precision', 'fp32')
        for word in ('cnn@1', 'slices/s', 'vit', 'encoder', 'fusion', 'decoder', 'MiB', 'the whole process'):
            self.assertIn(word, text)

    def test_errors_are_usage_errors(self):
        for pattern, words in (('either --model or --synthetic', []),
                               ('either --model or --synthetic', ['--model', 'x', '--synthetic', 'tiny']),
                               ('use one of', ['--synthetic', 'huge']),
                               ('whole number', ['--synthetic', 'tiny', '--slices', '0']),
                               ('whole number', ['--synthetic', 'tiny', '--batch', '0']),
                               ('use one of', ['--synthetic', 'tiny', '--precision', 'fp8']),
                               ('operand', ['--synthetic', 'tiny', 'more']),
                               ('no model', ['--model', 'none', '--models-dir', self.work])):
            with self.subTest(words):
                self.assertRegex(self.bench(*words, status=2), r'\Asctd bench engine: [^\n]*' + pattern + r'[^\n]*\n\Z')

    def test_a_temporary_folder_that_takes_nothing_is_a_failure(self):
        self.folder.cleanup()
        self.assertRegex(self.bench('--synthetic', 'tiny', status=1), 'set TMPDIR')

    def test_bench_without_a_word_says_what_there_is(self):
        done = subprocess.run([SCTD, 'bench'], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn('engine', done.stderr)
        done = subprocess.run([SCTD, 'help', 'bench', 'engine'], capture_output=True, text=True, check=True)
        self.assertIn('--synthetic', done.stdout)


if __name__ == '__main__':
    SCTD = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=1)
