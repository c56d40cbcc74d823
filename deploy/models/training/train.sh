#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: deploy/models/training/train.sh [SCTD]
# Make the demonstration models anew, in build/demo: install PyTorch (5 GB), make the patients, train both
# models, import them with `sctd model import`, compare the engine with PyTorch, measure the errors,
# and import them anew with the limits of what was measured.
# SCTD: the program, default build/release/server/sctd.  Takes about half an hour on two cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

sctd=$(realpath "${1:-build/release/server/sctd}")
here=deploy/models/training
work=build/demo
python=$work/venv/bin/python3
mkdir -p "$work"
if ! cmp -s "$here/requirements.txt" "$work/requirements.txt"; then
    rm -rf "$work/venv"
    /usr/bin/python3 -m venv "$work/venv"
    "$python" -m pip install --quiet --disable-pip-version-check --only-binary :all: -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$work/requirements.txt"
fi

"$python" -B "$here/make_data.py" "$sctd" "$work/data"
rm -rf "$work/models"
pids=()
for kind in mr cbct; do
    "$python" -B "$here/train.py" --modality "$kind" --data "$work/data" --output "$work/phantom-demo-$kind" &
    pids+=($!)
done
for pid in "${pids[@]}"; do
    wait "$pid"
done
for kind in mr cbct; do
    model=phantom-demo-$kind
    "$sctd" model import --backbone "$work/$model/backbone.safetensors" --generator "$work/$model/net_G.pth" \
        --recipe "$kind" --name "$model" --version 1 --models-dir "$work/models" \
        --description 'Demonstration on made-up phantoms. Not for patients.'
    "$python" -B "$here/check.py" "$sctd" "$work/models" "$model@1" "$kind" "$work/$model" \
        "$work/$model/demo-$kind.safetensors"
    "$python" -B "$here/evaluate.py" "$sctd" "$work/models" "$model@1" "$kind"
    "$python" -B "$here/limits.py" "$sctd" "$work/models" "$model@1" "$kind" > "$work/$model/limits.json"
    rm -r "$work/models/$model@1"
    "$sctd" model import --backbone "$work/$model/backbone.safetensors" --generator "$work/$model/net_G.pth" \
        --recipe "$kind" --name "$model" --version 1 --models-dir "$work/models" --quality "$work/$model/limits.json" \
        --description 'Demonstration on made-up phantoms. Not for patients.'
done
echo "the models are in $work/models"
