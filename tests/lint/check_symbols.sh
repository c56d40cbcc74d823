#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_symbols.sh LIBRARY [PREFIX-REGEX]
# Every global symbol of a static library begins with the name of its own file or with one of the
# prefixes of its folder, so that two libraries cannot collide and a name says where it lives.
set -eu
library=$1
prefixes=${2:-}
listing=$(nm -A -g --defined-only "$library")
bad=$(printf '%s\n' "$listing" | awk -v prefixes="^($prefixes)" -v any="$prefixes" '
    NF >= 3 && $(NF - 1) ~ /^[TDBRC]$/ {
        symbol = $NF
        split($1, part, ":")
        file = part[2]
        sub(/\.(c|cc|cu)\.o(bj)?$/, "", file)
        if (symbol ~ /^(_Z|__)/ || index(symbol, file "_") == 1 || symbol == file) next
        if (any != "" && symbol ~ prefixes) next
        print "  " symbol " (" file ")"
    }' | sort -u)
[ -z "$bad" ] && exit 0
echo "$library: global symbols without the prefix of their file or of ${prefixes:-(none)}:"
echo "$bad"
exit 1
