#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A generator that uses no DINO level, the encoder and the decoder alone, against numpy.
usage: plain_cnn_cli.py /path/to/sctd [unittest options]"""
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from kit import tensors, venv

venv.enter()

import numpy  # noqa: E402

SCTD = None
ERF = numpy.vectorize(math.erf)


def load(path):
    return {name: numpy.array(values, dtype=numpy.float64).reshape(shape)
            for name, (dtype, shape, values) in tensors.read(path)[0].items() if dtype == 'F32'}


def gelu(x):
    return 0.5 * x * (1 + ERF(x / math.sqrt(2)))


def conv3(x, weight):
    """torch.nn.Conv2d(..., 3, padding=1), [n, c, h, w]"""
    h, w = x.shape[2:]
    padded = numpy.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return sum(numpy.einsum('oi,nihw->nohw', weight[:, :, i, j], padded[:, :, i:i + h, j:j + w])
               for i in range(3) for j in range(3))


def halves(x):
    """torch.nn.MaxPool2d(2)"""
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))


def doubled(x):
    """torch.nn.Upsample(scale_factor=2, mode='bilinear', align_corners=False)"""
    for axis in (2, 3):
        size = x.shape[axis]
        at = numpy.clip((numpy.arange(2 * size) + 0.5) / 2 - 0.5, 0, size - 1)
        low = at.astype(int)
        part = (at - low).reshape([-1 if i == axis else 1 for i in range(4)])
        x = x.take(low, axis) * (1 - part) + x.take(numpy.minimum(low + 1, size - 1), axis) * part
    return x


class Network:
    def __init__(self, weights):
        self.weights = weights

    def batch_norm(self, name, x):
        w, b, mean, var = (self.weights[f'{name}.{part}'][:, None, None]
                           for part in ('weight', 'bias', 'running_mean', 'running_var'))
        return (x - mean) / numpy.sqrt(var + 1e-5) * w + b

    def conv_norm(self, name, conv, norm, x):
        return self.batch_norm(f'{name}.{norm}', conv3(x, self.weights[f'{name}.{conv}.weight']))

    def conv_norm_gelu(self, name, x):
        return gelu(self.conv_norm(name + '.block', 0, 1, x))

    def residual(self, name, x):
        return x + self.conv_norm(name + '.block', 3, 4, gelu(self.conv_norm(name + '.block', 0, 1, x)))

    def encoder(self, x):
        levels = []
        for level in (1, 2, 3, 4):
            first = 0 if level == 1 else 1
            x = self.conv_norm_gelu(f'encoder.enc{level}.{first}', x if level == 1 else halves(x))
            x = self.residual(f'encoder.enc{level}.{first + 1}', x)
            levels.append(x)
        return levels

    def decoder(self, levels):
        x = levels[3]
        for up in (1, 2, 3):
            x = self.residual(f'decoder.up{up}.2', self.conv_norm_gelu(f'decoder.up{up}.1', doubled(x)))
            x = x + levels[3 - up]
        x = conv3(self.conv_norm_gelu('decoder.out.0', x), self.weights['decoder.out.1.weight'])
        return numpy.tanh(x + self.weights['decoder.out.1.bias'][0])


class PlainCnn(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.work = pathlib.Path(folder.name)
        cls.models = cls.work / 'models'
        source, _ = tensors.read(tensors.GOLDEN / 'generator-none.safetensors')
        tensors.write(cls.work / 'generator.safetensors',
                      {n: t for n, t in source.items() if t[0] == 'F32' and not n.startswith(('proj_f', 'fuse'))})
        subprocess.run([SCTD, 'model', 'import', '--backbone', tensors.GOLDEN / 'vit-meta.safetensors', '--generator',
                        cls.work / 'generator.safetensors', '--recipe', 'mr', '--name', 'plain', '--version', '1',
                        '--models-dir', cls.models], check=True, capture_output=True)

    def run_it(self, *words):
        return subprocess.run([SCTD, *map(str, words), '--models-dir', self.models], capture_output=True, text=True,
                              check=False, timeout=120)

    def test_numpy_computes_what_the_published_network_does(self):
        network = Network(load(tensors.GOLDEN / 'generator-cnn.safetensors'))
        golden = load(tensors.GOLDEN / 'io-cnn-32x48.safetensors')
        for level, got in enumerate(network.encoder(golden['x_cnn']), 1):
            self.assertLess(abs(got - golden[f'gen.enc{level}']).max(), 1e-4)
        got = network.decoder([golden[f'gen.fuse{level}'] for level in (1, 2, 3, 4)])
        self.assertLess(abs(got - golden['y']).max(), 2e-5)

    def test_the_model_says_that_it_uses_no_level(self):
        facts = json.loads(self.run_it('model', 'show', 'plain', '--json').stdout)
        self.assertEqual(facts['network']['generator'],
                         {'base_channels': 4, 'fusion': 'none', 'levels': [False] * 4, 'cnn': True})

    def test_its_output_is_the_decoder_of_the_encoder(self):
        network = Network(load(self.work / 'generator.safetensors'))
        source = tensors.GOLDEN / 'io-none-32x48.safetensors'
        levels = network.encoder(load(source)['x_cnn'])
        for words in (['--backend', 'ref'], ['--precision', 'fp32']):
            done = self.run_it('infer', '--model', 'plain', '--input', source, '--output', self.work / 'out', *words,
                               '--tap', 'gen.enc4')
            self.assertEqual(done.returncode, 0, done.stderr)
            got = load(self.work / 'out')
            self.assertLess(abs(got['gen.enc4'] - levels[3]).max(), 1e-4)
            self.assertLess(abs(got['y'] - network.decoder(levels)).max(), 2e-5)

    def test_it_runs_no_backbone(self):
        done = self.run_it('infer', '--model', 'plain', '--input', tensors.GOLDEN / 'io-none-32x48.safetensors',
                           '--output', self.work / 'out', '--tap', 'vit.feature11')
        self.assertEqual(done.returncode, 2)
        self.assertIn('no tap "vit.feature11"', done.stderr)
        facts = json.loads(self.run_it('bench', 'engine', '--model', 'plain', '--slices', 1, '--json').stdout)
        self.assertEqual((facts['stage_ms']['vit'], facts['stage_ms']['fusion']), (0, 0))


if __name__ == '__main__':
    SCTD = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=1)
