#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tests/gpu/run.sh [--build DIR]
# On a machine with a GPU: build the engine alone, check the CUDA backend against the oracle and the golden
# files in all precisions, look for memory errors and races, measure, compare with PyTorch, and print one
# table.  Needs the CUDA toolkit with cuDNN and cuBLASLt, CMake, Ninja and a C compiler; PyTorch, and
# compute-sanitizer, only for their steps, which say so where they are missing.  Exits with 77 without a GPU.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

build=build/gpu
case "${1:-}" in
'') ;;
--build) build=${2:?tests/gpu/run.sh: --build needs a folder} ;;
-h | --help)
    sed -n '3,7s/^# //p' "$0"
    exit 0
    ;;
*)
    echo "tests/gpu/run.sh: there is no option $1: see tests/gpu/run.sh --help" >&2
    exit 2
    ;;
esac
for bin in /usr/local/cuda/bin /opt/cuda/bin; do
    [ -d "$bin" ] && PATH=$PATH:$bin
done

mkdir -p "$build"
logs=$build/logs
mkdir -p "$logs"
rows=()
failed=0

# row WHAT RESULT: a line of the table.
row() {
    rows+=("$(printf '%-34s %s' "$1" "$2")")
    printf '%-34s %s\n' "$1" "$2"
}

# step NAME COMMAND...: 0, or 1 after its log's end was shown.
step() {
    local name=$1 log status
    shift
    log=$logs/${name// /-}.log
    "$@" >"$log" 2>&1 </dev/null
    status=$?
    if [ "$status" -eq 77 ]; then
        row "$name" "skipped: $(tail -n 1 "$log")"
    elif [ "$status" -ne 0 ]; then
        row "$name" "FAILED ($status), see $log"
        tail -n 30 "$log"
        failed=$((failed + 1))
        return 1
    else
        row "$name" ok
    fi
}

configure_and_build() {
    cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSCTD_SERVER=OFF -DSCTD_ONEDNN=OFF -DSCTD_CUDA=ON &&
        cmake --build "$build" --target sctd_cuda golden test_ops bench_gpu test_conv_graph test_load
}

if ! nvidia-smi -L >"$logs/gpu.log" 2>&1; then
    echo "skipped: no GPU: $(head -n 1 "$logs/gpu.log")"
    exit 77
fi
head -n 1 "$logs/gpu.log"
step build configure_and_build || exit 1

export SCTD_CUDA_LIBRARY=$PWD/$build/lib/libsctd-cuda.so
export SCTD_CUDA_CACHE_DIR=$PWD/$build/cache
mkdir -p "$SCTD_CUDA_CACHE_DIR"
goldens=${SCTD_GOLDENS:-$PWD/../shared/goldens}

step 'oracle, every operation' "$build/tests/oracle/test_ops" cuda
grep -h '^cuda ' "$logs/oracle,-every-operation.log" 2>/dev/null
step 'goldens, own' "$build/tests/golden/golden" own tests/golden/data cuda
step 'goldens, published' "$build/tests/golden/golden" published "$goldens" cuda
grep -hE 'hu mean|cuda fp32: y' "$logs"/goldens,-*.log 2>/dev/null

if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck; do
        for case in 'block mlp' 'fusion cnn' 'decoder step'; do
            # The smallest sizes of each case: SCTD_TEST_SMALL.
            SCTD_TEST_SMALL=1 step "$tool, $case" compute-sanitizer --tool "$tool" --error-exitcode 1 \
                "$build/tests/oracle/test_ops" cuda "$case"
        done
    done
else
    row 'compute-sanitizer' 'skipped: it is not installed'
fi

# bench PRECISION BATCH: one line of JSON a run; the second finds the plan cache filled.
bench() {
    local log="$logs/bench-$1-$2.log"
    for _ in 1 2; do
        "$build/tests/gpu/bench_gpu" vitb16 "$1" "$2" 640 || return 1
    done >"$log" 2>&1
    row "bench $1 batch $2" "$(tail -n 1 "$log")"
}
for precision in fp16 bf16 tf32 fp32; do
    bench "$precision" 64 || {
        row "bench $precision batch 64" "FAILED, see $logs/bench-$precision-64.log"
        failed=$((failed + 1))
    }
done

if python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
    for precision in fp16 bf16 tf32 fp32; do
        log=$logs/torch-$precision.log
        if python3 -B tests/gpu/torch_gpu.py --precision "$precision" --batch 64 >"$log" 2>&1; then
            row "PyTorch $precision batch 64" "$(tail -n 1 "$log")"
        else
            row "PyTorch $precision batch 64" "FAILED, see $log"
            failed=$((failed + 1))
        fi
    done
else
    row PyTorch 'skipped: there is none with CUDA'
fi

printf '\n%s\n' "$(head -n 1 "$logs/gpu.log")"
printf '%s\n' "${rows[@]}"
echo "$failed failed"
[ "$failed" -eq 0 ]
