#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measure a demonstration model on patients that it was not trained on: `sctd convert` of
`sctd phantom`'s series against its exact CT.  Prints the table of MODEL_CARD.md; exit status 1 if an
error is above its bound.

usage: evaluate.py SCTD MODELS_DIR MODEL mr|cbct [FIRST_SEED [COUNT]]"""

import pathlib
import sys
import tempfile

import numpy as np

from phantoms import make_series, read_series, run

BOUND = {"mr": 50.0, "cbct": 40.0}  # HU, of the mean absolute error in the body
AIR = -300.0
TISSUES = {"soft tissue": (-200.0, 200.0), "bone": (200.0, np.inf), "gas": (-np.inf, -200.0)}
ACCUMULATE = np.logical_and.accumulate


def body_of(ct):
    """What the air around the patient leaves: all that cannot be reached through air from the edge of
    the slice."""
    air = ct < AIR
    outside = np.zeros_like(air)
    for axis in (1, 2):
        outside |= ACCUMULATE(air, axis) | np.flip(ACCUMULATE(np.flip(air, axis), axis), axis)
    size = -1
    while size != (size := int(outside.sum())):
        for axis in (1, 2):
            for step in (-1, 1):
                outside |= air & np.roll(outside, step, axis)
    return ~outside


def errors_of(sctd, models, model, kind, seed):
    """Mean absolute errors in HU in the body and its tissues (NaN where there is none), and what water
    or the source itself in place of the sCT would give."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        source = make_series(sctd, folder / "source", kind, seed)
        ct = read_series(make_series(sctd, folder / "ct", "ct", seed))
        run(sctd, "convert", "--models-dir", models, "--model", model, "--input", source,
            "--output", folder / "sct", "--threads", 1)
        made = max((folder / "sct").iterdir(), key=lambda f: len(list(f.iterdir())))  # not its quality page
        error = np.abs(read_series(made) - ct)
        asis = np.abs(read_series(source) - ct)
    body = body_of(ct)
    row = {"body": error[body].mean()}
    for name, (low, high) in TISSUES.items():
        here = body & (ct > low) & (ct <= high)
        row[name] = error[here].mean() if here.any() else np.nan
    row["water fill"] = np.abs(ct[body]).mean()
    if kind == "cbct":
        row["source as it is"] = asis[body].mean()
    return row


def print_row(name, values):
    print(f"| {name} |", " | ".join(f"{v:.1f}" for v in values), "|", flush=True)


def main():
    sctd, models, model, kind = sys.argv[1:5]
    first = int(sys.argv[5]) if len(sys.argv) > 5 else 1
    count = int(sys.argv[6]) if len(sys.argv) > 6 else 20
    rows = []
    for seed in range(first, first + count):
        row = errors_of(sctd, models, model, kind, seed)
        if seed == first:
            print("| seed |", " | ".join(row), "|")
            print("|", " | ".join(["---"] * (1 + len(row))), "|")
        rows.append(list(row.values()))
        print_row(seed, rows[-1])
    print_row("mean", np.nanmean(rows, 0))
    print_row("worst", np.nanmax(rows, 0))
    body, water = np.mean([r[0] for r in rows]), np.mean([r[4] for r in rows])
    good = body <= BOUND[kind] and body <= 0.5 * water
    print(f"{model}: {body:.1f} HU in the body, water fill {water:.1f} HU: "
          f"{'within' if good else 'ABOVE'} {BOUND[kind]:.0f} HU and half of the water fill")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
