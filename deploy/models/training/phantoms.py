# SPDX-License-Identifier: Apache-2.0
"""The made-up patients of `sctd phantom` as tensors."""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pydicom
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests" / "golden"))
from dgcf_torch import prepare, resize  # noqa: E402

SIZE = 256
MODALITIES = ("mr", "cbct")


def run(*words):
    """What the command printed; its own error text if it fails."""
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words[:2]))} failed: {done.stderr.strip()}")
    return done.stdout


def read_series(folder):
    """The values of a series, [slice, row, column], from feet to head, as float32."""
    slices = [pydicom.dcmread(path) for path in pathlib.Path(folder).glob("*.dcm")]
    slices.sort(key=lambda s: float(s.ImagePositionPatient[2]))
    return np.stack(
        [
            s.pixel_array * float(s.get("RescaleSlope", 1)) + float(s.get("RescaleIntercept", 0))
            for s in slices
        ]
    ).astype(np.float32)


def make_series(sctd, folder, kind, seed, grid=()):
    """`sctd phantom` with the words `grid`, into `folder`."""
    run(sctd, "phantom", "--kind", kind, "--seed", seed, "--output", folder, *grid)
    return folder


def patient(sctd, seed, grid):
    """x_cnn of both modalities and the CT in HU, each [slices, 1, SIZE, SIZE], as the network of
    the demonstration sees them."""
    with tempfile.TemporaryDirectory() as folder:
        volumes = {
            kind: torch.from_numpy(read_series(make_series(sctd, f"{folder}/{kind}", kind, seed, grid)))
            for kind in (*MODALITIES, "ct")
        }
    made = {m: prepare(volumes[m], m, SIZE, SIZE)[1].half() for m in MODALITIES}
    return made | {"ct": resize(volumes["ct"][:, None], SIZE, SIZE).half()}
