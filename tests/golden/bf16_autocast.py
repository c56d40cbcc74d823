#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measure the error of PyTorch's bf16 autocast on the golden volumes: what the engine's bf16 is
compared with.  Writes the table bf16_autocast.inc to standard output.

usage: bf16_autocast.py PUBLISHED_FOLDER > bf16_autocast.inc"""

import pathlib
import sys

import torch

import tensorfile
from dgcf_torch import load_dgcf, prepare, to_hu

HEAD = """/* SPDX-License-Identifier: Apache-2.0 */
/* Written by bf16_autocast.py: |delta HU| of torch.autocast("cpu", torch.bfloat16) against the
 * golden hu; PyTorch {version}, {arithmetic}.  Set, file, mean, 99.9th percentile. */
"""


def percentile(values, percent):
    """Interpolated linearly between the order statistics."""
    ordered = values.flatten().double().sort().values
    place = percent / 100 * (len(ordered) - 1)
    low = int(place)
    step = ordered[min(low + 1, len(ordered) - 1)] - ordered[low]
    return float(ordered[low] + step * (place - low))


def autocast_error(folder, modality):
    model = load_dgcf(
        tensorfile.read(folder / "vit-meta.safetensors"),
        tensorfile.read(folder / "generator-pipeline.safetensors"),
    )
    golden = tensorfile.read(folder / f"pipeline-{modality}.safetensors")
    _, x_cnn, x_dino = prepare(golden["volume"], modality, *golden["x_cnn"].shape[2:])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        y = model(x_cnn, x_dino)
    error = (to_hu(y.float(), *golden["volume"].shape[1:]) - golden["hu"]).abs()
    return float(error.mean()), percentile(error, 99.9)


def main():
    torch.set_num_threads(1)
    sets = {"own": pathlib.Path(__file__).parent / "data", "published": pathlib.Path(sys.argv[1])}
    print(HEAD.format(version=torch.__version__, arithmetic=torch.backends.cpu.get_cpu_capability()), end="")
    for name, folder in sets.items():
        for modality in ("mr", "cbct"):
            mean, high = autocast_error(folder, modality)
            print(f'{{"{name}", "pipeline-{modality}.safetensors", {{{mean:.3f}, {high:.3f}}}}},')


main()
