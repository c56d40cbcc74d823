#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tests/run.sh [--quick]
# Install what the tests need (Debian 12), build every preset and run every test.  --quick leaves out
# what a second look will do: sanitizers, clang, clang-tidy, fuzzing.  Logs go to build/logs.  The last
# line counts the tests, and each step without tests as one.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

quick=no
case "${1:-}" in
'') ;;
--quick) quick=yes ;;
-h | --help)
    sed -n '3,6s/^# //p' "$0"
    exit 0
    ;;
*)
    echo "tests/run.sh: there is no option $1: see tests/run.sh --help" >&2
    exit 2
    ;;
esac

packages=(gcc g++ gcc-12 cmake ninja-build pkg-config python3 python3-venv libdnnl-dev libdcmtk-dev dcmtk libopenjp2-7-dev
    libpng-dev libcyaml-dev libuv1-dev libsqlite3-dev libsystemd-dev libmicrohttpd-dev zlib1g-dev openssl chromium-headless-shell sqlite3 orthanc curl faketime strace dicom3tools clang-format-19)
if [ "$quick" = no ]; then
    packages+=(clang-14 libclang-rt-14-dev clang-tidy-19)
fi
deploy/install-packages.sh "${packages[@]}" || exit 1

if ! command -v nvcc >/dev/null && [ -x /usr/local/cuda/bin/nvcc ]; then
    PATH=$PATH:/usr/local/cuda/bin
fi
# Not detect_stack_use_after_return: gcc 12 does not align its frames for 64-byte vectors.
export ASAN_OPTIONS=${ASAN_OPTIONS:-strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-second_deadlock_stack=1}
cores=$(nproc)
fuzz_seconds=15
logs=build/logs
mkdir -p "$logs"
rm -f "$logs"/*.log

table=()
passed=0
failed=0
skipped=0

# count_tests LOG: add what ctest says it ran; fails if it said nothing.
count_tests() {
    local total bad none
    total=$(sed -nE 's/.* tests failed out of ([0-9]+)$/\1/p' "$1" | tail -n 1)
    bad=$(sed -nE 's/.* ([0-9]+) tests failed out of [0-9]+$/\1/p' "$1" | tail -n 1)
    none=$(grep -cE '\*\*\*Skipped' "$1")
    [ -n "$total" ] || return 1
    passed=$((passed + total - bad - none))
    failed=$((failed + bad))
    skipped=$((skipped + none))
}

# step NAME COMMAND...: run it with its output in a log, time it, say how it went.
step() {
    local name=$1 log status=ok from=$SECONDS
    shift
    log=$logs/${name// /-}.log
    printf '%-28s ' "$name"
    if ! "$@" >"$log" 2>&1 </dev/null; then
        status=FAILED
    fi
    if ! count_tests "$log"; then
        if [ "$status" = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    elif [ "$status" = FAILED ] && [ "$failed" -eq 0 ]; then
        failed=1
    fi
    local line
    line=$(printf '%4d s  %s' $((SECONDS - from)) "$status")
    echo "$line"
    table+=("$(printf '%-28s %s' "$name" "$line")")
    if [ "$status" = FAILED ]; then
        tail -n 60 "$log"
        return 1
    fi
}

build() {
    cmake --preset "$1" && cmake --build --preset "$1" -j "$cores"
}

# preset NAME [CTEST OPTION...]: build it and run its tests.
preset() {
    local name=$1
    shift
    step "$name build" build "$name" && step "$name tests" ctest --preset "$name" "$@"
}

fast_lint() {
    tests/lint/check_format.sh . && tests/lint/check_layers.py . && tests/lint/check_source.py .
}

engine_alone() {
    cmake -S . -B build/alone -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSCTD_SERVER=OFF -DSCTD_ONEDNN=OFF &&
        cmake --build build/alone -j "$cores"
}

# fuzz_one TARGET: libFuzzer on a copy of the corpus, so that the tree stays as it is.
fuzz_one() {
    local target=$1 work found=0
    work=$(mktemp -d)
    cp -r "tests/fuzz/corpus/${target##*/fuzz_}" "$work/corpus" || return 1
    "$target" -max_total_time="$fuzz_seconds" -timeout=10 -rss_limit_mb=2048 -seed=1 -print_final_stats=1 \
        -artifact_prefix="$PWD/$logs/" "$work/corpus" || found=1
    rm -rf "$work"
    return "$found"
}

step 'lint, fast' fast_lint
step 'python for tests' tests/venv.sh
step 'prometheus for tests' tests/promtool.sh
preset dev -L 'unit|lint' -j "$cores"
preset release -j "$cores"
if [ "$quick" = no ]; then
    preset dev-clang -L 'unit|lint' -j "$cores" && step 'lint, slow' tests/lint/lint.sh build/dev-clang
    preset asan -LE 'lint|browser' -j "$cores"
    preset tsan -L threads
    step 'engine alone' engine_alone
    if step 'fuzz build' build fuzz; then
        for target in build/fuzz/tests/fuzz/fuzz_*; do
            [ ! -x "$target" ] || step "fuzz ${target##*/fuzz_}" fuzz_one "$target"
        done
    fi
fi

printf '\n%s\n' 'Summary'
printf '%s\n' "${table[@]}"
printf '%-28s %4d s\n\n' total "$SECONDS"
if [ "$skipped" -gt 0 ]; then
    grep -hE '\*\*\*Skipped' "$logs"/*.log | sed -E 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: //' | sort | uniq -c
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
