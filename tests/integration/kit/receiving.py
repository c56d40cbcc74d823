# SPDX-License-Identifier: Apache-2.0
"""The front door and its receivers as a process of a test, and what is in their spool."""
import hashlib
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import threading
import time

RELEASE = bytes((5, 0, 0, 0, 0, 4, 0, 0, 0, 0))


class Door:
    """receive_tool with a spool and a ledger below `folder`; options as keywords: max_peer=2."""

    def __init__(self, sctd, folder, *, env=None, wrap=(), **options):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.spool = pathlib.Path(options.pop('spool', self.folder / 'spool'))
        self.ledger = pathlib.Path(options.pop('ledger', self.folder / 'ledger'))
        tool = pathlib.Path(sctd).parents[1] / 'tests' / 'integration' / 'receive_tool'
        words = [*wrap, tool, '--sctd', sctd, '--spool', self.spool, '--ledger', self.ledger, '--address', '127.0.0.1']
        for name, value in options.items():
            for item in value if isinstance(value, (list, tuple)) else [value]:
                words += ['--' + name.replace('_', '-')] + ([] if item is True else [item])
        self.lines = []
        self.syncs = 0
        self.process = subprocess.Popen([*map(str, words)], stdout=subprocess.PIPE, text=True,
                                        env=os.environ | (env or {}))
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.port = int(self.wait_for(r'port (\d+)')[1])

    def _read(self):
        for line in self.process.stdout:
            if line == 'sync\n':
                self.syncs += 1
            else:
                self.lines.append(line.rstrip('\n'))

    def wait_for(self, pattern, timeout=60):
        """The match of the first line that fits."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for line in list(self.lines):
                match = re.fullmatch(pattern, line)
                if match:
                    return match
            if self.process.poll() is not None and not self.reader.is_alive():
                break
            time.sleep(0.005)
        raise AssertionError(f'no line like {pattern!r} in {self.lines[-20:]}')

    def sync(self):
        """Read all that the tool has said up to now: a peer may hear its answer before we hear of it."""
        before = self.syncs
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGUSR1)
        end = time.monotonic() + 60
        while self.syncs == before and self.reader.is_alive() and time.monotonic() < end:
            time.sleep(0.001)

    def count(self, pattern):
        self.sync()
        return sum(re.fullmatch(pattern, line) is not None for line in list(self.lines))

    def pid(self):
        return self.process.pid

    def receivers(self):
        """The receivers' process numbers."""
        found = subprocess.run(['pgrep', '-P', str(self.process.pid)], capture_output=True, text=True, check=False)
        return [int(word) for word in found.stdout.split()]

    def memory_kib(self, pid=None):
        status = pathlib.Path(f'/proc/{pid or self.process.pid}/status').read_text()
        return int(re.search(r'VmRSS:\s+(\d+)', status)[1])

    def files(self, pid=None):
        return len(list(pathlib.Path(f'/proc/{pid or self.process.pid}/fd').iterdir()))

    def entries(self):
        """SOP Instance UID -> (SHA-256 of the data set, file)."""
        rows = [line.split() for line in self.ledger.read_text().split('\n')[:-1]]
        return {sop: (digest, self.spool / name) for sop, digest, name in rows}

    def stored(self):
        """Files in the spool that are not on their way."""
        return sorted(p for p in (self.spool / 'series').rglob('*') if p.is_file())

    def on_their_way(self):
        return sorted((self.spool / 'tmp').iterdir())

    def stop(self):
        """Drain; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        self.reader.join(5)
        self.process.stdout.close()
        return status

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join(5)
        self.process.stdout.close()


def data_set_of(path):
    """The bytes after the file meta information, by its own group length."""
    data = pathlib.Path(path).read_bytes()
    assert data[:128] == bytes(128) and data[128:132] == b'DICM', path
    assert data[132:140] == b'\x02\0\0\0UL\x04\0', path
    return data[144 + struct.unpack('<I', data[140:144])[0]:]


def digest_of(data):
    return hashlib.sha256(data).hexdigest()


def item(kind, value):
    return struct.pack('>BxH', kind, len(value)) + value


def request(calling='RAW', called='SCTD', contexts=(('1.2.840.10008.1.1', '1.2.840.10008.1.2'),), user=b''):
    """An A-ASSOCIATE-RQ (PS3.8 9.3.2)."""
    body = struct.pack('>Hxx16s16s32x', 1, called.ljust(16).encode('latin-1'), calling.ljust(16).encode('latin-1'))
    body += item(0x10, b'1.2.840.10008.3.1.1.1')
    for number, (abstract, transfer) in enumerate(contexts):
        body += item(0x20, bytes(((2 * number + 1) % 256, 0, 0, 0)) + item(0x30, abstract.encode())
                     + item(0x40, transfer.encode()))
    body += item(0x50, item(0x51, struct.pack('>I', 16384)) + item(0x52, b'1.2.3') + user)
    return struct.pack('>BxI', 1, len(body)) + body


def element(group, number, value):
    return struct.pack('<HHI', group, number, len(value)) + value


def command(field, sop_class, *, data=False, instance='1.2.3', message=1, priority=0):
    """A command set (PS3.7 E.1)."""
    def text(value):
        value = value.encode()
        return value + b'\0' * (len(value) % 2)

    body = element(0, 0x0002, text(sop_class)) + element(0, 0x0100, struct.pack('<H', field))
    body += element(0, 0x0110, struct.pack('<H', message)) + element(0, 0x0700, struct.pack('<H', priority))
    body += element(0, 0x0800, struct.pack('<H', 0 if data else 0x0101))
    if field == 1:
        body += element(0, 0x1000, text(instance))
    return element(0, 0, struct.pack('<I', len(body))) + body


def pdata(payload, *, context=1, is_command=False, last=True):
    """A P-DATA-TF of one PDV (PS3.8 9.3.5)."""
    pdv = struct.pack('>IBB', len(payload) + 2, context, is_command | last << 1) + payload
    return struct.pack('>BxI', 4, len(pdv)) + pdv


class Raw:
    """A peer that sends bytes."""

    def __init__(self, door, timeout=60):
        self.socket = socket.create_connection(('127.0.0.1', door.port), timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self, size):
        data = b''
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                break
            data += more
        return data

    def pdu(self):
        """The type and body of the next PDU; (None, b'') at the end."""
        try:
            header = self.receive(6)
            if len(header) < 6:
                return None, b''
            return header[0], self.receive(struct.unpack('>I', header[2:])[0])
        except ConnectionResetError:
            return None, b''

    def associate(self, **words):
        self.send(request(**words))
        kind, body = self.pdu()
        assert kind == 2, (kind, body)
        return body
