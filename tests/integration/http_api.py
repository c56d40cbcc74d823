# SPDX-License-Identifier: Apache-2.0
"""The HTTP API of a running daemon: what it says, who may ask, and that nobody learns who a patient is."""
import gzip
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from kit import venv

venv.enter()

from kit.daemon import Daemon, free_port, make_model, make_series, store
from kit.delivering import Pacs
from kit.http import TOKENS, Client, section
from kit.reviewing import REPORT, need_review

SCTD = sys.argv.pop(1)
NAME, PATIENT = 'CANARY^PETRA^MARIA', 'MRN-4711-CANARY'


def rename_patient(files):
    import pydicom
    for file in files:
        ds = pydicom.dcmread(file)
        ds.PatientName, ds.PatientID = NAME, PATIENT
        ds.save_as(file)


class Node(unittest.TestCase):
    """One daemon with a converted series, a discarded one, and a failed job."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.root = pathlib.Path(cls.folder.name)
        models = cls.root / 'state' / 'models'
        models.mkdir(parents=True)
        make_model(SCTD, models)
        cls.pacs = Pacs()
        cls.daemon = Daemon(SCTD, cls.root, rules=[
            {'name': 'mr', 'match': {'modality': 'MR', 'min_slices': 5}, 'model': 'small@1', 'destinations': ['pacs']}],
            destinations=[{'name': 'pacs', 'ae_title': 'PACS', 'host': '127.0.0.1', 'port': cls.pacs.port,
                           'no_storage_commitment': True}], http=section())
        cls.daemon.start()
        cls.viewer, cls.operator, cls.admin = (Client(cls.daemon, who) for who in ('view', 'operate', 'admin'))
        good = make_series(SCTD, cls.root / 'good', seed=1)
        rename_patient(good)
        store(cls.daemon, good)
        short = make_series(SCTD, cls.root / 'short', seed=2, slices=4)
        rename_patient(short)
        store(cls.daemon, short)
        gap = make_series(SCTD, cls.root / 'gap', seed=3)
        rename_patient(gap)
        store(cls.daemon, gap[:5] + gap[6:])  # a missing slice: refused by the worker
        cls.done = cls.viewer.wait('/api/v1/jobs', lambda page: page['items'], state='done')['items'][0]
        cls.failed = cls.viewer.wait('/api/v1/jobs', lambda page: page['items'], state='failed')['items'][0]
        cls.viewer.wait('/api/v1/series', lambda page: page['items'], state='discarded')

    @classmethod
    def tearDownClass(cls):
        status = cls.daemon.stop()
        cls.pacs.stop()
        cls.folder.cleanup()
        assert status == 0, status

    # What it says

    def test_health_needs_no_token_and_names_each_check(self):
        nobody = Client(self.daemon, None)
        for path in ('/healthz', '/readyz'):
            answer = nobody.get(path)
            self.assertEqual((answer.status, answer.json['status']), (200, 'ok'))
        self.assertEqual({c['name'] for c in answer.json['checks']},
                         {'job_store', 'disk', 'front_door', 'workers', 'rules'})
        self.assertTrue(all(c['ok'] and c['detail'] for c in answer.json['checks']))

    def test_status_counts_what_there_is(self):
        status = self.viewer.get('/api/v1/status').json
        self.assertEqual((status['jobs']['done'], status['jobs']['failed'], status['ready']), (1, 1, True))
        self.assertEqual(status['port'], self.daemon.port)
        self.assertEqual([d['name'] for d in status['destinations']], ['pacs'])

    def test_a_job_is_told_whole(self):
        job = self.viewer.get(f'/api/v1/jobs/{self.done["id"]}').json
        self.assertEqual([t['to'] for t in job['history'] if not t['destination'] and t['from'] != t['to']],
                         ['running', 'delivering', 'done'])
        delivery = job['deliveries'][0]
        self.assertEqual((delivery['destination'], delivery['stored'], delivery['instances']), ('pacs', 12, 12))
        self.assertAlmostEqual(job['timings']['total_s'], sum(
            job['timings'][k] or 0 for k in job['timings'] if k != 'total_s'), delta=0.5)
        self.assertEqual(job['output_series_uid'], {str(d.SeriesInstanceUID) for d in self.pacs.stored}.pop())

    def test_a_failed_job_says_what_to_do(self):
        job = self.viewer.get(f'/api/v1/jobs/{self.failed["id"]}').json
        self.assertIn('No sCT could be made', job['diagnosis']['title'])
        self.assertTrue(job['reason'] and job['diagnosis']['mend'])
        self.assertEqual(sorted(job['actions']), ['cancel', 'retry'])

    def test_a_series_that_no_rule_wants_says_which_is_nearest(self):
        series = self.viewer.get('/api/v1/series', state='discarded').json['items'][0]
        self.assertIn('nearest is "mr": it has 4 slices, the rule wants at least 5', series['reason'])
        kinds = {t['kind'] for t in self.viewer.get('/api/v1/diagnosis').json['items']}
        self.assertIn('almost_matched', kinds)
        tested = self.viewer.post('/api/v1/rules/test', {'series_id': series['id']}).json
        self.assertEqual((tested['rule'], tested['rules'][0]['holds']), (None, False))

    def test_first_day_failures_are_told_with_their_mend(self):
        subprocess.run(['echoscu', '-aec', 'WRONG', '127.0.0.1', str(self.daemon.port)], stderr=subprocess.DEVNULL)
        with socket.create_connection(('127.0.0.1', self.daemon.port)) as s:
            s.sendall(bytes.fromhex('160301020001000001fc0303') + bytes(32))
            s.settimeout(5)
            s.recv(10)
        subprocess.run(['storescu', '-xe', '-aec', 'SCTD', '127.0.0.1', str(self.daemon.port),
                        str(next((self.root / 'good').glob('*.dcm')))], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        from pynetdicom import AE
        from pynetdicom.sop_class import ModalityWorklistInformationFind
        ae = AE()
        ae.add_requested_context(ModalityWorklistInformationFind)
        ae.associate('127.0.0.1', self.daemon.port, ae_title='SCTD')
        wanted = {'called_ae', 'tls_on_plain_port', 'no_contexts'}
        troubles = self.viewer.wait('/api/v1/diagnosis', lambda page: wanted <= {t['kind'] for t in page['items']})
        self.assertTrue(all(t['mend'] and t['title'] for t in troubles['items']))

    def test_pages_follow_each_other(self):
        first = self.viewer.get('/api/v1/jobs', limit=1).json
        second = self.viewer.get('/api/v1/jobs', limit=1, cursor=first['next']).json
        self.assertEqual([j['id'] for j in first['items'] + second['items']], [2, 1])
        self.assertIsNone(second['next'])
        oldest = self.viewer.get('/api/v1/jobs', order='oldest').json
        self.assertEqual([j['id'] for j in oldest['items']], [1, 2])
        made = oldest['items'][0]['created']
        self.assertEqual(len(self.viewer.get('/api/v1/jobs', before=made).json['items']), 0)
        self.assertEqual(self.viewer.get('/api/v1/jobs', rule='none').json['items'], [])

    def test_the_day_is_summed_up(self):
        day = self.viewer.get('/api/v1/activity').json
        total = {k: sum(b[k] for b in day['buckets']) for k in ('received', 'done', 'failed', 'slices')}
        self.assertEqual(total, {'received': 3, 'done': 1, 'failed': 1, 'slices': 12})
        self.assertEqual(day['bucket_s'] * len(day['buckets']), 25 * 3600 - 45 * 60)

    def test_pictures_are_drawn_without_words(self):
        images = self.viewer.get('/api/v1/jobs/1/images').json
        self.assertTrue(images['source'] and images['sct'])
        self.assertEqual({p['plane']: p['slices'] for p in images['planes']}['axial'], 12)
        for which in ('source', 'sct', 'overlay'):
            answer = self.viewer.get('/api/v1/jobs/1/preview.png', which=which, slice=5, center=40, width=400)
            self.assertEqual((answer.status, answer.headers['Content-Type']), (200, 'image/png'))
            self.assertTrue(answer.body.startswith(b'\x89PNG'))
            self.assertNotIn(b'tEXt', answer.body)
        self.assertEqual(self.viewer.get('/api/v1/jobs/1/preview.png', slice=12).status, 404)
        self.assertEqual(self.viewer.get('/api/v1/jobs/1/preview.png', plane='oblique').status, 400)
        counts = self.viewer.get('/api/v1/jobs/1/histogram').json
        self.assertIsNone(counts['source'])
        self.assertEqual(len(counts['sct']), 128)
        self.assertEqual(self.viewer.get('/api/v1/series/2/preview.png').status, 200)

    def test_models_are_shown_and_verified(self):
        model = self.viewer.get('/api/v1/models').json['items'][0]
        self.assertEqual((model['name'], model['version'], model['active'], model['in_use'], model['error']),
                         ('small', '1', True, True, ''))
        whole = self.viewer.get('/api/v1/models/small@1').json
        self.assertEqual((whole['manifest']['name'], whole['weights_sha256']), ('small', model['weights_sha256']))
        self.assertTrue(self.operator.post('/api/v1/models/small@1/verify').json['ok'])
        self.assertEqual(self.viewer.get('/api/v1/models/none@1').status, 404)

    def test_a_destination_is_echoed(self):
        result = self.operator.post('/api/v1/destinations/pacs/echo').json
        self.assertTrue(result['ok'], result)
        self.assertGreater(result['milliseconds'], 0)
        self.assertEqual(self.operator.post('/api/v1/destinations/none/echo').status, 404)

    def test_the_configuration_is_shown_without_secrets(self):
        answer = self.admin.get('/api/v1/configuration')
        self.assertEqual(answer.json['http']['tokens'][0], {'name': 'view', 'role': 'viewer', 'identity': False})
        for token in self.daemon.settings['http']['tokens']:
            self.assertNotIn(token['sha256'].encode(), answer.body)

    # Who may ask

    def test_each_role_may_what_it_may(self):
        wrong = Client(self.daemon, None)
        for path in ('/api/v1/status', '/api/v1/jobs', '/api/v1/events', '/metrics', '/api/v1/configuration'):
            self.assertEqual(wrong.get(path).status, 401, path)
            self.assertEqual(wrong.get(path).json['status'], 401)
        self.assertEqual(self.viewer.post('/api/v1/jobs/2/retry').status, 403)
        self.assertEqual(self.viewer.get('/api/v1/audit').status, 403)
        self.assertEqual(self.operator.get('/api/v1/configuration').status, 403)
        self.assertEqual(self.operator.ask('DELETE', '/api/v1/jobs/1/result').status, 403)
        self.assertEqual(wrong.get('/api/v1/status', headers={'Authorization': 'Basic YTpi'}).status, 401)

    def test_a_browser_needs_more_than_its_cookie(self):
        browser = Client(self.daemon, None)
        answer = browser.post('/api/v1/session', {'token': TOKENS['operate']})
        cookie = answer.headers['Set-Cookie']
        self.assertIn('HttpOnly', cookie)
        self.assertIn('SameSite=Strict', cookie)
        held = {'Cookie': cookie.split(';')[0]}
        self.assertEqual(browser.get('/api/v1/session', headers=held).json['role'], 'operator')
        self.assertEqual(browser.post('/api/v1/jobs/99/cancel', headers=held).status, 403)
        held['X-CSRF-Token'] = answer.json['csrf']
        self.assertEqual(browser.post('/api/v1/jobs/99/cancel', headers=held).status, 404)
        self.assertEqual(browser.post('/api/v1/jobs/99/cancel', headers=held | {'Origin': 'http://evil.example'}).status, 403)
        self.assertEqual(browser.ask('DELETE', '/api/v1/session', headers=held).status, 204)
        self.assertEqual(browser.get('/api/v1/session', headers=held).status, 401)

    def test_what_was_changed_stands_in_the_audit_log(self):
        self.assertEqual(self.operator.post(f'/api/v1/jobs/{self.failed["id"]}/retry', {'reason': 'once more'}).status, 200)
        self.assertEqual(self.operator.post(f'/api/v1/jobs/{self.done["id"]}/retry').status, 409)
        entry = next(e for e in self.admin.get('/api/v1/audit').json['items'] if e['kind'] == 'job-retry')
        self.assertEqual((entry['actor'], entry['subject'], entry['text']), ('operate', str(self.failed['id']), 'once more'))
        self.viewer.wait(f'/api/v1/jobs/{self.failed["id"]}', lambda job: job['state'] == 'failed')

    # Who the patient is

    def test_nobody_without_the_right_learns_who_a_patient_is(self):
        paths = ['/api/v1/status', '/api/v1/jobs', '/api/v1/jobs?timings=true', '/api/v1/jobs/1', '/api/v1/jobs/2', '/api/v1/series',
                 '/api/v1/series/1', '/api/v1/series/2', '/api/v1/models', '/api/v1/models/small@1', '/api/v1/destinations',
                 '/api/v1/rules', '/api/v1/configuration', '/api/v1/audit', '/api/v1/diagnosis', '/api/v1/activity', '/metrics',
                 '/healthz', '/readyz', '/api/v1/openapi.json', '/api/v1/jobs/1/preview.png', '/api/v1/jobs/1/images',
                 '/api/v1/jobs/1/histogram', '/api/v1/series/1/preview.png', '/', '/assets/app.js']
        seen = b''
        for path in paths:
            answer = self.admin.get(path)
            self.assertEqual(answer.status, 200, path)
            seen += answer.body + str(answer.headers).encode()
        for path in ('/api/v1/jobs', '/api/v1/jobs/1', '/api/v1/series/1'):
            self.assertEqual(self.admin.get(path, identity='true').status, 403)
        seen += json.dumps(self.daemon.events).encode()
        for canary in (b'CANARY', b'PETRA', b'4711'):
            self.assertNotIn(canary, seen)

    def test_who_has_the_right_sees_it_and_is_noted(self):
        physicist = Client(self.daemon, 'physicist')
        answer = physicist.get('/api/v1/jobs/1', identity='true')
        self.assertEqual((answer.json['patient']['name'], answer.json['patient']['id']), (NAME, PATIENT))
        self.assertEqual(answer.headers['Cache-Control'], 'no-store')
        self.assertNotIn('name', physicist.get('/api/v1/jobs/1').json['patient'])
        entry = self.admin.get('/api/v1/audit', kind='identity').json['items'][0]
        self.assertEqual((entry['actor'], entry['subject']), ('physicist', '1'))
        both = {j['patient']['pseudonym'] for j in self.viewer.get('/api/v1/jobs').json['items']}
        self.assertEqual(len(both), 1)  # of one patient

    # Protocol

    def test_what_has_not_changed_is_not_sent_again(self):
        first = self.viewer.get('/api/v1/jobs/1')
        again = self.viewer.get('/api/v1/jobs/1', headers={'If-None-Match': first.headers['ETag']})
        self.assertEqual((again.status, again.body), (304, b''))
        packed = self.viewer.get('/api/v1/openapi.json', headers={'Accept-Encoding': 'gzip'})
        self.assertEqual(packed.headers['Content-Encoding'], 'gzip')
        self.assertEqual(gzip.decompress(packed.body), self.viewer.get('/api/v1/openapi.json').body)
        head = self.viewer.ask('HEAD', '/api/v1/jobs/1')
        self.assertEqual((head.status, head.body, head.headers['ETag']), (200, b'', first.headers['ETag']))

    def test_errors_are_problems(self):
        for method, path, body, headers, status in (
                ('GET', '/api/v1/none', None, {}, 404), ('GET', '/api/v1/jobs/77', None, {}, 404), ('GET', '/api/v1/jobs?state=x', None, {}, 400),
                ('GET', '/api/v1/jobs?unknown=1', None, {}, 400), ('GET', '/api/v1/jobs?from=yesterday', None, {}, 400),
                ('PUT', '/api/v1/jobs', None, {}, 405), ('GET', '/api/v1/jobs', None, {'Accept': 'text/html'}, 406),
                ('POST', '/api/v1/jobs/1/cancel', b'x', {'Content-Type': 'text/plain'}, 415),
                ('POST', '/api/v1/jobs/1/cancel', b'{', {'Content-Type': 'application/json'}, 400),
                ('POST', '/api/v1/jobs/1/cancel', b'{"wrong":1}', {'Content-Type': 'application/json'}, 400),
                ('POST', '/api/v1/jobs/1/prioritise', b'{"priority":10}', {'Content-Type': 'application/json'}, 400),
                ('POST', '/api/v1/jobs/1/cancel', b'x' * 70000, {'Content-Type': 'application/json'}, 413),
                ('GET', '/api/%2e%2e/etc', None, {}, 400)):
            client = Client(self.daemon, 'admin')
            answer = client.ask(method, path, body, headers)
            self.assertEqual((answer.status, answer.headers['Content-Type']), (status, 'application/problem+json'), path)
            self.assertTrue(answer.json['detail'])
            client.close()
        self.assertEqual(self.viewer.ask('PUT', '/api/v1/jobs').headers['Allow'], 'GET, HEAD')

    def test_changes_come_by_themselves(self):
        with socket.create_connection(('127.0.0.1', self.viewer.port)) as s:
            s.settimeout(20)
            s.sendall(f'GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKENS["view"]}\r\n\r\n'.encode())
            got = b''
            while b'retry:' not in got:
                got += s.recv(4096)
            self.operator.post(f'/api/v1/jobs/{self.failed["id"]}/retry')
            while b'"state":"failed"' not in got:
                got += s.recv(4096)
        self.assertRegex(got.decode(), rf'event: job\ndata: {{"id":{self.failed["id"]},"state":"failed"')

    def test_the_page_loads_nothing_from_elsewhere(self):
        page = self.viewer.get('/')
        self.assertIn("default-src 'none'", page.headers['Content-Security-Policy'])
        names = re.findall(r'(?:href|src)="(/assets/[^"]+)"', page.body.decode())
        self.assertGreater(len(names), 2)
        for name in names:
            self.assertEqual(self.viewer.get(name).status, 200, name)
        self.assertNotRegex(page.body.decode(), r'(?:href|src)="(?:https?:)?//')
        self.assertEqual(self.viewer.get('/assets/..%2fopenapi.json').status, 400)

    def test_metrics_tell_what_happened(self):
        text = self.viewer.get('/metrics').body.decode()
        value = {line.rsplit(' ', 1)[0]: float(line.rsplit(' ', 1)[1]) for line in text.splitlines() if not line.startswith('#')}
        self.assertEqual(value['sctd_instances_received_total{outcome="stored"}'], 12 + 4 + 11)
        self.assertEqual(value['sctd_jobs{state="done"}'], 1)
        self.assertEqual(value['sctd_jobs_ended_total{model="small@1",outcome="done"}'], 1)
        self.assertEqual(value['sctd_engine_slices_total{model="small@1"}'], 12)
        self.assertEqual(value['sctd_job_turnaround_seconds_count'], 1)
        self.assertEqual(value['sctd_job_turnaround_seconds_bucket{le="+Inf"}'], 1)
        self.assertEqual(value['sctd_destination_backlog{destination="pacs"}'], 0)
        self.assertEqual((value['sctd_ready'], value['sctd_worker_slots']), (1, 1))


class Reviews(unittest.TestCase):
    """Results that need review, and a PACS that comes late."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        root = pathlib.Path(self.folder.name)
        (root / 'state' / 'models').mkdir(parents=True)
        make_model(SCTD, root / 'state' / 'models')
        self.port = free_port()
        self.daemon = Daemon(SCTD, root, rules=[{'name': 'mr', 'match': {'modality': 'MR'}, 'model': 'small@1', 'destinations': ['pacs']}],
                             destinations=[{'name': 'pacs', 'ae_title': 'PACS', 'host': '127.0.0.1', 'port': self.port,
                                            'no_storage_commitment': True}], http=section()).start()
        self.addCleanup(self.daemon.stop)
        self.viewer, self.operator, self.admin = (Client(self.daemon, who) for who in ('view', 'operate', 'admin'))
        for seed in (1, 2):
            store(self.daemon, make_series(SCTD, root / f'series{seed}', seed=seed))
        self.viewer.wait('/api/v1/jobs', lambda page: len(page['items']) == 2, state='delivering')
        for job in (1, 2):
            need_review(self.daemon, job)
        self.pacs = Pacs(port=self.port)
        self.addCleanup(self.pacs.stop)

    def job(self, number):
        return self.viewer.get(f'/api/v1/jobs/{number}').json

    def say(self, number, verdict, body=None, who=None):
        return (who or self.operator).post(f'/api/v1/jobs/{number}/{verdict}', body)

    def test_what_is_held_waits_until_somebody_accepts_or_rejects_it(self):
        page = self.viewer.get('/api/v1/jobs', review='needed').json
        self.assertEqual([(j['id'], j['review'], j['held'], j['hold']) for j in page['items']], [(2, 'needed', True, True), (1, 'needed', True, True)])
        self.assertEqual(self.viewer.get('/api/v1/jobs', review='passed').json['items'], [])
        self.assertEqual(self.viewer.get('/api/v1/jobs', review='perhaps').status, 400)
        counts = self.viewer.get('/api/v1/status').json['review']
        self.assertEqual((counts['needed'], counts['held']), (2, 2))
        self.assertEqual(counts['held_since'], min(j['reviewed'] for j in page['items']))
        job = self.job(1)
        self.assertEqual(sorted(job['actions']), ['accept', 'cancel', 'prioritise', 'reject'])
        self.assertIn('held', job['diagnosis']['title'])
        self.assertEqual(self.viewer.get('/api/v1/jobs/1/quality').json, REPORT)
        self.assertEqual(self.operator.post('/api/v1/jobs/1/retry').status, 409)

        self.assertEqual(self.say(1, 'accept', who=self.viewer).status, 403)
        self.assertEqual(self.say(1, 'reject').status, 400)  # without a word
        self.assertEqual(self.say(1, 'reject', {'reason': ''}).status, 400)
        self.assertEqual(self.say(99, 'accept').status, 404)
        self.assertEqual(self.pacs.stored, [])
        self.assertTrue(self.job(1)['held'])

        self.assertEqual(self.say(1, 'accept', {'reason': 'the skull is whole'}).status, 200)
        job = self.viewer.wait('/api/v1/jobs/1', lambda job: job['state'] == 'done')
        self.assertEqual((job['review'], job['held']), ('accepted', False))
        self.assertIn('accepted: by operate: the skull is whole', [t['reason'] for t in job['history']])
        self.assertEqual({str(d.SeriesInstanceUID) for d in self.pacs.stored}, {job['output_series_uid']})
        self.assertEqual(self.say(1, 'accept').status, 409)

        self.assertEqual(self.say(2, 'reject', {'reason': 'a hole in the skull'}).status, 200)
        job = self.job(2)
        self.assertEqual((job['state'], job['review'], job['deliveries'][0]['state']), ('cancelled', 'rejected', 'cancelled'))
        self.assertEqual(self.operator.post('/api/v1/jobs/2/retry').status, 409)
        self.assertNotIn('retry', job['actions'])
        self.assertEqual({str(d.SeriesInstanceUID) for d in self.pacs.stored}, {self.job(1)['output_series_uid']})
        self.assertEqual(self.say(2, 'accept', {'reason': 'it was the marker'}).status, 200)
        self.viewer.wait('/api/v1/jobs/2', lambda job: job['state'] == 'done')
        self.assertEqual(len({str(d.SeriesInstanceUID) for d in self.pacs.stored}), 2)

        kinds = [(e['kind'], e['subject'], e['actor'], e['text']) for e in self.admin.get('/api/v1/audit').json['items']]
        for kind, job, text in (('job-accept', '1', 'the skull is whole'), ('job-reject', '2', 'a hole in the skull')):
            self.assertIn((kind, job, 'operate', text), kinds)
        counts = self.viewer.get('/api/v1/status').json['review']
        self.assertEqual(counts, {'needed': 0, 'needed_since': None, 'held': 0, 'held_since': None})

    def test_what_is_held_is_held_after_a_kill(self):
        self.daemon.stop(signal.SIGKILL)
        self.daemon.start()
        self.viewer, self.operator = Client(self.daemon), Client(self.daemon, 'operate')
        time.sleep(2)
        self.assertEqual((self.job(1)['held'], self.job(2)['held'], self.pacs.stored), (True, True, []))
        self.assertEqual(self.say(1, 'accept').status, 200)
        self.viewer.wait('/api/v1/jobs/1', lambda job: job['state'] == 'done')

    def test_only_a_job_with_checks_tells_of_them(self):
        self.assertEqual(self.viewer.get('/api/v1/jobs/99/quality').status, 404)
        self.assertEqual(Client(self.daemon, None).get('/api/v1/jobs/1/quality').status, 401)


class Attacks(unittest.TestCase):
    """What strangers and slow clients do costs others nothing."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.daemon = Daemon(SCTD, self.folder.name, rules=[], http=section(connections=64))
        self.daemon.start()
        self.addCleanup(lambda: self.assertEqual(self.daemon.stop(), 0))
        self.port = self.daemon.settings['http']['port']

    def connect(self):
        s = socket.create_connection(('127.0.0.1', self.port))
        s.settimeout(20)
        return s

    def test_five_hundred_slow_clients(self):
        slow = []
        stop = threading.Event()

        def drip():
            while not stop.wait(0.5):
                for s in slow:
                    try:
                        s.sendall(b'X-A: b\r\n')
                    except OSError:
                        pass
        for _ in range(500):
            s = self.connect()
            try:
                s.sendall(b'GET /healthz HTTP/1.1\r\nHost: x\r\n')
            except OSError:
                pass
            slow.append(s)
        thread = threading.Thread(target=drip)
        thread.start()
        times = []
        for _ in range(40):
            begin = time.monotonic()
            self.assertEqual(Client(self.daemon, None).get('/healthz').status, 200)
            times.append(time.monotonic() - begin)
            time.sleep(0.02)
        self.assertLess(sorted(times)[int(len(times) * 0.9)], 1)
        time.sleep(16)  # nobody has 15 s and more for a request
        stop.set()
        thread.join()
        alive = 0
        for s in slow:
            s.settimeout(0.5)
            try:
                alive += s.recv(1) != b''
            except TimeoutError:
                alive += 1
            except OSError:
                pass
            s.close()
        self.assertEqual(alive, 0)

    def test_hostile_bytes(self):
        for request in (b'GET / HTTP/1.1\r\nHost: x\r\nX: ' + b'a' * 100000 + b'\r\n\r\n', b'GET /' + b'a' * 100000 + b' HTTP/1.1\r\n\r\n',
                        b'\x16\x03\x01\x02\x00' + os.urandom(512), os.urandom(4096), b'GET\r\n\r\n', b'POST /api/v1/session HTTP/1.1\r\nHost: x\r\n'
                        b'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n' + b'10000\r\n' + b'a' * 65536 + b'\r\n' * 20,
                        b'POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n',
                        b'GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n', b'GET /assets/%2e%2e%2f%2e%2e%2fetc%2fpasswd HTTP/1.1\r\nHost: x\r\n\r\n'):
            with self.connect() as s:
                try:
                    s.sendall(request)
                    s.shutdown(socket.SHUT_WR)
                    answer = s.recv(65536)
                except OSError:
                    answer = b''
                self.assertNotIn(b' 200 ', answer.split(b'\r\n')[0])
                self.assertNotIn(b'root:', answer)
        self.assertEqual(Client(self.daemon, None).get('/healthz').status, 200)

    def test_guessing_tokens_is_slowed_down(self):
        nobody = Client(self.daemon, None)
        statuses = [nobody.get('/api/v1/status', headers={'Authorization': f'Bearer sctd_{i}'}).status for i in range(15)]
        self.assertEqual(set(statuses[:10]), {401})
        self.assertEqual(statuses[-1], 429)
        self.assertEqual(nobody.post('/api/v1/session', {'token': 'x'}).status, 429)
        self.assertEqual(Client(self.daemon, 'view').get('/api/v1/status').status, 200)

    def test_a_reader_that_stops_holds_nothing_up(self):
        with self.connect() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            for _ in range(50):
                s.sendall(b'GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n')
            begin = time.monotonic()
            self.assertEqual(Client(self.daemon, None).get('/healthz').status, 200)
            self.assertLess(time.monotonic() - begin, 1)

    def test_many_pages_may_watch_and_not_more(self):
        watching = []
        for _ in range(64):
            s = self.connect()
            s.sendall(f'GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKENS["view"]}\r\n\r\n'.encode())
            self.assertIn(b' 200 ', s.recv(100))
            watching.append(s)
        self.assertEqual(Client(self.daemon, 'view').get('/api/v1/events').status, 503)
        for s in watching:
            s.close()


class Configured(unittest.TestCase):
    def start(self, **http):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        daemon = Daemon(SCTD, self.root, rules=[], http=section(**http))
        self.addCleanup(daemon.stop)
        return daemon

    def certificate(self, name):
        paths = [self.root / f'{name}.pem', self.root / f'{name}.key']
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
                        '-subj', f'/CN={name}', '-addext', 'subjectAltName=DNS:localhost', '-out', paths[0], '-keyout', paths[1]],
                       check=True, stderr=subprocess.DEVNULL)
        return paths

    def test_tls_and_another_certificate(self):
        daemon = self.start()
        first, first_key = self.certificate('first')
        second, second_key = self.certificate('second')
        used, used_key = self.root / 'used.pem', self.root / 'used.key'
        used.write_bytes(first.read_bytes())
        used_key.write_bytes(first_key.read_bytes())
        daemon.settings['http'] |= {'certificate': str(used), 'key': str(used_key)}
        daemon.configure([], [])
        daemon.start()
        answer = Client(daemon, 'view', first).get('/api/v1/status')
        self.assertEqual(answer.status, 200)
        self.assertIn('max-age', answer.headers['Strict-Transport-Security'])
        cookie = Client(daemon, None, first).post('/api/v1/session', {'token': TOKENS['view']}).headers['Set-Cookie']
        self.assertTrue(cookie.startswith('__Host-') and '; Secure' in cookie)
        used_key.write_text('no key')
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for('reloaded')
        self.assertTrue(daemon.find('reload'))
        self.assertEqual(Client(daemon, 'view', first).get('/api/v1/status').status, 200)
        used.write_bytes(second.read_bytes())
        used_key.write_bytes(second_key.read_bytes())
        daemon.events.clear()
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for('reloaded')
        self.assertEqual(Client(daemon, 'view', second).get('/api/v1/status').status, 200)

    def test_tokens_change_with_a_reload(self):
        daemon = self.start().start()
        self.assertEqual(Client(daemon, 'view').get('/api/v1/status').status, 200)
        daemon.settings['http']['tokens'] = daemon.settings['http']['tokens'][1:]
        daemon.configure([], [])
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for('reloaded')
        self.assertEqual(Client(daemon, 'view').get('/api/v1/status').status, 401)
        self.assertEqual(Client(daemon, 'admin').get('/api/v1/status').status, 200)

    def test_what_is_not_safe_is_refused(self):
        for http, words in (({'address': '0.0.0.0'}, 'is reached from other machines'), ({'certificate': '/x'}, 'both certificate and key'),
                            ({'tokens': [{'name': 'a', 'sha256': '00'}]}, '64 hex digits'),
                            ({'tokens': [{'name': 'a', 'role': 'root', 'sha256': '00' * 32}]}, 'viewer, operator or admin')):
            daemon = self.start(**http)
            done = subprocess.run([SCTD, 'serve', '--config', daemon.config], capture_output=True, text=True, timeout=30)
            self.assertEqual(done.returncode, 1)
            self.assertIn(words, done.stderr)

    def test_sctd_token_makes_what_the_configuration_wants(self):
        made = json.loads(subprocess.run([SCTD, 'token', '--name', 'new', '--role', 'operator', '--json'], capture_output=True, check=True).stdout)
        daemon = self.start(tokens=[{k: made[k] for k in ('name', 'role', 'identity', 'sha256')}]).start()
        client = Client(daemon, None)
        answer = client.get('/api/v1/session', headers={'Authorization': 'Bearer ' + made['token']})
        self.assertEqual((answer.json['name'], answer.json['role']), ('new', 'operator'))


if __name__ == '__main__':
    unittest.main()
