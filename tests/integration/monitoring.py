# SPDX-License-Identifier: Apache-2.0
"""What monitoring systems read of a running daemon, against what was really sent to it: every family of /metrics, the
alerts and the dashboard in a real Prometheus, the plugin, the Zabbix template, and their documentation."""
import collections
import json
import math
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
import urllib.request

from kit import venv

venv.enter()

import yaml
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage
from pynetdicom import AE, build_role
from pynetdicom.sop_class import StorageCommitmentPushModel
from prometheus_client.parser import text_string_to_metric_families

from kit import reactor
from kit.daemon import Daemon, free_port, make_model, make_series, store
from kit.delivering import COMMITMENT_INSTANCE, Pacs
from kit.http import TOKENS, Client, section
from kit.reviewing import need_review

SCTD = sys.argv.pop(1)
FOLDER = venv.ROOT / 'deploy' / 'monitoring'
RULES, DASHBOARD, ZABBIX = FOLDER / 'sctd.rules.yml', FOLDER / 'sctd.grafana.json', FOLDER / 'sctd.zabbix.yaml'
PLUGIN, GUIDE = FOLDER / 'check_sctd', venv.ROOT / 'docs' / 'monitoring.md'
TOOLS = pathlib.Path(subprocess.run([venv.ROOT / 'tests' / 'promtool.sh'], check=True, capture_output=True,
                                    text=True).stdout.strip())
SUFFIX = re.compile(r'_(bucket|sum|count)$')
FOREIGN = {'up', 'ALERTS'}


def report(daemon, calling, transaction, uids):
    """Storage commitment of all of them, on an association that the PACS opens."""
    ae = AE(ae_title=calling)
    ae.add_requested_context(StorageCommitmentPushModel)
    association = ae.associate('127.0.0.1', daemon.port, ae_title='SCTD', ext_neg=[build_role(StorageCommitmentPushModel, scp_role=True)])
    said = Dataset()
    said.TransactionUID, said.ReferencedSOPSequence = transaction, []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, uid
        said.ReferencedSOPSequence.append(item)
    status, _ = association.send_n_event_report(said, 1, StorageCommitmentPushModel, COMMITMENT_INSTANCE)
    assert status.Status == 0
    association.release()


def parse(text):
    """{name of a sample: {labels: value}} and {family: type}, by Prometheus' own client library."""
    samples, kinds = collections.defaultdict(dict), {}
    for family in text_string_to_metric_families(text):
        kinds[family.name] = family.type
        for sample in family.samples:
            samples[sample.name][tuple(sorted(sample.labels.items()))] = sample.value
    return samples, kinds


def of(expression):
    """The families that a query names, with the labels that it wants of each."""
    text = re.sub(r'\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)', ' ', expression)
    for name, labels in re.findall(r'\b((?:sctd|process)_[a-z_]+)(?:\{([^}]*)\})?', text):
        yield name, re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', labels or '')


class Prometheus:
    """A real one, which scrapes the daemon and knows the rules."""

    def __init__(self, folder, daemon):
        folder.mkdir()
        self.port = free_port()
        (folder / 'token').write_text(TOKENS['view'])
        (folder / 'prometheus.yml').write_text(json.dumps({
            'global': {'scrape_interval': '1s', 'evaluation_interval': '1s'}, 'rule_files': [str(RULES)],
            'scrape_configs': [{'job_name': 'sctd', 'authorization': {'credentials_file': str(folder / 'token')},
                                'static_configs': [{'targets': [f'127.0.0.1:{daemon.settings["http"]["port"]}']}]}]}))
        with open(folder / 'log', 'w', encoding='utf-8') as log:
            self.process = subprocess.Popen(
                [TOOLS / 'prometheus', f'--config.file={folder}/prometheus.yml', f'--storage.tsdb.path={folder}/data',
                 f'--web.listen-address=127.0.0.1:{self.port}'], stdout=log, stderr=log, cwd=folder)

    def ask(self, path, **params):
        url = f'http://127.0.0.1:{self.port}/api/v1/{path}?' + urllib.parse.urlencode(params)
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)['data']

    def query(self, expression):
        return self.ask('query', query=expression)['result']

    def wait(self, expression, timeout=60):
        end = time.monotonic() + timeout
        while True:
            try:
                found = self.query(expression)
                if found:
                    return found
            except OSError:
                pass
            if time.monotonic() > end:
                raise AssertionError(f'nothing for {expression}')
            time.sleep(0.2)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


class Watched(unittest.TestCase):
    """40 instances in four series: one delivered, one on its way to a destination that is down, one refused by the
    worker, one that no rule wants; one instance sent again, one sent with other bytes; three peers turned away."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.root = pathlib.Path(cls.folder.name)
        (cls.root / 'state' / 'models').mkdir(parents=True)
        make_model(SCTD, cls.root / 'state' / 'models')
        cls.pacs = Pacs()
        cls.addClassCleanup(cls.pacs.stop)
        rules = [{'name': name, 'match': {'modality': 'MR', 'station_name': station, 'min_slices': 6}, 'model': 'small@1',
                  'destinations': [name]} for name, station in (('away', 'AWAY'), ('pacs', '*'))]
        cls.daemon = Daemon(SCTD, cls.root, rules=rules, destinations=[
            {'name': name, 'ae_title': 'PACS', 'host': '127.0.0.1', 'port': port, 'no_storage_commitment': True}
            for name, port in (('pacs', cls.pacs.port), ('away', free_port()))],
            http=section(), workers={'slots': 1, 'batch': 3})
        cls.started = time.time()
        cls.daemon.start()
        cls.addClassCleanup(cls.daemon.stop, signal.SIGKILL)
        cls.prometheus = Prometheus(cls.root / 'prometheus', cls.daemon)
        cls.addClassCleanup(cls.prometheus.stop)
        cls.viewer = Client(cls.daemon, 'view')
        cls.prometheus.wait('sctd_jobs_ended_total')
        cls.send()
        cls.samples, cls.kinds = parse(cls.viewer.get('/metrics').body.decode())

    @classmethod
    def send(cls):
        import pydicom
        series = {name: make_series(SCTD, cls.root / name, seed=seed, slices=slices)
                  for seed, (name, slices) in enumerate((('good', 12), ('away', 12), ('gap', 12), ('short', 5)), 1)}
        for file in series['away']:
            ds = pydicom.dcmread(file)
            ds.StationName = 'AWAY'
            ds.save_as(file)
        del series['gap'][5]
        cls.sent = [file for files in series.values() for file in files]
        for files in series.values():
            store(cls.daemon, files)
        for state in ('done', 'failed', 'delivering'):
            cls.viewer.wait('/api/v1/jobs', lambda page: page['items'], state=state)
        cls.viewer.wait('/api/v1/series', lambda page: page['items'], state='discarded')
        cls.viewer.wait('/api/v1/destinations', lambda page: page['items'][1]['failures'] > 0)
        store(cls.daemon, series['good'][:1])
        ds = pydicom.dcmread(series['good'][1])
        ds.PatientID = 'SOMEBODY^ELSE'
        ds.save_as(cls.root / 'other.dcm')
        store(cls.daemon, [cls.root / 'other.dcm'], fails=True)
        for _ in range(3):
            subprocess.run(['echoscu', '-aec', 'WRONG', '127.0.0.1', str(cls.daemon.port)], stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while len(cls.daemon.find('association-end')) < 6 and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.5)  # ends of jobs are gathered before they are counted

    def value(self, name, **labels):
        return self.samples[name][tuple(sorted(labels.items()))]

    def values(self, name):
        return {'/'.join(v for _, v in labels): value for labels, value in self.samples[name].items()}

    # What was sent

    def test_what_came_in_is_counted(self):
        self.assertEqual(len(self.sent), 40)
        self.assertEqual(self.values('sctd_instances_received_total'),
                         {'stored': 40, 'duplicate': 1, 'conflict': 1, 'series_full': 0, 'no_room': 0, 'failed': 0})
        self.assertEqual(self.values('sctd_instances_answered_total'), {'stored': 41, 'refused': 1})
        kept = [p.stat().st_size for p in self.daemon.files('spool/series')]
        self.assertEqual(self.value('sctd_received_bytes_total'), sum(kept))
        self.assertEqual(self.value('sctd_associations_accepted_total'), 6)
        ends = self.values('sctd_associations_ended_total')
        self.assertEqual((ends.pop('released') + ends.pop('aborted'), set(ends.values())), (6, {0}))
        rejected = self.values('sctd_associations_rejected_total')
        self.assertEqual((rejected.pop('called-ae'), set(rejected.values())), (3, {0}))
        self.assertEqual((self.value('sctd_associations_open'), self.value('sctd_associations_max')), (0, 64))
        self.assertEqual(self.value('sctd_series_open'), 0)

    def test_jobs_are_counted_and_timed(self):
        self.assertEqual(self.values('sctd_jobs'), {'queued': 0, 'retry': 0, 'running': 0, 'delivering': 1, 'done': 1,
                                                    'failed': 1, 'poison': 0, 'cancelled': 0})
        self.assertEqual(self.values('sctd_jobs_ended_total'), {
            'small@1/done': 1, 'small@1/failed': 1, 'small@1/poison': 0, 'small@1/cancelled': 0})
        self.assertEqual(self.values('sctd_worker_attempts_total'),
                         {'done': 2, 'refused': 1, 'failed': 0, 'died': 0, 'released': 0, 'broken': 0})
        self.assertEqual(set(self.values('sctd_jobs_running').values()), {0})
        self.assertEqual(self.value('sctd_jobs_oldest_queued_seconds'), 0)
        for name, number in (('sctd_worker_slots', 1), ('sctd_workers_alive', 1), ('sctd_workers_busy', 0),
                             ('sctd_workers_held_back', 0), ('sctd_workers_broken', 0), ('sctd_workers_fallback', 0), ('sctd_engine_batch', 3)):
            self.assertEqual(self.value(name), number, name)
        self.assertEqual(self.values('sctd_worker_slot_failures'), {'auto/1': 0})
        self.assertEqual([name.split(',')[0] for name in self.values('sctd_worker_slot_info')], ['cpu'])
        timings = self.viewer.get('/api/v1/jobs/' + str(
            self.viewer.get('/api/v1/jobs', state='done').json['items'][0]['id'])).json['timings']
        self.assertEqual(self.value('sctd_engine_slices_total', model='small@1'), 12)
        self.assertAlmostEqual(self.value('sctd_engine_seconds_total', model='small@1'), timings['convert_s'])
        self.assertAlmostEqual(self.value('sctd_engine_last_slices_per_second'), 12 / timings['convert_s'])
        self.assertAlmostEqual(self.value('sctd_job_turnaround_seconds_sum'), timings['total_s'])
        for stage in ('queue', 'load', 'assemble', 'convert', 'write', 'deliver', 'commit'):
            self.assertEqual(self.value('sctd_job_stage_seconds_count', stage=stage), 1, stage)
            self.assertAlmostEqual(self.value('sctd_job_stage_seconds_sum', stage=stage), timings[f'{stage}_s'])
        self.assertEqual((self.value('sctd_job_stage_seconds_count', stage='check'), timings['check_s']), (0, None))

    def test_nothing_needs_review_where_no_model_has_limits(self):
        for name in ('sctd_review_needed', 'sctd_review_needed_oldest_seconds', 'sctd_review_held', 'sctd_review_held_oldest_seconds'):
            self.assertEqual(self.value(name), 0, name)
        self.assertEqual(self.values('sctd_results_checked_total'), {'small@1/passed': 0, 'small@1/review': 0})
        checks = self.values('sctd_checks_failed_total')
        self.assertEqual((len(checks), set(checks.values()), 'outline/small@1' in checks), (8, {0}, True))

    def test_histograms_are_cumulative_and_end_in_their_count(self):
        histograms = [name for name, kind in self.kinds.items() if kind == 'histogram']
        self.assertEqual(sorted(histograms), ['sctd_job_stage_seconds', 'sctd_job_turnaround_seconds'])
        for name in histograms:
            for labels, count in self.samples[f'{name}_count'].items():
                buckets = sorted((float(dict(k)['le']), v) for k, v in self.samples[f'{name}_bucket'].items()
                                 if set(labels) <= set(k))
                self.assertEqual([v for _, v in buckets], sorted(v for _, v in buckets))
                self.assertEqual(buckets[-1], (math.inf, count))
                took = self.samples[f'{name}_sum'][labels]
                self.assertEqual([v for _, v in buckets], [float(count > 0 and took <= bound) for bound, _ in buckets])

    def test_destinations_are_told_apart(self):
        self.assertEqual(self.values('sctd_destination_backlog'), {'pacs': 0, 'away': 1})
        failures, ages = (self.values(f'sctd_destination_{n}') for n in ('failures', 'oldest_seconds'))
        self.assertEqual((failures['pacs'], ages['pacs']), (0, 0))
        self.assertGreaterEqual(failures['away'], 1)
        self.assertTrue(0 < ages['away'] < time.time() - self.started)
        last = self.values('sctd_destination_last_success_timestamp_seconds')
        self.assertEqual(last['away'], 0)
        self.assertTrue(self.started < last['pacs'] < time.time())

    def test_no_commitment_is_awaited_where_none_is_wanted(self):
        for name in ('sctd_destination_uncommitted', 'sctd_destination_uncommitted_oldest_seconds'):
            self.assertEqual(self.values(name), {'pacs': 0, 'away': 0}, name)
        self.assertEqual(self.values('sctd_commitments_total'), {f'{name}/{end}': 0 for name in ('pacs', 'away') for end in ('committed', 'given_up')})
        for name in ('sctd_commitment_reports_owed', 'sctd_commitment_reports_owed_oldest_seconds'):
            self.assertEqual(self.value(name), 0, name)
        self.assertEqual(self.values('sctd_commitment_reports_total'), {'heard': 0, 'heard_later': 0, 'given_up': 0, 'lost': 0})

    def test_disk_store_and_process_are_what_the_system_says(self):
        disk = os.statvfs(self.daemon.state)
        for name, truth in (('free_bytes', disk.f_bavail * disk.f_frsize), ('size_bytes', disk.f_blocks * disk.f_frsize),
                            ('free_files', disk.f_favail)):
            self.assertAlmostEqual(self.value(f'sctd_disk_{name}'), truth, delta=truth / 20)
        self.assertEqual(self.value('sctd_disk_min_free_ratio'), 0.1)
        samples, _ = parse(self.viewer.get('/metrics').body.decode())
        store = self.daemon.state / 'jobs.db'
        self.assertEqual(samples['sctd_job_store_wal_bytes'][()], pathlib.Path(f'{store}-wal').stat().st_size)
        self.assertAlmostEqual(samples['sctd_job_store_bytes'][()], store.stat().st_size, delta=1 << 20)
        proc = pathlib.Path('/proc') / str(self.daemon.process.pid)
        self.assertAlmostEqual(samples['process_open_fds'][()], len(os.listdir(proc / 'fd')), delta=3)
        resident = int(re.search(r'VmRSS:\s+(\d+)', (proc / 'status').read_text())[1]) * 1024
        self.assertAlmostEqual(samples['process_resident_memory_bytes'][()], resident, delta=resident / 4)
        limit = int(re.search(r'Max open files\s+(\d+)', (proc / 'limits').read_text())[1])
        self.assertEqual(samples['process_max_fds'][()], limit)
        ticks = sum(map(int, (proc / 'stat').read_text().rsplit(') ', 1)[1].split()[11:13]))
        self.assertAlmostEqual(samples['process_cpu_seconds_total'][()], ticks / os.sysconf('SC_CLK_TCK'), delta=0.5)
        self.assertAlmostEqual(samples['process_start_time_seconds'][()], self.started, delta=60)
        version = subprocess.run([SCTD, '--version'], check=True, capture_output=True, text=True).stdout
        self.assertIn(self.values('sctd_build_info').popitem()[0].split('/')[1], version)

    def test_health_and_http(self):
        self.assertEqual(self.value('sctd_ready'), 1)
        checks = {c['name'] for c in self.viewer.get('/readyz').json['checks']}
        self.assertEqual(self.values('sctd_check_ok'), {name: 1 for name in checks})
        before = parse(self.viewer.get('/metrics').body.decode())[0]['sctd_http_requests_total']
        for _ in range(5):
            Client(self.daemon, None).get('/api/v1/status')
        after = parse(self.viewer.get('/metrics').body.decode())[0]
        grown = {dict(k)['code']: v - before[k] for k, v in after['sctd_http_requests_total'].items()}
        self.assertEqual((grown['4xx'], grown['5xx'], grown['3xx']), (5, 0, 0))
        self.assertGreaterEqual(after['sctd_http_connections'][()], 1)
        self.assertEqual(after['sctd_http_streams'][()], 0)

    def test_every_family_is_checked_here_and_documented(self):
        known = pathlib.Path(__file__).read_text().split('def test_every_family')[0]
        guide = GUIDE.read_text()
        for family, kind in self.kinds.items():
            name = f'{family}_total' if kind == 'counter' else family
            short = re.sub(r'^sctd_(destination|disk)_', '', name)
            self.assertRegex(known, rf"'({name}|{short})(_\w+)?'|'{family}", name)
            self.assertIn(f'`{name}`', guide)
        documented = set(re.findall(r'`((?:sctd|process)_[a-z_]+)`', guide))
        self.assertEqual(documented - {f'{f}_total' if k == 'counter' else f for f, k in self.kinds.items()}, set())

    # What reads it

    def test_promtool_finds_nothing_to_say(self):
        body = self.viewer.get('/metrics').body
        for words, text in ((['check', 'metrics'], body), (['check', 'rules', RULES], None),
                            (['test', 'rules', FOLDER / 'sctd.rules.test.yml'], None)):
            result = subprocess.run([TOOLS / 'promtool', *words], input=text, capture_output=True, cwd=FOLDER, check=False)
            self.assertEqual((result.returncode, result.stderr), (0, b''), result.stdout)

    def check_query(self, expression):
        named = 0
        for name, wanted in of(expression):
            self.assertIn(name, self.samples, expression)
            named += 1
            for label, operator, value in wanted:
                if label in ('instance', 'job'):
                    continue
                seen = {dict(labels).get(label) for labels in self.samples[name]}
                if operator in ('=', '!='):
                    self.assertIn(value, seen, expression)
                else:
                    self.assertTrue(set(value.split('|')) <= seen, expression)
        return named

    def test_alerts_ask_for_what_there_is_and_are_documented(self):
        guide = GUIDE.read_text()
        for rule in yaml.safe_load(RULES.read_text())['groups'][0]['rules']:
            self.check_query(rule['expr'])
            self.assertIn(f'\n### {rule["alert"]}\n', guide)
            self.assertEqual(rule['annotations']['runbook'], f'docs/monitoring.md#{rule["alert"].lower()}')
        loaded = self.prometheus.ask('rules')['groups'][0]['rules']
        self.assertEqual({(r['name'], r['health'], r.get('lastError', '')) for r in loaded if r['health'] != 'ok'}, set())

    def test_alerts_fire_in_a_real_prometheus(self):
        for name in ('SctdJobsFailed', 'SctdInstancesRefused'):
            self.assertEqual(len(self.prometheus.wait(f'ALERTS{{alertname="{name}",alertstate="firing"}}')), 1)
        firing = {a['metric']['alertname'] for a in self.prometheus.query('ALERTS{alertstate="firing"}')}
        self.assertEqual(firing, {'SctdJobsFailed', 'SctdInstancesRefused'})

    def test_the_dashboard_asks_for_what_there_is(self):
        board = json.loads(DASHBOARD.read_text())
        panels = [p for p in board['panels'] if p['type'] != 'row']
        self.assertEqual(len({p['id'] for p in board['panels']}), len(board['panels']))
        for panel in panels:
            for target in panel['targets']:
                self.assertGreater(self.check_query(target['expr']), 0)
                query = target['expr'].replace('$__rate_interval', '1m').replace('$instance', '.*')
                self.prometheus.query(query)
        spots = [(x, y) for p in board['panels'] for x in range(p['gridPos']['x'], p['gridPos']['x'] + p['gridPos']['w'])
                 for y in range(p['gridPos']['y'], p['gridPos']['y'] + p['gridPos']['h'])]
        self.assertEqual((len(spots), max(x for x, _ in spots)), (len(set(spots)), 23))
        shown = self.prometheus.query('sum by (outcome) (sctd_instances_received_total{instance=~".*"})')
        self.assertEqual({r['metric']['outcome']: r['value'][1] for r in shown}['stored'], '40')

    def test_the_zabbix_template_asks_for_what_there_is(self):
        export = yaml.safe_load(ZABBIX.read_text())['zabbix_export']
        self.assertEqual(export['version'], '6.0')
        template = export['templates'][0]
        items = template['items'] + [i for rule in template['discovery_rules'] for i in rule['item_prototypes']]
        keys = {i['key'] for i in items}
        self.assertEqual(len(keys), len(items))
        for item in items:
            for step in item.get('preprocessing', []):
                if step['type'] == 'PROMETHEUS_PATTERN':
                    self.assertEqual(self.check_query(step['parameters'][0].replace('{#DESTINATION}', 'pacs')), 1)
            if item['type'] == 'DEPENDENT':
                self.assertIn(item['master_item']['key'], keys)
        triggers = export['triggers'] + [t for i in items for t in i.get('triggers', []) + i.get('trigger_prototypes', [])]
        self.assertGreater(len(triggers), 8)
        for trigger in triggers:
            for host, key in re.findall(r'\(/([^/]+)/([a-z][^,()]*(?:\[[^\]]*\])?)', trigger['expression']):
                self.assertEqual((host, key in keys), (template['template'], True), trigger['expression'])

    def plugin(self, *words):
        result = subprocess.run([PLUGIN, '-u', f'http://127.0.0.1:{self.daemon.settings["http"]["port"]}', *words],
                                capture_output=True, text=True, check=False)
        self.assertEqual((result.stderr, result.stdout.count('\n')), ('', 1))
        return result.returncode, result.stdout.strip()

    def test_the_plugin_says_how_it_is(self):
        token = self.root / 'token'
        token.write_text(TOKENS['view'] + '\n')
        self.assertEqual(self.plugin()[0], 0)
        status, text = self.plugin('-t', token)
        self.assertEqual(status, 1)
        self.assertRegex(text, r'^SCTD WARNING - .*1 jobs have failed; away was not reached \d+ times: .+ \|')
        values = dict(re.findall(r"'([^']+)'=([0-9.]+)", text))
        self.assertEqual({k: values[k] for k in ('jobs_failed', 'jobs_poison', 'pacs_backlog', 'away_backlog')},
                         {'jobs_failed': '1', 'jobs_poison': '0', 'pacs_backlog': '0', 'away_backlog': '1'})
        oldest = self.viewer.get('/api/v1/destinations').json['items'][1]['oldest']
        self.assertAlmostEqual(float(values['away_oldest']), time.time() - time.mktime(time.strptime(
            oldest[:19], '%Y-%m-%dT%H:%M:%S')) + time.timezone, delta=5)
        status, text = self.plugin('-t', token, '-a', '0,1')
        self.assertEqual(status, 2)
        self.assertIn('SCTD CRITICAL - away: the oldest of 1 deliveries waits for', text)
        token.write_text('sctd_wrong')
        self.assertEqual(self.plugin('-t', token)[0], 3)
        self.assertEqual(self.plugin('-t', self.root / 'none')[0], 3)
        self.assertEqual(self.plugin('-q', 'many')[0], 3)
        self.assertEqual(self.plugin('-u', f'http://127.0.0.1:{free_port()}')[0], 2)
        self.assertEqual(self.plugin('-u', f'http://127.0.0.1:{self.prometheus.port}')[0], 3)


class Held(unittest.TestCase):
    def test_what_is_held_is_counted_and_told(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / 'state' / 'models').mkdir(parents=True)
            make_model(SCTD, root / 'state' / 'models')
            rule = {'name': 'mr', 'match': {'modality': 'MR'}, 'model': 'small@1', 'destinations': ['away']}
            daemon = Daemon(SCTD, root, rules=[rule], destinations=[
                {'name': 'away', 'ae_title': 'AWAY', 'host': '127.0.0.1', 'port': free_port()}], http=section()).start()
            self.addCleanup(daemon.stop, signal.SIGKILL)
            viewer, operator = Client(daemon), Client(daemon, 'operate')
            for seed in (1, 2):
                store(daemon, make_series(SCTD, root / f's{seed}', seed=seed))
            viewer.wait('/api/v1/jobs', lambda page: len(page['items']) == 2, state='delivering')
            need_review(daemon, 1)
            need_review(daemon, 2, hold=False)
            for job in (1, 2, 1):  # a change of a job is what makes the daemon look at its checks
                self.assertEqual(operator.post(f'/api/v1/jobs/{job}/prioritise', {'priority': 3}).status, 200)
                time.sleep(0.5)
            samples, _ = parse(viewer.get('/metrics').body.decode())
            self.assertEqual((samples['sctd_review_needed'][()], samples['sctd_review_held'][()]), (2, 1))
            self.assertTrue(0 < samples['sctd_review_held_oldest_seconds'][()] <= samples['sctd_review_needed_oldest_seconds'][()] < 60)
            self.assertEqual(samples['sctd_results_checked_total'][(('model', 'small@1'), ('verdict', 'review'))], 2)
            failed = {dict(k)['check'] for k, v in samples['sctd_checks_failed_total'].items() if v == 2}
            self.assertEqual((failed, sum(samples['sctd_checks_failed_total'].values())), ({'outline', 'tissue'}, 4))
            token = root / 'token'
            token.write_text(TOKENS['view'])
            for words, is_told in ((['-r', '1'], True), (['-r', '0'], False), ([], False)):
                result = subprocess.run([PLUGIN, '-u', f'http://127.0.0.1:{daemon.settings["http"]["port"]}', '-t', token, *words],
                                        capture_output=True, text=True, check=False)
                self.assertEqual((result.returncode, '1 results are held for review' in result.stdout), (1, is_told), result.stdout)  # "away" is not reached
                self.assertIn("'review_needed'=2 'review_held'=1", result.stdout)
            self.assertEqual(daemon.stop(), 0)


class Awaited(unittest.TestCase):
    """A PACS that stores and reports only when it is told to, one that reports at once, one that knows no storage commitment."""

    def test_what_is_not_committed_is_counted_until_the_report_comes(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / 'state' / 'models').mkdir(parents=True)
            make_model(SCTD, root / 'state' / 'models')
            names = {'late': Pacs(commitment=lambda n, uids: None), 'prompt': Pacs(commitment=lambda n, uids: []), 'never': Pacs()}
            for pacs in names.values():
                self.addCleanup(pacs.stop)
            rule = {'name': 'mr', 'match': {'modality': 'MR'}, 'model': 'small@1', 'destinations': list(names)}
            daemon = Daemon(SCTD, root, rules=[rule], http=section(), destinations=[
                {'name': name, 'ae_title': name.upper(), 'host': '127.0.0.1', 'port': pacs.port} for name, pacs in names.items()]).start()
            self.addCleanup(daemon.stop, signal.SIGKILL)
            viewer = Client(daemon)

            def read(name):
                samples, _ = parse(viewer.get('/metrics').body.decode())
                return {'/'.join(v for _, v in labels): value for labels, value in samples[name].items()}

            self.assertEqual(set(read('sctd_commitments_total').values()), {0})
            store(daemon, make_series(SCTD, root / 's'))
            daemon.wait_for('delivery', result='stored, not committed')
            daemon.wait_for('storage-commitment', destination='prompt')
            late = daemon.wait_for('delivery', destination='late', result='asked for commitment')
            begin = time.time()
            time.sleep(1)  # ends of deliveries are gathered before they are counted
            self.assertEqual(read('sctd_destination_uncommitted'), {'late': 1, 'prompt': 0, 'never': 0})
            age = read('sctd_destination_uncommitted_oldest_seconds')
            self.assertEqual((age['prompt'], age['never']), (0, 0))
            self.assertTrue(0.9 < age['late'] < time.time() - begin + 5, age)
            self.assertEqual(read('sctd_commitments_total'), {
                'late/committed': 0, 'late/given_up': 0, 'prompt/committed': 1, 'prompt/given_up': 0, 'never/committed': 0, 'never/given_up': 1})
            shown = {d['name']: (d['uncommitted'], d['uncommitted_since']) for d in viewer.get('/api/v1/status').json['destinations']}
            self.assertEqual((shown['late'][0], shown['prompt'], shown['never']), (1, (0, None), (0, None)))
            self.assertEqual(shown['late'][1][:4], str(time.gmtime().tm_year))
            self.assert_plugin(root, daemon)

            transaction, uids = names['late'].requests[-1]
            report(daemon, 'LATE', transaction, uids)
            daemon.wait_for('storage-commitment', destination='late', committed=late['instances'])
            time.sleep(1)
            self.assertEqual(read('sctd_destination_uncommitted'), {'late': 0, 'prompt': 0, 'never': 0})
            self.assertEqual(read('sctd_destination_uncommitted_oldest_seconds'), {'late': 0, 'prompt': 0, 'never': 0})
            self.assertEqual(read('sctd_commitments_total')['late/committed'], 1)
            self.assertEqual(daemon.stop(), 0)

    def assert_plugin(self, root, daemon):
        token = root / 'token'
        token.write_text(TOKENS['view'])
        for words, is_told in ((['-o', '1'], True), (['-o', '0'], False), ([], False)):
            result = subprocess.run([PLUGIN, '-u', f'http://127.0.0.1:{daemon.settings["http"]["port"]}', '-t', token, '-f', '0', *words],
                                    capture_output=True, text=True, check=False)
            self.assertEqual('late has not committed the storage of 1 results' in result.stdout, is_told, result.stdout)
            self.assertIn("'late_uncommitted'=1", result.stdout)
            self.assertIn("'reports_owed'=0 'reports_owed_oldest'=0s", result.stdout)


class NotReady(unittest.TestCase):
    def test_the_plugin_names_the_failing_check(self):
        with tempfile.TemporaryDirectory() as folder:
            daemon = Daemon(SCTD, folder, rules=[], http=section()).start()
            try:
                token = pathlib.Path(folder) / 'token'
                token.write_text(TOKENS['view'])
                for words in ([], ['-t', token]):
                    result = subprocess.run([PLUGIN, '-u', f'http://127.0.0.1:{daemon.settings["http"]["port"]}', *words],
                                            capture_output=True, text=True, check=False)
                    self.assertEqual(result.returncode, 2)
                    self.assertIn('SCTD CRITICAL - rules: there are 0 rules', result.stdout)
                samples, _ = parse(Client(daemon).get('/metrics').body.decode())
                self.assertEqual((samples['sctd_ready'][()], samples['sctd_check_ok'][(('check', 'rules'),)]), (0, 0))
            finally:
                daemon.stop()


if __name__ == '__main__':
    unittest.main()
