# SPDX-License-Identifier: Apache-2.0
"""`sctd serve` as a process of a test, a PACS for it to deliver to, and a small model."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / 'golden' / 'data'
SIZE = 32


def free_port():
    with contextlib.closing(socket.socket()) as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def has_ipv6():
    try:
        with contextlib.closing(socket.socket(socket.AF_INET6)) as s:
            s.bind(('::1', 0))
        return True
    except OSError:
        return False


def make_model(sctd, models, recipe='mr', name='small', quality='none', size=SIZE):
    """A model with random weights: what it makes means nothing, so that it has no limits unless a test asks for some."""
    subprocess.run([sctd, 'model', 'import', '--backbone', GOLDEN / 'vit.pth', '--generator',
                    GOLDEN / 'best_net_G.pth', '--recipe', recipe, '--size', f'{size}x{size}', '--name', name,
                    '--version', '1', '--quality', quality, '--models-dir', models], check=True,
                   stdout=subprocess.DEVNULL)


def make_series(sctd, folder, kind='mr', seed=1, matrix=64, slices=12):
    subprocess.run([sctd, 'phantom', '--kind', kind, '--seed', str(seed), '--matrix', str(matrix), '--slices',
                    str(slices), '--output', folder], check=True, stdout=subprocess.DEVNULL)
    return sorted(pathlib.Path(folder).rglob('*.dcm'))


def store(daemon, files, calling='MR1', fails=False):
    """Send files to a daemon, by DCMTK."""
    result = subprocess.run(['storescu', '-aet', calling, '-aec', 'SCTD', '127.0.0.1', str(daemon.port), *map(str, files)],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    assert fails or result.returncode == 0


class Daemon:
    """A daemon with its state below `folder`."""

    def __init__(self, sctd, folder, *, rules, destinations=(), port=0, wrap=(), env=None, **more):
        self.sctd = sctd
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state = self.folder / 'state'
        self.config = self.folder / 'sctd.yaml'
        self.wrap, self.env = wrap, dict(env or {})
        if 'LD_PRELOAD' in self.env:  # the address sanitizer wants to come first, and need not
            self.env['ASAN_OPTIONS'] = os.environ.get('ASAN_OPTIONS', '') + ':verify_asan_link_order=0'
        self.settings = {'ae_title': 'SCTD', 'state_dir': str(self.state), 'log_format': 'json',
                         'listen': {'address': '127.0.0.1', 'port': port or free_port()},
                         'completion': {'quiet_s': 4, 'closed_quiet_s': 1}} | more
        self.configure(rules, destinations)
        self.process = None

    def configure(self, rules, destinations):
        """JSON is YAML."""
        self.settings |= {'rules': list(rules), 'destinations': list(destinations)}
        self.config.write_text(json.dumps(self.settings))

    @property
    def port(self):
        return self.settings['listen']['port']

    def start(self):
        self.events = []
        self.process = subprocess.Popen([*self.wrap, self.sctd, 'serve', '--config', self.config],
                                        stderr=subprocess.PIPE, text=True, env=os.environ | self.env)
        self.reader = threading.Thread(target=self._read, args=(self.process.stderr, self.events), daemon=True)
        self.reader.start()
        self.wait_for('ready')
        return self

    @staticmethod
    def _read(stream, events):
        with stream:
            for line in stream:
                try:
                    events.append(json.loads(line))
                except ValueError:
                    events.append({'event': 'text', 'text': line.rstrip('\n')})

    def find(self, event, **fields):
        return [e for e in list(self.events)
                if e['event'] == event and all(e.get(k) == v for k, v in fields.items())]

    def wait_for(self, event, timeout=60, **fields):
        """The first such line of the log."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            found = self.find(event, **fields)
            if found:
                return found[0]
            if self.process.poll() is not None and not self.reader.is_alive():
                break
            time.sleep(0.02)
        raise AssertionError(f'no {event} {fields} in {self.events[-12:]}')

    def stop(self, sig=signal.SIGTERM):
        if self.process is None or self.process.returncode is not None:
            return None
        self.process.send_signal(sig)
        status = self.process.wait(90)
        self.reader.join(5)
        return status

    def files(self, below):
        return sorted(p for p in (self.state / below).rglob('*') if p.is_file())


class Orthanc:
    """Debian's Orthanc as a PACS, which knows the daemon as a modality."""

    PROGRAM = shutil.which('Orthanc') or shutil.which('Orthanc', path='/usr/sbin')

    def __init__(self, folder, daemon_port, ae_title='PACS'):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.dicom_port, self.http_port, self.ae_title = free_port(), free_port(), ae_title
        settings = {'Name': ae_title, 'DicomAet': ae_title, 'DicomPort': self.dicom_port, 'HttpPort': self.http_port,
                    'StorageDirectory': str(self.folder), 'IndexDirectory': str(self.folder), 'Plugins': [],
                    'RemoteAccessAllowed': False, 'AuthenticationEnabled': False, 'DicomAlwaysAllowStore': True,
                    'DicomModalities': {'sctd': {'AET': 'SCTD', 'Host': '127.0.0.1', 'Port': daemon_port,
                                                 'AllowStorageCommitment': True}}}
        self.settings = self.folder / 'orthanc.json'
        self.settings.write_text(json.dumps(settings))
        self.start()

    def start(self):
        with open(self.folder / 'log', 'a', encoding='utf-8') as log:
            self.process = subprocess.Popen([self.PROGRAM, self.settings], stdout=log, stderr=log)
        end = time.monotonic() + 60
        while True:
            try:
                self.get('system')
                break
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.1)

    def get_bytes(self, path):
        with urllib.request.urlopen(f'http://127.0.0.1:{self.http_port}/{path}', timeout=30) as answer:
            return answer.read()

    def get(self, path):
        return json.loads(self.get_bytes(path))

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
