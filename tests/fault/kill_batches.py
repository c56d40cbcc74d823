#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIGKILL of the daemon at random moments while it works through a batch of studies that Orthanc holds, once with Orthanc
restarting: every study ends with its result, none twice, and live series that come meanwhile wait for one series of the
batch at most.
usage: kill_batches.py /path/to/sctd [--studies N] [--kills N] [--seed S] [--method auto|get|move]

Prints one line of JSON with what was counted; 200 studies and 10 kills take some minutes."""
import argparse
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'integration'))
from kit import venv  # noqa: E402

venv.enter()
# pylint: disable=wrong-import-position
import pydicom  # noqa: E402
from pynetdicom import AE  # noqa: E402
from pynetdicom.sop_class import MRImageStorage  # noqa: E402

from kit import reactor  # noqa: E402,F401
from kit import batches, daemon  # noqa: E402

SLICES, MATRIX = 8, 32
DONE = 4


def make(sctd, folder, orthanc, studies):
    """`studies` of them in Orthanc: their Series Instance UIDs."""
    uids = set()
    for paths in batches.make_studies(sctd, folder, studies, matrix=MATRIX, slices=SLICES):
        batches.upload(orthanc, paths)
        uids.add(pydicom.dcmread(paths[0], stop_before_pixels=True).SeriesInstanceUID)
        shutil.rmtree(paths[0].parent)
    return uids


class Live(threading.Thread):
    """A scanner that sends a series every now and then, again until all of it was acknowledged."""

    def __init__(self, sctd, folder, port, n):
        super().__init__(daemon=True)
        self.port, self.is_over, self.uids = port, False, []
        self.series = [[pydicom.dcmread(p) for p in paths]
                       for paths in batches.make_studies(sctd, folder, n, first=5000, matrix=MATRIX, slices=SLICES)]

    def send(self, datasets):
        pending = list(datasets)
        while pending and not self.is_over:
            ae = AE(ae_title='SCANNER')
            ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 10
            ae.add_requested_context(MRImageStorage, '1.2.840.10008.1.2.1')
            association = ae.associate('127.0.0.1', self.port, ae_title='SCTD')
            try:
                while association.is_established and pending:
                    if association.send_c_store(pending[0]).get('Status') != 0:
                        break
                    pending.pop(0)
            except (RuntimeError, ValueError):
                pass  # the association is gone
            if association.is_established:
                association.release()
            time.sleep(0.2)

    def run(self):
        for datasets in self.series:
            if self.is_over:
                break
            self.send(datasets)
            self.uids.append(datasets[0].SeriesInstanceUID)
            time.sleep(0.5)


def ask(node, query, *values):
    with contextlib.closing(sqlite3.connect(f'file:{node.state}/jobs.db?mode=ro', uri=True, timeout=30)) as db:
        return db.execute(query, values).fetchall()


def waited(node):
    """For each live job: how many jobs of the batch began between its making and its own beginning."""
    begun = ('SELECT count(*) FROM history AS h JOIN job AS j ON j.id = h.job_id WHERE h.to_state = 2 AND h.from_state = 0 '
             'AND j.id IN (SELECT job_id FROM batch_item) AND h.id > (SELECT min(id) FROM history WHERE job_id = ?1) AND h.id < '
             '(SELECT min(id) FROM history WHERE job_id = ?1 AND to_state = 2)')
    return [ask(node, begun, job)[0][0] for job, in ask(node, 'SELECT id FROM job WHERE id NOT IN (SELECT job_id FROM batch_item WHERE job_id > 0)')]


def results_in(orthanc):
    """SOP Instance UIDs of sCT series by their UID, and how often a source's series occurs."""
    found, sources = {}, {}
    for series in orthanc.get('series'):
        instances = orthanc.get(f'series/{series}')['Instances']
        tags = orthanc.get(f'instances/{instances[0]}/simplified-tags')
        if tags.get('Manufacturer') == 'sctd':
            found[tags['SeriesInstanceUID']] = len(instances)
            source = tags['ReferencedSeriesSequence'][0]['SeriesInstanceUID']
            sources[source] = sources.get(source, 0) + 1
    return found, sources


def kill_on(node, orthanc, control, batch, options, rng):
    """Kill it `kills` times, spread over the work; at one of them Orthanc restarts."""
    restart_at = options.kills // 2
    for kill in range(options.kills):
        goal = options.studies * (kill + 1) // (options.kills + 2)
        end = time.monotonic() + 300
        while control.report(batch)['batch']['ended'] < goal:
            assert time.monotonic() < end, f'no progress to {goal}: {control.report(batch)["batch"]}'
            time.sleep(0.05)
        time.sleep(rng.uniform(0, 0.5))
        if kill == restart_at:
            orthanc.process.kill()
            orthanc.process.wait(30)
        os.kill(node.process.pid, signal.SIGKILL)
        node.process.wait(30)
        if kill == restart_at:
            node.start()
            time.sleep(3)
            orthanc.start()
        else:
            node.start()


def run(options, folder):
    rng = random.Random(options.seed)
    sctd = os.path.abspath(options.sctd)
    daemon.make_model(sctd, folder / 'state' / 'models')
    port = daemon.free_port()
    orthanc = daemon.Orthanc(folder / 'orthanc', port)
    node = daemon.Daemon(sctd, folder, port=port, rules=[batches.RULE], destinations=[
        {'name': 'pacs', 'ae_title': 'PACS', 'host': '127.0.0.1', 'port': orthanc.dicom_port,
         'no_storage_commitment': True, 'get': True, 'move': True}], completion={'quiet_s': 6, 'closed_quiet_s': 1})
    live = Live(sctd, folder / 'live', port, max(3, options.studies // 20))
    control = batches.Batches(node)
    try:
        uids = make(sctd, folder, orthanc, options.studies)
        began = time.monotonic()
        node.start()
        live.start()
        batch = control.begin('--pacs', 'pacs', '--from', '2000-01-01', '--patient', 'PHANTOM-*', '--method', options.method,
                              '--moves', 2, '--max-images', SLICES)
        control.wait_for(batch, ['running', 'done'])
        kill_on(node, orthanc, control, batch, options, rng)
        report = control.wait_for(batch, timeout=600)
        seconds = time.monotonic() - began
        live.join(60)
        live.is_over = True
        asked = {s['series_uid'] for s in report['series']}
        missing = uids - {s['series_uid'] for s in report['series'] if s['state'] in ('done', 'skipped')}
        end = time.monotonic() + 60
        left = 'SELECT (SELECT count(*) FROM job WHERE state < 4) + (SELECT count(*) FROM series WHERE state = 0)'
        while ask(node, left)[0][0] > 0 and time.monotonic() < end:
            time.sleep(0.1)
        found, sources = results_in(orthanc)
        twice = {k: n for k, n in sources.items() if n > 1}
        jobs = dict(ask(node, 'SELECT output_series_uid, count(*) FROM job WHERE state < 7 GROUP BY 1'))
        counts = {'studies': options.studies, 'kills': options.kills, 'states': batches.states(report),
                  'results': len(set(found)), 'sources_twice': len(twice), 'live': len(live.uids),
                  'live_waited': max(waited(node), default=0), 'seconds': round(seconds, 1)}
        print(json.dumps(counts))
        assert uids <= asked, f'{len(uids - asked)} studies were not found'
        assert not missing, [s for s in report['series'] if s['series_uid'] in missing][:3]
        assert not twice, twice
        assert set(sources) >= uids | set(live.uids), 'a result is missing at the PACS'
        assert all(n == SLICES for n in found.values()), 'an sCT is not whole'
        assert all(n == 1 for n in jobs.values())
        assert len(live.uids) >= 1 and counts['live_waited'] <= 1, waited(node)
        assert not ask(node, 'SELECT id FROM series WHERE state = 0'), 'a series is left open'
        assert node.stop() == 0
    finally:
        node.stop(signal.SIGKILL)
        orthanc.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('sctd')
    parser.add_argument('--studies', type=int, default=14)
    parser.add_argument('--kills', type=int, default=3)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--method', default='auto')
    options = parser.parse_args()
    if daemon.Orthanc.PROGRAM is None:
        sys.exit(77)
    folder = pathlib.Path(tempfile.mkdtemp(prefix='kill-batches'))
    try:
        run(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == '__main__':
    main()
