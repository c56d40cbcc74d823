#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: lint.sh BUILD_DIR - the slow checks, over what BUILD_DIR, a configured clang build, compiles.
# Run from the repository root.
set -eu
build=$1
log=$build/tidy.log

# The tree's .clang-tidy decides; files without one above them (generated ones) are left out.
if ! run-clang-tidy-19 -quiet -j "$(nproc)" -p "$build" \
    "^$PWD/(server|engine|dicom|db|tests)/.*\.(c|cc)\$" >"$log" 2>&1; then
    grep -E 'error:|warning:' "$log" || tail -n 20 "$log"
    exit 1
fi
echo 'clang-tidy ok'
python3 tests/lint/check_leaks.py "$build"
