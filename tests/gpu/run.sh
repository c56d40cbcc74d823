#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tests/gpu/run.sh [--build DIR] [--seconds N]
# On a machine with a GPU: build the engine alone, check the CUDA backend against the golden files and the oracle in all
# precisions, look for memory errors and races, measure, compare with PyTorch, and print one table, what tells most
# first.  What it checks first is what a daemon runs: engines that were measured and kept in a plan cache, and the same
# from that cache; a job through the daemon too, where build/release has one ($SCTD_PROGRAM).  A part that fails, hangs
# or lacks its tool says so, and the others go on.  --seconds: parts that would begin later than that are left out.
# Needs the CUDA toolkit with cuDNN and cuBLASLt, CMake and a C compiler; PyTorch and compute-sanitizer only for their
# parts.  Exits with 0, 1 if a part failed, 77 without a GPU.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

build=build/gpu
last_start=
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=${2:?tests/gpu/run.sh: --build needs a folder} ;;
    --seconds) last_start=${2:?tests/gpu/run.sh: --seconds needs a number} ;;
    -h | --help)
        sed -n '3,10s/^# //p' "$0"
        exit 0
        ;;
    *)
        echo "tests/gpu/run.sh: there is no option $1: see tests/gpu/run.sh --help" >&2
        exit 2
        ;;
    esac
    shift 2
done
case $last_start in *[!0-9]*)
    echo "tests/gpu/run.sh: --seconds $last_start: a whole number" >&2
    exit 2
    ;;
esac
for bin in /usr/local/cuda/bin /opt/cuda/bin; do
    [ -d "$bin" ] && PATH=$PATH:$bin
done

build=$(realpath -m "$build")
logs=$build/logs
mkdir -p "$logs" || exit 1
rows=()
failed=0

# row WHAT RESULT: a line of the table.
row() {
    rows+=("$(printf '%-38s %s' "$1" "$2")")
    printf '[%4d s] %-38s %s\n' "$SECONDS" "$1" "$2"
}

# part SECONDS NAME COMMAND...: run it within its time; its row is RESULT, a command that reads the log, or "ok".
part() {
    local seconds=$1 name=$2 log status
    shift 2
    log=$logs/$(printf '%s' "$name" | tr -c 'A-Za-z0-9\n' '-').log
    if [ -n "$no_gpu" ]; then
        row "$name" "skipped: no GPU"
        return 0
    fi
    if [ -n "$last_start" ] && [ "$SECONDS" -gt "$last_start" ]; then
        row "$name" "skipped: $last_start s are over"
        return 0
    fi
    if [ -n "${needs:-}" ] && [ ! -x "$needs" ]; then
        row "$name" "skipped: $needs was not built"
        return 0
    fi
    timeout --kill-after=10 "$seconds" "$@" >"$log" 2>&1 </dev/null
    status=$?
    case $status in
    0) row "$name" "$(${result:-echo ok} "$log")" ;;
    77)
        # There is a GPU: a backend that does not find it is no reason to skip.
        if grep -qE 'cannot be used here|no backend "cuda"' "$log"; then
            row "$name" "FAILED: $(tail -n 1 "$log" | sed 's/^skipped: //')"
            failed=$((failed + 1))
            return 1
        fi
        row "$name" "skipped: $(tail -n 1 "$log" | sed 's/^skipped: //')"
        ;;
    *)
        if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
            row "$name" "FAILED: not through after $seconds s, see $log"
        else
            row "$name" "FAILED ($status), see $log"
        fi
        tail -n 15 "$log"
        failed=$((failed + 1))
        return 1
        ;;
    esac
}

last_line() { tail -n 1 "$1"; }
ok() { echo ok; }
figures() { { grep -h '^from fp32' "$1"; tail -n 1 "$1"; } | tr '\n' ' '; }
# The worst of the lines that tell a precision's error, in one.
errors() { grep -hE 'hu mean|cuda fp32: y|^cuda ' "$1" | tr '\n' ';' | cut -c1-1500; }

no_gpu=
if ! nvidia-smi -L >"$logs/gpu.log" 2>&1; then
    no_gpu=$(head -n 1 "$logs/gpu.log" | sed 's/^.*: //')
    echo "no GPU: $no_gpu"
fi
head -n 1 "$logs/gpu.log"

configure_and_build() {
    local generator=()
    command -v ninja >/dev/null && generator=(-G Ninja)
    cmake -S . -B "$build" "${generator[@]}" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSCTD_SERVER=OFF -DSCTD_ONEDNN=OFF \
        -DSCTD_CUDA=ON &&
        cmake --build "$build" -j "$(nproc)" --target sctd_cuda golden test_ops bench_gpu conv64_gpu \
            limits_gpu profile_gpu
}
export -f configure_and_build
export build
# What was built before is good enough where this machine cannot build.
result=ok needs='' part 300 build bash -c configure_and_build

export SCTD_CUDA_LIBRARY=$build/lib/libsctd-cuda.so
export SCTD_CUDA_CACHE_DIR=$build/cache
mkdir -p "$SCTD_CUDA_CACHE_DIR"
goldens=${SCTD_GOLDENS:-$PWD/../shared/goldens}
golden=$build/tests/golden/golden
ops=$build/tests/oracle/test_ops
bench=$build/tests/gpu/bench_gpu
profile=$build/tests/gpu/profile_gpu
conv64=$build/tests/gpu/conv64_gpu
sctd=$(realpath -m "${SCTD_PROGRAM:-build/release/server/sctd}")

# Twice: the second finds the plan cache filled, and must give the same bits.  The first also tells how far they are from
# fp32's.
bench_twice() {
    local first second status
    first=$("$bench" vitb16 "$1" "$2" "$3" exact)
    status=$?
    printf '%s\n' "$first"
    [ "$status" -eq 0 ] || return "$status"
    second=$("$bench" vitb16 "$1" "$2" "$3")
    status=$?
    printf '%s\n' "$second"
    [ "$status" -eq 0 ] || return "$status"
    if [ "${first##*hu_hash}" != "${second##*hu_hash}" ]; then
        echo 'the second run has other bits'
        return 1
    fi
}
export -f bench_twice
export bench

# A command in a new cache folder, twice: what the first measured, checked and kept the second takes; it must say the same.
cold_and_warm() {
    local cold warm status
    SCTD_CUDA_CACHE_DIR=$(mktemp -d -p "$SCTD_CUDA_CACHE_DIR") || return 1
    cold=$("$@")
    status=$?
    printf '%s\n' "$cold"
    [ "$status" -eq 0 ] || return "$status"
    if ! compgen -G "$SCTD_CUDA_CACHE_DIR/plans-*.bin" >/dev/null; then
        echo 'no plan was kept: the engines were not measured'
        return 1
    fi
    warm=$("$@")
    status=$?
    if [ "$status" -ne 0 ] || [ "$cold" != "$warm" ]; then
        printf 'the second run says:\n%s\n' "$warm"
        return 1
    fi
}
export -f cold_and_warm

sanitize() { # TOOL COMMAND...
    if ! command -v compute-sanitizer >/dev/null; then
        echo 'compute-sanitizer is not installed'
        return 77
    fi
    SCTD_TEST_SMALL=1 unkept compute-sanitizer --tool "$1" --error-exitcode 1 "${@:2}"
}
export -f sanitize
export ops

# cuDNN and cuBLAS are what its autotuning takes for all but the first and last convolutions; without these two lines it
# measures Triton's for more than two minutes.
export TORCHINDUCTOR_MAX_AUTOTUNE_CONV_BACKENDS=ATEN TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_BACKENDS=ATEN
torch() {
    if ! python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
        echo 'there is no PyTorch with CUDA'
        return 77
    fi
    python3 -B tests/gpu/torch_gpu.py --precision "$1" --batch 64
}
export -f torch

# Without a plan cache, so that no engine is measured: these are many small networks, each with shapes of its own.
unkept() { SCTD_CUDA_CACHE_DIR='' CACHE_DIRECTORY='' XDG_CACHE_HOME='' HOME='' "$@"; }
export -f unkept

# kept PRECISION SECONDS: the golden volumes of both sets by measured engines.
kept() {
    result=errors needs=$golden part "$2" "goldens, own, $1, measured" \
        bash -c "cold_and_warm '$golden' own tests/golden/data cuda $1 volumes"
    result=errors needs=$golden part "$2" "goldens, published, $1, measured" \
        bash -c "cold_and_warm '$golden' published '$goldens' cuda $1 volumes"
}

result=ok needs=$conv64 part 120 'our 64-channel convolution' "$conv64"
kept fp16 200
result=figures needs=$bench part 240 'bench fp16 batch 64' bash -c 'bench_twice fp16 64 640'
result=last_line needs='' part 240 'a job through the daemon' tests/gpu/serve_job.sh "$sctd"
result=ok needs=$conv64 part 100 'memcheck, 64-channel conv' bash -c "sanitize memcheck '$conv64' small"
result=ok needs=$conv64 part 100 'racecheck, 64-channel conv' bash -c "sanitize racecheck '$conv64' small"
result=ok needs=$build/tests/gpu/limits_gpu part 120 'limits and faults' "$build/tests/gpu/limits_gpu"
result=last_line needs=$profile part 150 'profile fp16 batch 64' "$profile" vitb16 fp16 64
result=ok needs=$ops part 100 'memcheck, block mlp' bash -c "sanitize memcheck '$ops' cuda 'block mlp'"
result=last_line needs='' part 240 'PyTorch fp16 batch 64' bash -c 'torch fp16'
kept fp32 200
result=errors needs=$golden part 600 'goldens, own' bash -c "unkept '$golden' own tests/golden/data cuda"
result=errors needs=$golden part 600 'goldens, published' bash -c "unkept '$golden' published '$goldens' cuda"
result=figures needs=$bench part 240 'bench bf16 batch 64' bash -c 'bench_twice bf16 64 640'
result=figures needs=$bench part 240 'bench tf32 batch 64' bash -c 'bench_twice tf32 64 256'
result=figures needs=$bench part 240 'bench fp32 batch 64' bash -c 'bench_twice fp32 64 128'
kept tf32 200
kept bf16 200
result=errors needs=$ops part 900 'oracle, every operation' bash -c "unkept '$ops' cuda"
for case in 'fusion cnn' 'decoder step'; do
    result=ok needs=$ops part 100 "memcheck, $case" bash -c "sanitize memcheck '$ops' cuda '$case'"
done
for case in 'block mlp' 'fusion cnn' 'decoder step'; do
    result=ok needs=$ops part 100 "racecheck, $case" bash -c "sanitize racecheck '$ops' cuda '$case'"
done
for precision in bf16 tf32 fp32; do
    result=last_line needs='' part 240 "PyTorch $precision batch 64" bash -c "torch $precision"
done

printf '\n%s\n' "${no_gpu:+no GPU: }${no_gpu:-$(head -n 1 "$logs/gpu.log")}"
printf '%s\n' "${rows[@]}"
[ -n "$no_gpu" ] && exit 77
echo "$failed failed"
[ "$failed" -eq 0 ]
