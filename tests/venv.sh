#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tests/venv.sh   make build/venv with the Python packages of tests/requirements.txt, once, and say
# where its interpreter is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=build/venv
made=$venv/requirements.txt
if ! cmp -s tests/requirements.txt "$made"; then
    rm -rf "$venv"
    mkdir -p build
    /usr/bin/python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: -r tests/requirements.txt >&2
    cp tests/requirements.txt "$made"
fi
echo "$PWD/$venv/bin/python3"
