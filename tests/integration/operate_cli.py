#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An operator's hand on a running daemon: sctd job, sctd series, sctd doctor.
usage: operate_cli.py /path/to/sctd [unittest options]"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from kit import daemon as kit
from kit.reviewing import REPORT, need_review

SCTD = None
RULE = {'name': 'mr', 'match': {'modality': 'MR'}, 'model': 'small', 'destinations': ['pacs']}


class Operated(unittest.TestCase):
    """Destinations are down throughout, and nothing is complete by itself within a test's time."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)
        kit.make_model(SCTD, self.work / 'state' / 'models')
        pacs = {'name': 'pacs', 'ae_title': 'PACS', 'host': '127.0.0.1', 'port': kit.free_port()}
        self.daemon = kit.Daemon(SCTD, self.work, rules=[RULE], destinations=[pacs],
                                 completion={'quiet_s': 600, 'closed_quiet_s': 600})
        self.addCleanup(self.daemon.stop, signal.SIGKILL)
        self.daemon.start()

    def sctd(self, *words, status=0):
        done = subprocess.run([SCTD, *map(str, words), '--config', self.daemon.config], capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, status, done.stderr + done.stdout)
        return done.stdout if status == 0 else done.stderr

    def facts(self, *words):
        return json.loads(self.sctd(*words, '--json'))

    def send(self, kind='mr', **more):
        """By DCMTK's own tool, which waits for acknowledgements without TCP_NODELAY."""
        folder = self.work / f'{kind}'
        paths = kit.make_series(SCTD, folder, kind=kind, **more)
        subprocess.run(['storescu', '-aec', 'SCTD', '127.0.0.1', str(self.daemon.port), '+sd', folder], check=True,
                       env=os.environ | {'TCP_NODELAY': '1'})
        return paths

    def wait_for_state(self, job, state):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            view = self.facts('job', 'show', job)
            if view['state'] == state:
                return view
            time.sleep(0.05)
        return self.fail(f'the job never was {state}: {view}')

    def test_an_open_series_is_complete_when_an_operator_says_so(self):
        paths = self.send()
        series = self.facts('series', 'list', '--open')['series']
        self.assertEqual([(s['state'], s['instances']) for s in series], [('open', len(paths))])
        self.sctd('series', 'complete', series[0]['id'], '--reason', 'the patient waits')
        view = self.wait_for_state(1, 'delivering')
        self.assertEqual(view['evidence'], 'request')
        self.assertEqual(view['history'][0]['reason'], 'the patient waits')
        self.assertIn('not open', self.sctd('series', 'complete', series[0]['id'], status=1))
        self.assertIn('delivering', self.sctd('job', 'list'))
        self.assertIn('pacs', self.sctd('job', 'show', 1))

    def test_jobs_are_cancelled_tried_again_and_moved(self):
        self.send()
        self.sctd('series', 'complete', 1)
        self.wait_for_state(1, 'delivering')
        self.sctd('job', 'cancel', 1)
        self.assertEqual(self.facts('job', 'list', '--state', 'cancelled')['jobs'][0]['id'], 1)
        self.assertIn('cancelled already', self.sctd('job', 'cancel', 1, status=1))
        self.sctd('job', 'retry', 1)
        self.sctd('job', 'prioritise', 1, 0)
        view = self.facts('job', 'show', 1)
        self.assertEqual((view['state'], view['priority']), ('delivering', 0))
        self.assertIn('no such thing', self.sctd('job', 'cancel', 99, status=1))

    def test_a_result_that_needs_review_is_looked_at_and_accepted_or_rejected(self):
        self.send()
        self.sctd('series', 'complete', 1)
        self.wait_for_state(1, 'delivering')
        self.assertEqual((self.facts('job', 'show', 1)['review'], self.facts('job', 'show', 1)['quality']), ('unchecked', None))
        self.assertIn('unchecked', self.sctd('job', 'show', 1))
        self.assertIn('only a result that needs review', self.sctd('job', 'accept', 1, status=1))
        need_review(self.daemon, 1)
        self.assertEqual([(j['id'], j['held']) for j in self.facts('job', 'list', '--review', 'needed')['jobs']], [(1, True)])
        self.assertEqual(self.facts('job', 'list', '--review', 'passed')['jobs'], [])
        self.assertIn('there are unchecked, passed', self.sctd('job', 'list', '--review', 'perhaps', status=2))
        self.assertEqual(self.facts('job', 'show', 1)['quality'], REPORT)
        lines = [line.split() for line in self.sctd('job', 'show', 1).splitlines()]
        at = lines.index('check value limits verdict in words'.split())
        self.assertEqual([line[0] for line in lines[at + 1:at + 5]], ['outline', 'tissue', 'air-outside', 'intensity'])
        self.assertEqual(lines[at + 1][1:7], ['23.1', 'mm', 'at', 'most', '15', 'failed'])
        self.assertEqual(lines[at + 2][1:7], ['bone', '-', '2', 'to', '30', 'failed'])
        self.assertEqual(lines[at - 1][:2] + lines[at - 1][5:6], ['review', 'needed', 'held,'])
        found = [f for f in self.facts_of_doctor(1) if f['subject'] == 'reviews']
        self.assertEqual([(f['outcome'], '1 results are held for review' in f['text']) for f in found], [('warning', True)])
        self.assertIn('accept it instead', self.sctd('job', 'retry', 1, status=1))
        self.assertIn('--reason is missing', self.sctd('job', 'reject', 1, status=2))
        self.sctd('job', 'reject', 1, '--reason', 'a hole in the skull')
        view = self.facts('job', 'show', 1)
        self.assertEqual((view['state'], view['review'], view['reason']), ('cancelled', 'rejected', 'rejected: by operator: a hole in the skull'))
        self.sctd('job', 'accept', 1, '--reason', 'it was the marker')
        view = self.facts('job', 'show', 1)
        self.assertEqual((view['state'], view['review'], view['deliveries'][0]['state']), ('delivering', 'accepted', view['deliveries'][0]['state']))
        self.assertIn(view['deliveries'][0]['state'], ('queued', 'sending'))
        self.assertEqual([f for f in self.facts_of_doctor(1) if f['subject'] == 'reviews'], [])

    def test_a_series_is_discarded_and_opened_again(self):
        self.send()
        self.sctd('series', 'discard', 1, '--reason', 'a test scan')
        self.assertEqual(self.facts('series', 'list')['series'][0]['state'], 'discarded')
        self.sctd('series', 'reopen', 1)
        self.sctd('series', 'complete', 1)
        self.wait_for_state(1, 'delivering')

    def test_without_a_daemon_the_store_is_read_and_nothing_is_changed(self):
        self.send()
        self.daemon.stop()
        self.assertEqual(len(self.facts('series', 'list')['series']), 1)
        self.assertIn('is sctd serve running', self.sctd('series', 'complete', 1, status=1))

    def test_the_doctor_names_what_is_wrong(self):
        findings = self.facts_of_doctor(1)
        self.assertEqual([f['outcome'] for f in findings], ['ok', 'ok', 'ok', 'warning', 'warning', 'failed'])
        self.assertIn('sctd model selftest --write', findings[3]['text'])
        self.assertIn('none of its sCTs is checked', findings[4]['text'])
        subprocess.run([SCTD, 'model', 'selftest', '--write', 'small', '--models-dir', self.daemon.state / 'models'], check=True,
                       stdout=subprocess.DEVNULL)
        findings = self.facts_of_doctor(1)
        self.assertEqual([f['outcome'] for f in findings], ['ok', 'ok', 'ok', 'ok', 'warning', 'failed'])
        self.assertIn('destination pacs', findings[-1]['subject'])
        weights = next((self.work / 'state' / 'models').rglob('weights.safetensors'))
        data = bytearray(weights.read_bytes())
        data[-5] ^= 1
        weights.write_bytes(data)
        broken = [f['subject'] for f in self.facts_of_doctor(1) if f['outcome'] == 'failed']
        self.assertEqual(broken, ['model small@1', 'destination pacs'])

    def test_the_doctor_names_deliveries_that_nobody_will_take(self):
        self.send()
        self.sctd('series', 'complete', 1)
        self.wait_for_state(1, 'delivering')
        self.daemon.configure([{key: RULE[key] for key in RULE if key != 'destinations'}], [])
        found = [f for f in self.facts_of_doctor(0) if f['subject'] == 'destination pacs']
        self.assertEqual([f['outcome'] for f in found], ['warning'])
        self.assertIn('1 deliveries wait for it', found[0]['text'])
        self.assertIn('put it back', found[0]['text'])
        self.sctd('job', 'cancel', 1)
        self.assertEqual([f for f in self.facts_of_doctor(0) if f['subject'] == 'destination pacs'], [])

    def facts_of_doctor(self, status):
        done = subprocess.run([SCTD, 'doctor', '--json', '--config', self.daemon.config], capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return json.loads(done.stdout)['findings']


if __name__ == '__main__':
    SCTD = os.path.abspath(sys.argv.pop(1))
    if shutil.which('storescu') is None:
        sys.exit("DCMTK's storescu is not installed")
    unittest.main()
