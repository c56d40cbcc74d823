#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_format.sh [ROOT] - every source file is as clang-format-19 writes it.
set -eu
cd "${1:-.}"
find server engine dicom db tests \( -name '*.[ch]' -o -name '*.cc' -o -name '*.hh' -o -name '*.cu' -o \
    -name '*.cuh' \) -print0 2>/dev/null | sort -z | xargs -0 clang-format-19 --dry-run -Werror
echo 'format ok'
