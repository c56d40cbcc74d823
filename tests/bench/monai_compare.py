#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The numbers of sctd evaluate against MONAI's own metrics on a random and a smooth pair and on label maps: prints a table of
both and how far they are apart.  MONAI and PyTorch are none of the tests' packages: run it with an interpreter that has them.

usage: monai_compare.py /path/to/sctd"""
import json
import pathlib
import subprocess
import sys
import tempfile

import monai
import numpy as np
import torch
from monai.metrics import (DiceMetric, HausdorffDistanceMetric, MAEMetric, MultiScaleSSIMMetric, PSNRMetric, RMSEMetric,
                           SSIMMetric, SurfaceDistanceMetric)
from scipy import ndimage

LOW, HIGH = -1024.0, 3071.0
SPACING = (1.5, 1.25, 2.5)
TYPES = {'float32': 'MET_FLOAT', 'uint8': 'MET_UCHAR'}


def write(path, voxels):
    """A MetaImage."""
    kind = TYPES[str(voxels.dtype)]
    dim, spacing = ' '.join(map(str, voxels.shape[::-1])), ' '.join(map(str, SPACING))
    head = (f'ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = False\n'
            f'TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\nElementSpacing = {spacing}\nDimSize = {dim}\n'
            f'ElementType = {kind}\nElementDataFile = LOCAL\n')
    path.write_bytes(head.encode('ascii') + voxels.tobytes())
    return path


def evaluate(sctd, folder, reference, synthetic, labels):
    paths = [write(folder / f'{name}.mha', v) for name, v in
             (('r', reference), ('s', synthetic), ('m', np.ones(reference.shape, np.uint8)), ('a', labels[0]), ('b', labels[1]))]
    done = subprocess.run([sctd, 'evaluate', '--json', '--reference', paths[0], '--synthetic', paths[1], '--mask', paths[2],
                           '--labels', paths[3], paths[4]], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)['cases'][0]


def tensor(voxels):
    return torch.from_numpy(np.ascontiguousarray(voxels, np.float64))[None, None]


def one_hot(labels, n):
    return torch.from_numpy(np.stack([labels == k for k in range(n + 1)]).astype(np.float64))[None]


def of_images(reference, synthetic):
    plain = tensor(synthetic), tensor(reference)
    clipped = tuple(tensor(np.clip(v.astype(np.float64), LOW, HIGH) - LOW) for v in (synthetic, reference))
    same = {'data_range': HIGH - LOW, 'spatial_dims': 3, 'kernel_type': 'uniform'}
    return {'mae_whole': float(MAEMetric()(*plain)), 'rmse_whole': float(RMSEMetric()(*plain)),
            'psnr_whole': float(PSNRMetric(max_val=HIGH - LOW)(*clipped)),
            'ssim_whole': float(SSIMMetric(win_size=7, **same)(*clipped)),
            # with this k2 the covariance is a sample's, as in scikit-image: (343 / 342) cov + C2 over the same
            'ssim_whole sample': float(SSIMMetric(win_size=7, k2=0.03 * (342 / 343) ** 0.5, **same)(*clipped)),
            'ms_ssim_whole': float(MultiScaleSSIMMetric(kernel_size=7, **same)(*clipped))}


def of_labels(labels, n):
    maps = one_hot(labels[1], n), one_hot(labels[0], n)
    spacing = SPACING[::-1]
    found = {'dice': DiceMetric(include_background=False)(*maps),
             'hd95': HausdorffDistanceMetric(include_background=False, percentile=95)(*maps, spacing=spacing),
             'msd': SurfaceDistanceMetric(include_background=False, symmetric=True)(*maps, spacing=spacing)}
    return {name: values[0].tolist() for name, values in found.items()}


def make(rng, dim, noise):
    smooth = ndimage.gaussian_filter(rng.normal(0, 1, dim), 2)
    reference = smooth / smooth.std() * 500 - 100
    synthetic = reference + rng.normal(20, noise, dim)
    cells = [ndimage.gaussian_filter(rng.normal(0, 1, dim), 4) for _ in range(2)]
    other = [c + 2 * c.std() * ndimage.gaussian_filter(rng.normal(0, 3, dim), 2) for c in cells]
    labels = [np.where(c[0] > 0.5 * cells[0].std(), 1, np.where(c[1] > 0.5 * cells[1].std(), 2, 0)).astype(np.uint8)
              for c in (cells, other)]
    return reference.astype(np.float32), synthetic.astype(np.float32), labels


def compare(what, name, ours, theirs):
    off = abs(ours - theirs) / max(abs(theirs), 1e-12)
    print(f'{what:8} {name:18} {ours:18.12g} {theirs:18.12g} {off:9.1e}')


def main():
    sctd = sys.argv[1]
    print(f'MONAI {monai.__version__}, PyTorch {torch.__version__}, float64')
    print(f'{"pair":8} {"number":18} {"sctd":>18} {"MONAI":>18} {"relative":>9}')
    rng = np.random.default_rng(11)
    for what, dim, noise in (('even', (112, 120, 128), 80), ('odd', (113, 121, 119), 20)):
        reference, synthetic, labels = make(rng, dim, noise)
        with tempfile.TemporaryDirectory() as folder:
            case = evaluate(sctd, pathlib.Path(folder), reference, synthetic, labels)
        for name, value in of_images(reference, synthetic).items():
            compare(what, name, case['metrics'][name.split()[0]], value)
        for name, values in of_labels(labels, 2).items():
            for row, value in zip(case['labels'], values):
                ours = row.get(name, row.get(f'{name}_mm'))
                compare(what, f'{name} of label {row["label"]}', ours, value)


if __name__ == '__main__':
    main()
