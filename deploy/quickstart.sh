#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: deploy/quickstart.sh
# On a bare Debian 12: install packages, build the program, import a small model, run a volume through it,
# compare with the known result, convert a made-up MR series, measure the speed at the published size, and
# say what is still missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() {
    printf '\n== %s\n' "$*"
}

build=build/quickstart
sctd=$build/server/sctd
data=tests/golden/data
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say 'Packages'
deploy/install-packages.sh gcc g++ cmake ninja-build pkg-config python3 libdnnl-dev libdcmtk-dev libopenjp2-7-dev libpng-dev \
    libcyaml-dev libuv1-dev libsqlite3-dev
echo 'all are there'

say 'Build'
log=$work/build.log
if ! { cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSCTD_TESTS=OFF &&
    cmake --build "$build" -j "$(nproc)"; } >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    exit 1
fi
"$sctd" --version

say 'A model from PyTorch files (small, with random weights: its images mean nothing)'
"$sctd" model import --backbone "$data/vit.pth" --generator "$data/best_net_G.pth" --recipe mr --size 32x32 \
    --name quickstart --version 1 --models-dir "$work/models"
"$sctd" model list --models-dir "$work/models"

say 'A volume to HU'
"$sctd" infer --model quickstart --models-dir "$work/models" --precision fp32 \
    --input "$data/pipeline-mr.safetensors" --output "$work/out.safetensors"
PYTHONPATH=tests/integration python3 -B - "$work/out.safetensors" "$data/pipeline-mr.safetensors" <<'PYTHON'
import sys

from kit import tensors

ours, published = (tensors.read(path)[0]['hu'] for path in sys.argv[1:])
difference = tensors.worst(ours, published)
print(f'HU on a grid of {ours[1]}: at most {difference:.4f} HU from the PyTorch model')
sys.exit(difference > 0.05)
PYTHON

say 'A made-up MR series to a synthetic CT series'
"$sctd" phantom --kind mr --matrix 128 --slices 24 --output "$work/mr"
"$sctd" convert --model quickstart --models-dir "$work/models" --input "$work/mr" --output "$work/sct" \
    --preview "$build/preview.png"
echo "a picture of both: $build/preview.png"

say 'Speed at the published size (ViT-B/16, base 64, 256x256; random weights)'
"$sctd" bench engine --synthetic vitb16 --slices 8

say 'What is still missing'
cat <<'TEXT'
The daemon: sctd takes no DICOM from the network yet, sends none, and has no HTTP API. What works is what ran
above: importing models, converting files, measuring.

Go on:
  build/quickstart/server/sctd --help
  README.md                 how to import your own checkpoints
  tests/run.sh              every test
TEXT
