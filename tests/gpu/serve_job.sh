#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tests/gpu/serve_job.sh SCTD [BACKEND]
# One job as the daemon does it: a phantom's series becomes an sCT in a worker, confined as workers are, on BACKEND
# (cuda).  $SCTD_CUDA_LIBRARY as ever.  Exits with 0, 1 if it failed, 77 if the program cannot run here.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

sctd=${1:?tests/gpu/serve_job.sh needs the program}
backend=${2:-cuda}
model=phantom-demo-mr
if ! why=$("$sctd" --version 2>&1 >/dev/null); then
    echo "skipped: ${why:-$sctd does not run here}"
    exit 77
fi

work=$(mktemp -d) || exit 1
daemon=
finish() {
    if [ -n "$daemon" ]; then
        kill "$daemon" 2>/dev/null
        wait "$daemon"
    fi
    rm -rf "$work"
}
trap finish EXIT

die() {
    cat "$work/log"
    echo "$*"
    exit 1
}

config=$work/sctd.yaml
mkdir -p "$work/state/models" && cp -r "deploy/models/$model@1" "$work/state/models/" || exit 1
cat >"$config" <<EOF
{"ae_title": "SCTD", "state_dir": "$work/state", "log_format": "json",
 "listen": {"address": "127.0.0.1", "port": 0},
 "workers": {"slots": 1, "backends": ["$backend"], "silence_s": 300},
 "rules": [{"name": "mr", "match": {"modality": "MR"}, "model": "$model"}]}
EOF
"$sctd" phantom --slices 40 --output "$work/series" >/dev/null || exit 1
"$sctd" serve --config "$config" 2>"$work/log" &
daemon=$!
for ((i = 0; i < 100; i++)); do
    grep -qs '"event": *"ready"' "$work/log" && break
    sleep 0.1
done
"$sctd" reprocess --config "$config" --folder "$work/series" --keep >/dev/null || die 'no batch was begun'

# A first start measures engines for up to a minute.
state=none
job() { "$sctd" job show 1 --json --config "$config" 2>/dev/null | sed -n "s/^ *\"$1\": *\"\([a-z]*\)\".*/\1/p" | head -n 1; }
for ((i = 0; i < 700; i++)); do
    state=$(job state)
    case $state in "done" | failed | cancelled) break ;; esac
    kill -0 "$daemon" 2>/dev/null || die 'the daemon ended'
    sleep 0.25
done
"$sctd" job show 1 --config "$config"
[ "$state" = "done" ] || die "the job is ${state:-none}"
[ "$(job review)" = passed ] || die "the sCT's checks: $(job review)"
n=$(find "$work/state/results" -name '*.dcm' | wc -l)
[ "$n" -ge 40 ] || die "$n instances of 40"
echo "40 slices on $backend"
