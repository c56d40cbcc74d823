#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Find the limits of a demonstration model (docs/quality.md): `sctd convert` of patients that it was not trained on, and
`sctd model limits` of what the checks measured.  The model must have limits, the default ones for instance.  Prints
what `sctd model import --quality` reads; standard error gets the values, one line for each patient.

usage: limits.py SCTD MODELS_DIR MODEL mr|cbct [FIRST_SEED [COUNT]]"""

import json
import pathlib
import subprocess
import sys
import tempfile


def run(*words, may_fail=False):
    """What the command printed; its own error text if it fails."""
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False)
    if done.returncode != 0 and not may_fail:
        sys.exit(f"{' '.join(map(str, words[:2]))} failed: {done.stderr.strip()}")
    return done.stdout


def report_of(sctd, models, model, kind, seed, folder):
    """The report's file of one patient's sCT."""
    run(sctd, "phantom", "--kind", kind, "--seed", seed, "--output", folder / "source")
    run(sctd, "convert", "--models-dir", models, "--model", model, "--input", folder / "source", "--output",
        folder / "sct", may_fail=True)  # as it does where an sCT needs review
    (report,) = (folder / "sct").rglob("quality.json")
    checks = json.loads(report.read_text())["checks"]
    print(seed, *(f"{c['check']}{'-' if c['what'] else ''}{c['what']} {c['value']:.3g}" for c in checks), file=sys.stderr,
          flush=True)
    return report


def main():
    sctd, models, model, kind = sys.argv[1:5]
    first = int(sys.argv[5]) if len(sys.argv) > 5 else 1
    count = int(sys.argv[6]) if len(sys.argv) > 6 else 20
    with tempfile.TemporaryDirectory() as folder:
        reports = [report_of(sctd, models, model, kind, seed, pathlib.Path(folder) / str(seed))
                   for seed in range(first, first + count)]
        print(run(sctd, "model", "limits", *reports), end="")


if __name__ == "__main__":
    main()
