#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How many requests a daemon with many jobs answers while it converts, and what that costs ingest.

usage: http_load.py SCTD [--jobs N] [--seconds S] [--model DIR]
Needs wrk and taskset.  The daemon gets processor 0, wrk and the workers the others; run it on a quiet machine.
Prints one line of JSON for each measurement."""
import argparse
import json
import os
import pathlib
import re
import select
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'integration'))
from kit.daemon import Daemon, make_series  # noqa: E402
from kit.http import TOKENS, Client, section  # noqa: E402

# No ANALYZE: a daemon never does it, and with jobs that are all alike it makes SQLite scan where it would search.
FILL = """
PRAGMA synchronous = OFF;
BEGIN;
INSERT INTO source (id, ae) VALUES (1000, 'MR1');
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n})
INSERT INTO study (id, uid, first_ms, last_ms) SELECT i, '1.2.840.99.1.' || i, {t} + i * 1000, {t} + i * 1000 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n})
INSERT INTO identity (study_id, patient_id, patient_name, character_set) SELECT i, CAST('ID' || i AS BLOB), CAST('A^B' AS BLOB), x'' FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n})
INSERT INTO series (id, uid, study_id, source_id, state, evidence, revision, instances, kept, bytes, first_ms, last_ms,
  closed_ms, reason, called_ae, peer, modality, series_description, study_description, protocol, body_part, manufacturer,
  model_name, station, image_type, frame_of_reference_uid, series_number)
SELECT i, '1.2.840.99.2.' || i, i, 1000, 1, 5, 1, 200, 0, 26000000, {t} + i * 1000, {t} + i * 1000, {t} + i * 1000,
  'released, and 200 instances lie evenly without a gap', 'SCTD', '10.1.2.3', 'MR', 't1_mprage_sag_iso', 'Head', 'head', 'HEAD',
  'MAKER', 'Model', 'MR3', 'ORIGINAL\\PRIMARY\\M', '1.2.840.99.3.' || i, 4 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n})
INSERT INTO job (id, state, series_id, source_id, revision, evidence, priority, attempt, outputs, written, commitment, created_ms,
  changed_ms, ended_ms, output_series_uid, rule, model, model_sha256, parameters, reason)
SELECT i, 4, i, 1000, 1, 5, 5, 1, 200, 200, 1, {t} + i * 1000, {t} + i * 1000 + 60000, {t} + i * 1000 + 60000,
  '2.25.' || i, 'head', 'head@1', '{sha}', '{{}}', 'delivered' FROM n;
INSERT INTO history (job_id, at_ms, attempt, from_state, to_state, reason, detail)
SELECT id, created_ms, 1, 0, 2, 'claimed', '' FROM job;
UPDATE job_count SET n = n + {n} WHERE state = 4;
COMMIT;
"""


def fill(daemon, n):
    since = int(time.time() * 1000) - n * 1000
    with sqlite3.connect(daemon.state / 'jobs.db') as db:
        db.executescript(FILL.format(n=n, t=since, sha='0' * 64))


def wrk(daemon, path, seconds):
    url = f'http://127.0.0.1:{daemon.settings["http"]["port"]}{path}'
    done = subprocess.run(['taskset', '-c', f'1-{max(1, os.cpu_count() - 1)}', 'wrk', '-t1', '-c32', f'-d{seconds}s', '--latency', '-H',
                           f'Authorization: Bearer {TOKENS["view"]}', url], capture_output=True, text=True, check=True)
    unit = {'us': 1e-3, 'ms': 1, 's': 1e3}
    value, scale = re.search(r'99%\s+([\d.]+)(us|ms|s)\b', done.stdout).groups()
    return {'path': path, 'requests_per_s': float(re.search(r'Requests/sec:\s+([\d.]+)', done.stdout)[1]),
            'p99_ms': round(float(value) * unit[scale], 2), 'errors': 'Non-2xx' in done.stdout or 'Socket errors' in done.stdout}


def pin(daemon):
    """Children inherit the daemon's processor: give them the others."""
    others = set(range(1, os.cpu_count())) or {0}
    for task in pathlib.Path('/proc').glob('[0-9]*/stat'):
        try:
            fields = task.read_text().rsplit(')', 1)[1].split()
            if int(fields[1]) == daemon.process.pid:
                os.sched_setaffinity(int(task.parent.name), others)
        except (OSError, IndexError):
            pass


def send(daemon, files):
    begin = time.monotonic()
    subprocess.run(['storescu', '-aet', 'MR1', '-aec', 'SCTD', '127.0.0.1', str(daemon.port), *map(str, files)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return len(files) / (time.monotonic() - begin)


def at_rate(daemon, path, rate, seconds):
    """Requests of 32 keep-alive connections at a constant rate; how long each waits from when it was due."""
    request = f'GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKENS["view"]}\r\n\r\n'.encode()
    poll = select.epoll()
    free, busy, times = [], {}, []
    for _ in range(32):
        link = socket.create_connection(('127.0.0.1', daemon.settings['http']['port']))
        poll.register(link, select.EPOLLIN)
        free.append(link)
    begin, sent = time.monotonic(), 0
    while len(times) < rate * seconds:
        due = begin + sent / rate
        if free and sent < rate * seconds and time.monotonic() >= due:
            link = free.pop()
            link.sendall(request)
            busy[link.fileno()] = [link, due, b'', None]
            sent += 1
        for fd, _ in poll.poll(max(0, min(0.001, due - time.monotonic()))):
            task = busy[fd]
            task[2] += task[0].recv(1 << 20)
            if task[3] is None and b'\r\n\r\n' in task[2]:
                head = task[2].split(b'\r\n\r\n')[0]
                task[3] = len(head) + 4 + int(re.search(rb'Content-Length: (\d+)', head)[1])
            if len(task[2]) == task[3]:
                assert b' 200 ' in task[2][:15]
                times.append(time.monotonic() - task[1])
                free.append(task[0])
                del busy[fd]
    times.sort()
    return {'path': path, 'rate': rate, 'reached': round(len(times) / (time.monotonic() - begin)), 'median_ms': round(times[len(times) // 2] * 1e3, 2),
            'p99_ms': round(times[int(len(times) * 0.99)] * 1e3, 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('sctd')
    parser.add_argument('--jobs', type=int, default=1000000)
    parser.add_argument('--seconds', type=int, default=5)
    parser.add_argument('--models', default=str(pathlib.Path(__file__).resolve().parents[2] / 'deploy' / 'models'))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rules = [{'name': 'mr', 'match': {'modality': 'MR', 'min_slices': 100}, 'model': 'phantom-demo-mr'}]
        daemon = Daemon(args.sctd, folder, rules=rules, models_dir=args.models, wrap=('taskset', '-c', '0'),
                        http=section(requests_per_second=100000))
        daemon.start()
        daemon.stop()
        fill(daemon, args.jobs)
        daemon.start()
        client = Client(daemon)
        for path in ('/api/v1/jobs?limit=50', '/api/v1/jobs?state=done&limit=50', '/api/v1/activity', '/api/v1/status', '/metrics'):
            times = []
            for _ in range(20):
                begin = time.perf_counter()
                assert client.get(path).status == 200
                times.append((time.perf_counter() - begin) * 1e3)
            print(json.dumps({'what': 'one request', 'jobs': args.jobs, 'path': path, 'first_ms': round(times[0], 2),
                              'median_ms': round(sorted(times)[10], 2)}), flush=True)
        work = make_series(args.sctd, pathlib.Path(folder) / 'long', matrix=128, slices=400)
        for name, busy in (('idle', False), ('while converting', True)):
            if busy:
                send(daemon, work)
                client.wait('/api/v1/jobs', lambda page: page['items'], state='running')
                pin(daemon)
            for path, rate in (('/api/v1/status', 1000), ('/api/v1/jobs?limit=50', 200)):
                print(json.dumps({'what': name} | at_rate(daemon, path, rate, args.seconds)), flush=True)
                print(json.dumps({'what': name} | wrk(daemon, path, args.seconds)), flush=True)
            if busy:
                running = client.get('/api/v1/jobs', state='running').json['items']
                print(json.dumps({'what': 'still converting at the end', 'jobs': len(running)}), flush=True)
        ingest = {}
        for turn in range(3):
            for name in ('alone', 'beside 1200 requests/s'):
                files = make_series(args.sctd, pathlib.Path(folder) / f'{turn}{name[:3]}', seed=10 + 2 * turn + len(ingest) % 2, matrix=256, slices=99)
                load = None
                if name != 'alone':
                    load = subprocess.Popen([sys.executable, '-B', __file__, '--steady', str(client.port)], stdout=subprocess.DEVNULL)
                    time.sleep(0.5)
                ingest.setdefault(name, []).append(round(send(daemon, files)))
                if load is not None:
                    load.kill()
                    load.wait()
        print(json.dumps({'what': 'ingest, images/s'} | ingest), flush=True)
        daemon.stop()


def steady(port):
    """Requests at a constant rate, on keep-alive connections, until it is killed."""
    request = f'GET /api/v1/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKENS["view"]}\r\n\r\n'.encode()
    links = [socket.create_connection(('127.0.0.1', port)) for _ in range(8)]
    begin, n = time.monotonic(), 0
    while True:
        for link in links:
            link.sendall(request)
        for link in links:
            link.recv(65536)
        n += len(links)
        time.sleep(max(0, begin + n / 1200 - time.monotonic()))


if __name__ == '__main__':
    if sys.argv[1] == '--steady':
        steady(int(sys.argv[2]))
    else:
        main()
