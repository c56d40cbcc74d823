#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare what PyTorch computes from a demonstration model's checkpoints with what `sctd infer` computes
from the imported model: the network's output within 1e-4, the HU of a volume within the same.

usage: check.py SCTD MODELS_DIR MODEL mr|cbct CHECKPOINTS [IO.safetensors]

CHECKPOINTS is the folder that train.py wrote.  IO.safetensors gets PyTorch's inputs and outputs, which
tests/integration/demo_model_cli.py compares with where there is no PyTorch."""

import pathlib
import sys
import tempfile

import torch

from phantoms import SIZE, make_series, read_series, run

import tensorfile
from dgcf_torch import HU_HIGH, HU_LOW, load_dgcf, prepare, to_hu

TOLERANCE = 1e-4
SEED = 21
GRID = ("--matrix", 64, "--spacing", "6.4,6.4,20", "--slices", 2)
SMALL = 64


def inputs_of(sctd, kind):
    """A volume of two coarse slices, and the middle of one of them at the network's size."""
    with tempfile.TemporaryDirectory() as folder:
        volume = torch.from_numpy(read_series(make_series(sctd, f"{folder}/source", kind, SEED, GRID)))
    _, x_cnn, x_dino = prepare(volume, kind, SIZE, SIZE)
    middle = slice((SIZE - SMALL) // 2, (SIZE + SMALL) // 2)
    return volume, x_cnn, x_dino, [x[:1, :, middle, middle].contiguous() for x in (x_cnn, x_dino)]


def infer(sctd, models, model, backend, tensors):
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/in.safetensors", f"{folder}/out.safetensors"
        tensorfile.write(source, tensors)
        run(sctd, "infer", "--models-dir", models, "--model", model, "--input", source,
            "--output", target, "--precision", "fp32", "--backend", backend)
        return tensorfile.read(target)


@torch.no_grad()
def main():
    sctd, models, model, kind, checkpoints = sys.argv[1:6]
    checkpoints = pathlib.Path(checkpoints)
    dgcf = load_dgcf(
        tensorfile.read(checkpoints / "backbone.safetensors"),
        torch.load(checkpoints / "net_G.pth", weights_only=True),
    )
    volume, x_cnn, x_dino, small = inputs_of(sctd, kind)
    y = dgcf(x_cnn, x_dino)
    y_small = dgcf(*small)
    hu = to_hu(y, *volume.shape[1:])
    worst = 0.0
    for backend in ("cpu", "ref"):
        slices = infer(sctd, models, model, backend, {"x_cnn": small[0], "x_dino": small[1]})
        whole = infer(sctd, models, model, backend, {"volume": volume})
        differences = {
            "slice": (slices["y"] - y_small).abs().max().item(),
            "volume": (whole["y"] - y).abs().max().item(),
            "HU": (whole["hu"] - hu).abs().max().item() * 2 / (HU_HIGH - HU_LOW),
        }
        worst = max(worst, *differences.values())
        text = ", ".join(f"{name} {value:.2e}" for name, value in differences.items())
        print(f"{model}, backend {backend}: at most {text} from PyTorch")
    if len(sys.argv) > 6:
        io = {"x_cnn": small[0], "x_dino": small[1], "y": y_small, "volume": volume, "hu": hu}
        tensorfile.write(sys.argv[6], io)
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
