#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: deploy/quickstart.sh [--input DIR] [--keep]
# On a bare Debian 12: install packages, build, start the daemon with the demonstration models and Orthanc as its
# PACS, send it a made-up MR and a made-up CBCT series (and those in DIR), and look whether their synthetic CTs
# are in the PACS.  --keep leaves daemon and PACS running.
set -euo pipefail
input='' keep=no
while [ $# -gt 0 ]; do
    case $1 in
    --input)
        input=$(realpath "${2:?quickstart.sh: --input needs a folder}")
        shift
        ;;
    --keep) keep=yes ;;
    -h | --help)
        sed -n '3,6s/^# //p' "$0"
        exit 0
        ;;
    *)
        echo "quickstart.sh: there is no option $1: see deploy/quickstart.sh --help" >&2
        exit 2
        ;;
    esac
    shift
done
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() {
    printf '\n== %s\n' "$*"
}

build=build/quickstart
run=$PWD/$build/run
sctd=$PWD/$build/server/sctd
port=11112 pacs_port=4242 http_port=8042 api_port=8104
pids=()

stop() {
    local pid
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    wait
    pids=()
}
trap 'stop; echo; echo "quickstart.sh failed; the logs are in $run" >&2' ERR
trap 'stop' INT TERM

say 'Packages'
deploy/install-packages.sh gcc g++ cmake ninja-build pkg-config python3 curl libdnnl-dev libdcmtk-dev dcmtk libopenjp2-7-dev \
    libpng-dev libcyaml-dev libuv1-dev libsqlite3-dev libsystemd-dev libmicrohttpd-dev zlib1g-dev orthanc
echo 'all are there'

say 'Build'
mkdir -p "$build"
if ! { cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSCTD_TESTS=OFF &&
    cmake --build "$build" -j "$(nproc)"; } >"$build/build.log" 2>&1; then
    tail -n 40 "$build/build.log" >&2
    exit 1
fi
"$sctd" --version

say 'A PACS (Orthanc) and the daemon'
rm -rf "$run"
mkdir -p "$run/orthanc"
# free_port FROM: the first port from there that nobody listens on.
free_port() {
    python3 -c '
import socket, sys
port = int(sys.argv[1])
while True:
    with socket.socket() as s:
        if s.connect_ex(("127.0.0.1", port)) != 0:
            break
    port += 1
print(port)' "$1"
}
port=$(free_port $port) pacs_port=$(free_port $pacs_port) http_port=$(free_port $http_port) api_port=$(free_port $api_port)
token_json=$("$sctd" token --name quickstart --role admin --identity --json)
# token_field NAME: of what sctd token made.
token_field() {
    printf '%s' "$token_json" | sed -nE "s/.*\"$1\": \"([^\"]+)\".*/\1/p"
}
cat >"$run/orthanc.json" <<JSON
{
  "Name": "PACS", "DicomAet": "PACS", "DicomPort": $pacs_port, "HttpPort": $http_port,
  "StorageDirectory": "$run/orthanc", "IndexDirectory": "$run/orthanc", "Plugins": [],
  "RemoteAccessAllowed": false, "AuthenticationEnabled": false, "DicomAlwaysAllowStore": true,
  "DicomModalities": {"sctd": {"AET": "SCTD", "Host": "127.0.0.1", "Port": $port, "AllowStorageCommitment": true}}
}
JSON
cat >"$run/sctd.yaml" <<YAML
ae_title: SCTD
state_dir: $run/state
models_dir: $PWD/deploy/models
log_format: text
listen:
  address: 127.0.0.1
  port: $port
completion:
  closed_quiet_s: 2
  quiet_s: 20
retention:
  min_free_percent: 1
destinations:
  - name: pacs
    ae_title: PACS
    host: 127.0.0.1
    port: $pacs_port
http:
  port: $api_port
  tokens:
    - name: quickstart
      role: admin
      identity: true
      sha256: $(token_field sha256)
# The demonstration models know made-up patients only. What their checks find in others is delivered and marked here; by
# default it would be held until somebody accepts it.
rules:
  - name: made-up-cbct
    match:
      modality: CT
    model: phantom-demo-cbct
    destinations: [pacs]
    review: deliver
  - name: made-up-mr
    match:
      modality: MR
    model: phantom-demo-mr
    destinations: [pacs]
    review: deliver
YAML
orthanc=$(command -v Orthanc || echo /usr/sbin/Orthanc)
"$orthanc" "$run/orthanc.json" >"$run/orthanc.log" 2>&1 &
pids+=($!)
"$sctd" serve --config "$run/sctd.yaml" >"$run/sctd.log" 2>&1 &
pids+=($!)

# wait_until SECONDS WHAT COMMAND...: until the command succeeds.
wait_until() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $end ]; then
            echo "quickstart.sh: $what did not happen; the last lines of the daemon's log:" >&2
            tail -n 15 "$run/sctd.log" >&2
            return 1
        fi
        sleep 0.2
    done
}
wait_until 60 'a PACS that answers' curl -fs "http://127.0.0.1:$http_port/system"
wait_until 30 'a daemon that answers' echoscu -aec SCTD 127.0.0.1 "$port"
"$sctd" doctor --config "$run/sctd.yaml"
curl -fs "http://127.0.0.1:$api_port/readyz" >/dev/null

say 'Send a made-up MR and a made-up CBCT series'
"$sctd" phantom --kind mr --seed 7 --matrix 192 --spacing 2.2,2.2,3 --slices 40 --output "$run/source/mr"
"$sctd" phantom --kind cbct --seed 7 --matrix 192 --spacing 2.2,2.2,3 --slices 40 --output "$run/source/cbct"
if [ -n "$input" ]; then # whatever else lies there: storescu ends at the first file that is no DICOM
    mkdir "$run/source/input"
    n=0
    while IFS= read -r file; do
        ln -s "$file" "$run/source/input/$((n += 1)).dcm"
    done < <(find -L "$input" -type f -print0 | { xargs -0 dcmftest 2>/dev/null || true; } | sed -n 's/^yes: //p')
    echo "$input: $n DICOM files"
fi
for folder in "$run"/source/*; do
    # DCMTK sends with Nagle's algorithm unless told otherwise, which costs 40 ms an image with most peers.
    TCP_NODELAY=1 storescu -aec SCTD +sd +r 127.0.0.1 "$port" "$folder/"
done
"$sctd" series list --config "$run/sctd.yaml"

say 'Wait for the synthetic CTs in the PACS, with storage commitment'
has_ended() {
    [ "$("$sctd" series list --open --json --config "$run/sctd.yaml" | grep -c '"id"')" = 0 ] &&
        ! "$sctd" job list --json --config "$run/sctd.yaml" | grep -Eq '"state": "(queued|retry|running|delivering)"'
}
wait_until 900 'the end of all jobs' has_ended
"$sctd" job list --config "$run/sctd.yaml"
python3 - "$http_port" "$run" "$sctd" <<'PYTHON'
import json
import pathlib
import subprocess
import sys
import urllib.request

http_port, run, sctd = sys.argv[1:]


def pacs(path):
    with urllib.request.urlopen(f'http://127.0.0.1:{http_port}/{path}') as answer:
        return answer.read()


def facts(*words):
    return json.loads(subprocess.run([sctd, *words, '--json', '--config', f'{run}/sctd.yaml'], check=True,
                                     capture_output=True).stdout)


def fetch(series_uid, folder):
    """The instances of a series in the PACS, into a folder; how many there are."""
    question = urllib.request.Request(f'http://127.0.0.1:{http_port}/tools/lookup', series_uid.encode())
    found = [f['ID'] for f in json.loads(urllib.request.urlopen(question).read()) if f['Type'] == 'Series']
    instances = json.loads(pacs(f'series/{found[0]}'))['Instances'] if found else []
    folder.mkdir(parents=True)
    for i, instance in enumerate(instances):
        (folder / f'{i:04}.dcm').write_bytes(pacs(f'instances/{instance}/file'))
    return len(instances)


bad = 0
for job in sorted(facts('job', 'list')['jobs'], key=lambda job: job['id']):
    if job['state'] != 'done':
        print(f"job {job['id']}: {job['state']}: {job['reason']}")
        bad += 1
        continue
    view = facts('job', 'show', str(job['id']))
    folder = pathlib.Path(run, 'sct', str(job['id']))
    n = fetch(view['output_series_uid'], folder)
    page = 1 if view['review'] == 'needed' else 0  # a picture beside the slices
    good = n + page == view['outputs'] == view['deliveries'][0]['committed']
    print(f"job {job['id']} ({view['model']}): {n} of {view['outputs'] - page} slices are in the PACS, "
          f"{view['deliveries'][0]['committed']} instances committed; fetched to {folder}")
    print(f"    checks: {view['review']}" + (f" a review: {view['reason']}" if page else ''))
    bad += not good
sys.exit(bad > 0)
PYTHON

say 'Pictures: source and sCT beside each other'
for kind in mr cbct; do
    "$sctd" convert --model "phantom-demo-$kind" --models-dir deploy/models --input "$run/source/$kind" \
        --output "$run/convert" --preview "$run/$kind.png" >"$run/convert-$kind.log" 2>&1
    echo "$run/$kind.png"
done

say 'Where to look'
cat <<TEXT
the daemon's log          $run/sctd.log
its configuration         $run/sctd.yaml
what it knows             $sctd job list --config $run/sctd.yaml
the dashboard             http://127.0.0.1:$api_port (while it runs: --keep)
to log in                 $(token_field token)
the PACS                  http://127.0.0.1:$http_port
what the models are worth deploy/models/MODEL_CARD.md: made-up phantoms only, never a patient
TEXT
trap - ERR
if [ "$keep" = yes ]; then
    echo "daemon and PACS go on as processes ${pids[*]}: kill them to stop"
    disown -a
else
    stop
    tail -n 1 "$run/sctd.log"
fi
