# SPDX-License-Identifier: Apache-2.0
"""Every request that schemathesis makes of the served OpenAPI document is answered as the document says."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

from kit import venv

venv.enter()

from kit.daemon import Daemon, make_model, make_series
from kit.http import TOKENS, Client, section
from kit.reviewing import need_review

SCTD = sys.argv.pop(1)


class Schema(unittest.TestCase):
    def test_answers_are_as_the_document_says(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / 'state' / 'models').mkdir(parents=True)
            make_model(SCTD, root / 'state' / 'models')
            http = section(requests_per_second=100000, failures_per_minute=100000)
            http['tokens'][2]['identity'] = True  # the admin's
            daemon = Daemon(SCTD, root, rules=[{'name': 'mr', 'match': {'modality': 'MR'}, 'model': 'small', 'destinations': ['down']}],
                            destinations=[{'name': 'down', 'ae_title': 'DOWN', 'host': '127.0.0.1', 'port': 9}], http=http).start()
            files = make_series(SCTD, root / 'series')
            subprocess.run(['storescu', '-aec', 'SCTD', '127.0.0.1', str(daemon.port), *map(str, files)], check=True, capture_output=True)
            client = Client(daemon)
            client.wait('/api/v1/jobs', lambda page: page['items'], state='delivering')
            need_review(daemon, 1)
            self.assertEqual(Client(daemon, 'operate').post('/api/v1/batches', {'source': {'folder': str(root / 'series')}, 'keep': True}).status, 201)
            client.wait('/api/v1/batches/1', lambda batch: batch['series']['converting'] == 1)
            self.assertEqual(client.get('/api/v1/jobs/1/quality').status, 200)
            done = subprocess.run([
                sys.executable, '-m', 'schemathesis.cli', 'run', f'http://127.0.0.1:{client.port}/api/v1/openapi.json', '--checks', 'all',
                '--header', f'Authorization: Bearer {TOKENS["admin"]}', '--exclude-path', '/api/v1/events', '--max-examples', '25',
                '--seed', '1', '--no-color', '--exclude-checks', 'unsupported_method'], capture_output=True, text=True, cwd=root, timeout=500)
            self.assertEqual(client.get('/healthz').status, 200)
            status = daemon.stop()
        self.assertEqual(done.returncode, 0, done.stdout[-20000:] + done.stderr[-2000:])
        self.assertEqual(status, 0)


if __name__ == '__main__':
    unittest.main()
