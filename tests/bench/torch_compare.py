#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time DGCF in PyTorch at the published size (ViT-B/16, base 64, 256x256, random weights) on the
CPU, and print one line of JSON.

usage: torch_compare.py [--threads N] [--runs N]"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "golden"))
from dgcf_torch import Dgcf, DinoV3, Generator, GeneratorConfig, VitConfig  # noqa: E402

SIZE = 256
PRECISIONS = {
    "fp32": contextlib.nullcontext,
    "bf16": lambda: torch.autocast("cpu", torch.bfloat16),
}
BATCHES = (1, 4)


def seconds_a_slice(model, precision, batch, runs):
    """The median over runs, after one that is not counted."""
    x = torch.randn(batch, 1, SIZE, SIZE).to(memory_format=torch.channels_last)
    times = []
    with torch.inference_mode(), PRECISIONS[precision]():
        for _ in range(runs + 1):
            start = time.perf_counter()
            model(x, x)
            times.append((time.perf_counter() - start) / batch)
    return statistics.median(times[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    load = os.getloadavg()[0]
    model = Dgcf(DinoV3(VitConfig()), Generator(GeneratorConfig())).eval()
    model = model.to(memory_format=torch.channels_last)
    result = {
        f"{precision}_batch{batch}_s": round(seconds_a_slice(model, precision, batch, args.runs), 4)
        for precision in PRECISIONS
        for batch in BATCHES
    }
    facts = dict(
        torch=torch.__version__,
        cpu=torch.backends.cpu.get_cpu_capability(),
        threads=args.threads,
        load_average=round(load, 2),
    )
    print(json.dumps(facts | result))


main()
