#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the patients that the demonstration models are trained on; those that are there stay.

usage: make_data.py SCTD FOLDER"""

import concurrent.futures
import pathlib
import sys

import torch

from phantoms import patient

SEEDS = range(1001, 1111)
# Of ten patients six lie on the grid that `sctd phantom` makes unasked, the others on these.
GRIDS = {
    3: ("--matrix", 128, "--spacing", "3.2,3.2,5"),
    5: ("--matrix", 192, "--spacing", "2,2,4"),
    7: ("--matrix", 320, "--spacing", "1.4,1.4,4"),
    9: ("--matrix", 128, "--slices", 24),
}
KEEP = 32  # slices of a patient


def make(sctd, path, seed):
    made = patient(sctd, seed, GRIDS.get(seed % 10, ()))
    step = -(-len(made["ct"]) // KEEP)
    torch.save({name: t[seed % step :: step].clone() for name, t in made.items()}, path)


def main():
    sctd, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        paths = {seed: folder / f"{seed}.pt" for seed in SEEDS}
        work = [pool.submit(make, sctd, p, s) for s, p in paths.items() if not p.exists()]
        for done in concurrent.futures.as_completed(work):
            done.result()
    print(f"{len(SEEDS)} patients, {len(work)} of them new")


if __name__ == "__main__":
    main()
