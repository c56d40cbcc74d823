#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time DGCF in PyTorch on a GPU at the published size (ViT-B/16, base 64, 256x256, random weights),
channels last and compiled with max-autotune, and print one line of JSON.

usage: torch_gpu.py [--precision fp32|tf32|fp16|bf16] [--batch N] [--runs N] [--eager]"""

import argparse
import json
import pathlib
import statistics
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "golden"))
from dgcf_torch import Dgcf, DinoV3, Generator, GeneratorConfig, VitConfig  # noqa: E402

SIZE = 256
TYPES = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def seconds_a_slice(run, x, runs):
    """The median over runs, after some that are not counted."""
    times = []
    for i in range(runs + 3):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run(x, x)
        torch.cuda.synchronize()
        if i >= 3:
            times.append((time.perf_counter() - start) / x.shape[0])
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", choices=TYPES, default="fp16")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--eager", action="store_true", help="without torch.compile")
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = args.precision == "tf32"
    torch.backends.cudnn.allow_tf32 = args.precision == "tf32"
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(1)
    kind = TYPES[args.precision]
    model = Dgcf(DinoV3(VitConfig()), Generator(GeneratorConfig())).eval()
    model = model.to(device="cuda", dtype=kind, memory_format=torch.channels_last)
    run = model if args.eager else torch.compile(model, mode="max-autotune")
    x = torch.randn(args.batch, 1, SIZE, SIZE, device="cuda", dtype=kind)
    x = x.to(memory_format=torch.channels_last)
    with torch.inference_mode():
        seconds = seconds_a_slice(run, x, args.runs)
    print(json.dumps({
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(),
        "precision": args.precision,
        "compiled": not args.eager,
        "batch": args.batch,
        "slices_per_s": round(1 / seconds, 1),
    }))


main()
