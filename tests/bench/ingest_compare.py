#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Images a second from stock storescu into sctd, DCMTK's storescp and Orthanc, one after the other.
usage: ingest_compare.py /path/to/sctd [--images N] [--runs N] [--peer-images N]

By hand, on a quiet machine.  The others get --peer-images (default 48): without TCP_NODELAY on their side they need
40 ms an image."""
import argparse
import pathlib
import json
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'integration'))
# pylint: disable=wrong-import-position
from kit import daemon  # noqa: E402

MATRIX = 325


def send(folders, port, called):
    """Seconds that a storescu for each folder needs."""
    began = time.monotonic()
    senders = [subprocess.Popen(['storescu', '-aec', called, '127.0.0.1', str(port), '+sd', folder])
               for folder in folders]
    assert [sender.wait() for sender in senders] == [0] * len(folders)
    return time.monotonic() - began


def storescp(work, folders):
    port = daemon.free_port()
    kept = work / f'storescp{port}'
    kept.mkdir()
    with subprocess.Popen(['storescp', '--fork', '-od', kept, str(port)]) as process:
        time.sleep(0.5)
        try:
            return send(folders, port, 'STORESCP')
        finally:
            process.terminate()


def orthanc(work, folders):
    node = daemon.Orthanc(work / f'orthanc{daemon.free_port()}', 11112)
    try:
        return send(folders, node.dicom_port, 'PACS')
    finally:
        node.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('sctd')
    parser.add_argument('--images', type=int, default=384)
    parser.add_argument('--runs', type=int, default=3)
    parser.add_argument('--peer-images', type=int, default=48)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        rates = {}
        for senders in (1, 4):
            folders = []
            for k in range(senders):
                folders.append(work / f'{senders}-{k}')
                daemon.make_series(args.sctd, folders[-1], seed=k + 1, matrix=MATRIX,
                                   slices=args.peer_images // senders)
            for run in range(args.runs):
                done = subprocess.run([args.sctd, 'bench', 'ingest', '--senders', str(senders), '--images',
                                       str(args.images), '--json'], check=True, capture_output=True, text=True)
                rates.setdefault(f'sctd, {senders}', []).append(json.loads(done.stdout)['images_per_s'])
                for other in (storescp, orthanc):
                    seconds = other(work, folders)
                    rates.setdefault(f'{other.__name__}, {senders}', []).append(args.peer_images / seconds)
                print(f'run {run + 1}', {key: round(values[-1]) for key, values in rates.items()}, flush=True)
    print(json.dumps({key: round(statistics.median(values), 1) for key, values in rates.items()}))


if __name__ == '__main__':
    main()
