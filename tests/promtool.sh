#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tests/promtool.sh   say which folder holds promtool and prometheus: where the system has them, else
# build/prometheus, unpacked once from Debian's package.  Installing it would start a daemon.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if command -v promtool >/dev/null && command -v prometheus >/dev/null; then
    dirname "$(command -v promtool)"
    exit 0
fi
folder=$PWD/build/prometheus
if [ ! -x "$folder/usr/bin/promtool" ]; then
    mkdir -p build
    work=$(mktemp -d --tmpdir=build)
    trap 'rm -rf "$work"' EXIT
    (
        cd "$work"
        apt-get download prometheus || {
            [ "$(id -u)" -eq 0 ] && apt-get update && apt-get download prometheus
        } || sudo sh -c 'apt-get update && apt-get download prometheus'
        dpkg-deb -x prometheus_*.deb unpacked
    ) >&2 </dev/null
    rm -rf "$folder"
    mv "$work/unpacked" "$folder"
fi
echo "$folder/usr/bin"
