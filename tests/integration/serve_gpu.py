#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon where GPUs fail and come back: a module that pretends to be the CUDA backend fails as a file says.
usage: serve_gpu.py /path/to/sctd [unittest options]"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from kit.daemon import Daemon, make_model, make_series, store
from kit.http import TOKENS, Client, section

SCTD = None
PLUGIN = pathlib.Path(__file__).resolve().parents[2] / 'deploy' / 'monitoring' / 'check_sctd'
RULE = {'name': 'mr', 'match': {'modality': 'MR'}, 'model': 'small@1'}


def module():
    """Of the build that the program is of (tests/support/cuda_faulty_module.c)."""
    return pathlib.Path(SCTD).resolve().parents[1] / 'tests' / 'modules' / 'libmodule-faulty.so'


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)
        self.faults = self.work / 'faults'
        self.fail_with()
        make_model(SCTD, self.work / 'state' / 'models')

    def fail_with(self, *lines):
        """What the GPUs do from now on; nothing: they work."""
        new = self.work / 'faults.new'
        new.write_text(''.join(f'{line}\n' for line in lines))
        new.rename(self.faults)

    def environment(self):
        return {'SCTD_CUDA_LIBRARY': str(module()), 'SCTD_TEST_GPU_FAULTS': str(self.faults)}

    def daemon(self, backends=('cuda:0',), **more):
        workers = {'slots': len(backends), 'backends': list(backends)} | more
        daemon = Daemon(SCTD, self.work, rules=[RULE], workers=workers, http=section(), env=self.environment())
        self.addCleanup(daemon.stop, signal.SIGKILL)
        daemon.start()
        self.client = Client(daemon)
        return daemon

    def send(self, daemon, *seeds, slices=5):
        for seed in seeds:
            store(daemon, make_series(SCTD, self.work / f's{seed}', seed=seed, matrix=32, slices=slices))

    @staticmethod
    def plugin(daemon):
        token = daemon.folder / 'token'
        token.write_text(TOKENS['view'] + '\n')
        return subprocess.run([PLUGIN, '-u', f'http://127.0.0.1:{daemon.settings["http"]["port"]}', '-t', token],
                              capture_output=True, text=True, check=False)

    def wait_for_jobs(self, state, n, timeout=60):
        return self.client.wait('/api/v1/jobs', lambda page: len(page['items']) == n, timeout, state=state)['items']

    def job(self, n):
        return self.client.get(f'/api/v1/jobs/{n}').json


class Gone(Case):
    def test_a_gpu_that_is_gone_for_a_moment_costs_no_job_a_try(self):
        daemon = self.daemon()
        for n, (status, says) in enumerate(((100, 'no GPU is visible'), (802, 'fabricmanager'), (2, 'memory is full'))):
            where = 'compile' if status == 2 else 'probe'
            with self.subTest(status):
                begun = len(daemon.events)
                self.fail_with(f'0 {where} {status}', '0 run 719')  # an engine that is there breaks, and is not there then
                self.send(daemon, 2 * n + 1, 2 * n + 2)
                if n == 0:
                    self.fail_with(f'0 {where} {status}')
                daemon.wait_for('engine-trouble', failures=3 if n > 0 else 2)
                trouble = daemon.find('engine-trouble')[-1]
                self.assertIn(says, trouble['reason'])
                time.sleep(1)
                attempts = [e for e in daemon.events[begun:] if e['event'] == 'job-attempt' and e['result'] != 'done']
                self.assertEqual(len(attempts), 1, attempts)  # then only the engine is tried, without a job
                self.fail_with()
                for job in self.wait_for_jobs('done', 2 * n + 2):
                    whole = self.job(job['id'])
                    self.assertEqual((whole['failures'], whole['deaths']), (0, 0))
                daemon.events.clear()
        self.assertEqual(daemon.stop(), 0)

    def test_a_slot_says_why_it_cannot_work_while_another_does(self):
        self.fail_with('0 probe 100')
        daemon = self.daemon(('cuda:0', 'cuda:1'))
        self.send(daemon, 1, 2, 3)
        self.wait_for_jobs('done', 3)
        daemon.wait_for('engine-trouble', failures=3, slot=1)
        status = self.client.get('/api/v1/status').json
        first, second = status['workers']['engines']
        self.assertEqual((first['slot'], first['asked'], first['works'], status['ready']), (1, 'cuda:0', False, True))
        self.assertRegex(first['reason'], 'CUDA 100 .*no GPU is visible')
        self.assertEqual((second['asked'], second['works'], second['failures'], second['reason'], second['since']),
                         ('cuda:1', True, 0, '', None))
        metrics = self.client.get('/metrics').body.decode()
        self.assertRegex(metrics, r'sctd_worker_slot_failures{slot="1",backend="cuda:0"} [3-9]\n')
        self.assertIn('sctd_worker_slot_failures{slot="2",backend="cuda:1"} 0\n', metrics)
        self.assertIn('sctd_workers_broken 1\n', metrics)
        troubles = [t for t in self.client.get('/api/v1/diagnosis').json['items'] if t['kind'] == 'engine_down']
        self.assertRegex(troubles[0]['title'], r'^Slot 1 \(cuda:0\) cannot convert: .*no GPU is visible')
        self.assertEqual(len(troubles), 1)
        check = next(c for c in self.client.get('/readyz').json['checks'] if c['name'] == 'workers')
        self.assertIn('the engine of 1 of 2 slots does not work: cuda:0: ', check['detail'])
        told = self.plugin(daemon)
        self.assertEqual(told.returncode, 1)
        self.assertRegex(told.stdout, r'slot 1 \(cuda:0\) does not work: .*no GPU is visible')
        doctor = subprocess.run([SCTD, 'doctor', '--config', daemon.config], env=os.environ | self.environment(),
                                capture_output=True, text=True, check=False)
        self.assertRegex(doctor.stdout, r'failed +slot 1 \(cuda:0\): .*no GPU is visible')
        self.assertRegex(doctor.stdout, r'ok +slot 2 \(cuda:1\): the GPU is there')
        self.fail_with()
        daemon.wait_for('engine-well', slot=1)
        self.assertTrue(self.client.get('/api/v1/status').json['workers']['engines'][0]['works'])
        self.assertEqual(self.plugin(daemon).returncode, 0)

    def test_without_any_gpu_the_node_is_not_ready_and_no_precision_is_blamed_on_it(self):
        self.fail_with('0 probe 803')
        daemon = self.daemon()
        self.send(daemon, 1)
        daemon.wait_for('engine-trouble')
        answer = self.client.get('/readyz')
        check = next(c for c in answer.json['checks'] if c['name'] == 'workers')
        self.assertEqual((answer.status, check['ok']), (503, False))
        self.assertIn('of two versions', check['detail'])
        self.assertEqual(self.plugin(daemon).returncode, 2)
        self.assertEqual(daemon.stop(), 0)  # in the middle of it
        self.fail_with()
        daemon = self.daemon(precision='bf16x3')  # of the job as it was ordered: auto
        self.wait_for_jobs('done', 1)
        self.send(daemon, 2)
        self.assertRegex(self.wait_for_jobs('failed', 1)[0]['reason'], '^a GPU computes in fp32')
        self.assertEqual(daemon.find('engine-trouble'), [])


class Slow(Case):
    def test_an_engine_that_opens_slowly_is_not_taken_for_hung_nor_its_time_for_the_job_s(self):
        self.fail_with('0 compile 0 12')
        daemon = self.daemon(silence_s=3, timeout_s=11)
        self.send(daemon, 1)
        job = self.job(self.wait_for_jobs('done', 1)[0]['id'])
        self.assertEqual((job['attempt'], job['deaths']), (1, 0))
        self.assertGreater(job['timings']['load_s'], 11)
        self.assertEqual(daemon.find('engine-trouble'), [])

    def test_an_engine_that_never_opens_is_ended_by_a_limit_of_its_own_and_no_job_pays(self):
        self.fail_with('0 compile 0 300')
        daemon = self.daemon(load_s=3)
        self.send(daemon, 1, 2)
        daemon.wait_for('engine-trouble', failures=2, reason='the engine was not open after 3 s (workers: load_s)')
        self.assertEqual([e['result'] for e in daemon.find('job-attempt')], ['released'])
        self.assertEqual(self.client.get('/readyz').status, 503)
        self.fail_with()
        for job in self.wait_for_jobs('done', 2):
            self.assertEqual((self.job(job['id'])['deaths'], self.job(job['id'])['failures']), (0, 0))
        self.assertEqual(daemon.find('engine-well')[0]['slot'], 1)


class Chosen(Case):
    def engine(self):
        return self.client.get('/api/v1/status').json['workers']['engines'][0]

    def described(self, job):
        """What the objects of a job say of what computed them."""
        folder = self.work / 'state' / 'results' / job['output_series_uid']
        said = subprocess.run(['dcmdump', '-q', '+L', '+P', '0018,a003', *sorted(folder.glob('*.dcm'))], check=True,
                              capture_output=True, text=True).stdout
        return set(re.findall('computed with ([^]]+)]', said))

    def test_auto_that_took_the_processor_says_so_and_looks_again(self):
        self.fail_with('0 probe 100')
        daemon = self.daemon(('auto',))
        self.assertEqual((self.engine()['backend'], self.engine()['fallback']), (None, False))
        self.send(daemon, 1)
        first = self.job(self.wait_for_jobs('done', 1)[0]['id'])
        [said] = daemon.find('worker-engine')
        self.assertEqual((said['level'], said['asked'], said['backend']), ('warning', 'auto', 'cpu'))
        self.assertRegex(said['reason'], 'no GPU: .*no GPU is visible')
        engine = self.engine()
        self.assertEqual((engine['backend'], engine['device'], engine['fallback'], engine['works']), ('cpu', None, True, True))
        self.assertEqual(engine['choice'], said['reason'])
        self.assertEqual(first['engine'], f'cpu, {engine["arithmetic"]}')
        self.assertEqual(daemon.find('job-attempt')[0]['engine'], first['engine'])
        self.assertEqual(self.described(first), {f'cpu {engine["arithmetic"]}'})
        metrics = self.client.get('/metrics').body.decode()
        self.assertIn('sctd_workers_fallback 1\n', metrics)
        self.assertIn(f'sctd_worker_slot_info{{slot="1",engine="{first["engine"]}"}} 1\n', metrics)
        troubles = [t['title'] for t in self.client.get('/api/v1/diagnosis').json['items'] if t['kind'] == 'engine_fallback']
        self.assertRegex(troubles[0], '^Slot 1 converts on the processor although a GPU is expected: no GPU: ')
        self.fail_with()
        again = daemon.wait_for('worker-engine', backend='cuda:0')  # without a job
        self.assertEqual((again['level'], self.engine()['fallback']), ('info', False))
        self.assertIn('sctd_workers_fallback 0\n', self.client.get('/metrics').body.decode())
        self.send(daemon, 2)
        second = next(j for j in map(lambda j: self.job(j['id']), self.wait_for_jobs('done', 2)) if j['id'] != first['id'])
        self.assertEqual(second['engine'], "cuda:0 (made-up GPU), the device's, on the host")
        self.assertEqual(self.described(second), {"cuda the device's, on the host"})
        self.assertEqual(len(daemon.find('job-attempt')), 2)
        self.assertEqual({self.job(j)['deaths'] for j in (first['id'], second['id'])}, {0})
        shown = subprocess.run([SCTD, 'job', 'show', '--config', daemon.config, str(second['id'])], check=True,
                               capture_output=True, text=True).stdout
        self.assertIn("computed  cuda:0 (made-up GPU), the device's, on the host\n", shown)

    def test_a_processor_that_was_asked_for_is_no_fallback(self):
        self.fail_with('0 probe 100')
        daemon = self.daemon(('cpu',))
        self.send(daemon, 1)
        self.wait_for_jobs('done', 1)
        [said] = daemon.find('worker-engine')
        self.assertEqual((said['level'], said['backend'], self.engine()['fallback']), ('info', 'cpu', False))


class Broken(Case):
    def test_a_job_that_breaks_the_gpu_wherever_it_runs_ends_and_others_go_on(self):
        self.fail_with('0 run 719 13', '1 run 719 13')
        daemon = self.daemon(('cuda:0', 'cuda:1'))
        self.send(daemon, 1, slices=13)
        self.send(daemon, 2, 3)
        self.wait_for_jobs('done', 2)
        job = self.job(self.wait_for_jobs('failed', 1, timeout=120)[0]['id'])
        self.assertRegex(job['reason'], '^it broke the GPU in 3 attempts, each of a new process: .*719')
        self.assertEqual((job['attempt'], job['breaks'], job['failures'], job['deaths']), (3, 3, 0, 0))
        self.assertEqual({j['attempt'] for j in self.wait_for_jobs('done', 2)}, {1})
        self.assertIn('sctd_worker_attempts_total{outcome="broken"} 3\n', self.client.get('/metrics').body.decode())
        self.assertEqual({e['result'] for e in daemon.find('job-attempt')}, {'done', 'broken'})

    def test_a_gpu_that_opens_and_then_breaks_takes_no_job_away_from_the_good_one(self):
        self.fail_with('0 run 999')
        daemon = self.daemon(('cuda:0', 'cuda:1'))
        self.send(daemon, *range(1, 9))
        for job in self.wait_for_jobs('done', 8, timeout=120):
            self.assertEqual((self.job(job['id'])['failures'], self.job(job['id'])['deaths']), (0, 0))
        self.assertLessEqual(len(daemon.find('job-attempt', result='broken')), 6)
        self.assertEqual({e['slot'] for e in daemon.find('engine-trouble')}, {1})


if __name__ == '__main__':
    SCTD = sys.argv.pop(1)
    unittest.main()
