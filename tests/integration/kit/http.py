# SPDX-License-Identifier: Apache-2.0
"""The HTTP API of a daemon, asked with the standard library alone."""
import hashlib
import http.client
import json
import pathlib
import ssl
import time
import urllib.parse

from kit.daemon import free_port

# Three tokens as an installation may have them; the configuration holds their hashes.
TOKENS = {'view': 'sctd_' + '1' * 64, 'operate': 'sctd_' + '2' * 64, 'admin': 'sctd_' + '3' * 64,
          'physicist': 'sctd_' + '4' * 64}
ROLES = {'view': ('viewer', False), 'operate': ('operator', False), 'admin': ('admin', False),
         'physicist': ('viewer', True)}


def section(**more):
    """The section `http` of a configuration."""
    return {'address': '127.0.0.1', 'port': free_port(),
            'tokens': [{'name': name, 'role': ROLES[name][0], 'identity': ROLES[name][1],
                        'sha256': hashlib.sha256(token.encode()).hexdigest()}
                       for name, token in TOKENS.items()]} | more


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Client:
    """One that keeps its connection."""

    def __init__(self, daemon, who='view', certificate=None):
        self.port = daemon.settings['http']['port']
        self.who = who
        if certificate is None:
            self.connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=30)
        else:
            context = ssl.create_default_context(cafile=pathlib.Path(certificate))
            self.connection = http.client.HTTPSConnection('localhost', self.port, timeout=30, context=context)

    def ask(self, method, path, body=None, headers=None, **params):
        if params:
            path += '?' + urllib.parse.urlencode(params)
        sent = {} if self.who is None else {'Authorization': f'Bearer {TOKENS[self.who]}'}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent['Content-Type'] = 'application/json'
        for last in (method != 'GET', True):  # a connection that was silent for too long is closed by the other side
            try:
                self.connection.request(method, path, body=body, headers=sent | (headers or {}))
                return Answer(self.connection.getresponse())
            except (http.client.HTTPException, OSError):
                self.connection.close()
                if last:
                    raise
        return None

    def get(self, path, headers=None, **params):
        return self.ask('GET', path, headers=headers, **params)

    def post(self, path, body=None, headers=None):
        return self.ask('POST', path, body, headers)

    def wait(self, path, until, timeout=60, **params):
        """Ask until the answer is as it should be."""
        end = time.monotonic() + timeout
        while True:
            answer = self.get(path, **params)
            if answer.status == 200 and until(answer.json):
                return answer.json
            if time.monotonic() > end:
                raise AssertionError(f'{path}: {answer.status} {answer.body[:2000]}')
            time.sleep(0.05)

    def close(self):
        self.connection.close()

    __del__ = close
