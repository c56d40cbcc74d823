# SPDX-License-Identifier: Apache-2.0
"""view_tool: the daemon's viewers without the rest of it, over folders that look like its spool and its results."""
import hashlib
import json
import pathlib
import queue
import shutil
import subprocess
import threading

SOURCE, SCT, OVERLAY = range(3)
AXIAL, CORONAL, SAGITTAL = range(3)
ANSWER_S = 120


class Places:
    """A spool and results below a folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.spool, self.results, self.pictures = (self.folder / n for n in ('spool', 'results', 'pictures'))
        for place in (self.spool, self.results, self.pictures):
            place.mkdir(parents=True)

    def to_spool(self, source):
        """Copy a folder's files; the lines of a list."""
        name = hashlib.sha256(str(source).encode()).hexdigest()[:32]
        (self.spool / 'series' / name).mkdir(parents=True, exist_ok=True)
        lines = []
        for path in sorted(source.iterdir()):
            file = f'series/{name}/{hashlib.sha256(path.name.encode()).hexdigest()}.dcm'
            shutil.copy(path, self.spool / file)
            lines.append(f'F {file}')
        return lines

    def to_results(self, source):
        (self.results / source.name).mkdir(exist_ok=True)
        lines = []
        for path in sorted(source.iterdir()):
            shutil.copy(path, self.results / source.name / path.name)
            lines.append(f'R {source.name}/{path.name}')
        return lines


class Tool:
    """One view_tool; ask, then wait."""

    def __init__(self, tool, program, places, **options):
        self.places, self.last = places, 0
        words = [tool, '--sctd', program, '--spool', places.spool, '--results', places.results, '--pictures',
                 places.pictures]
        for name, value in options.items():
            words += ['--' + name.replace('_', '-'), value]
        self.process = subprocess.Popen([str(w) for w in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.replies, self.answers = queue.Queue(), {}
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            if line.startswith('{'):
                answer = json.loads(line)
                with self.changed:
                    self.answers[answer.get('id', 'drained')] = answer
                    self.changed.notify_all()
            else:
                self.replies.put(line.strip())

    def say(self, *words):
        """"ok" or "no CODE REASON"."""
        self.process.stdin.write(' '.join(map(str, words)) + '\n')
        self.process.stdin.flush()
        return self.replies.get(timeout=ANSWER_S)

    def subject(self, key, lines, parameters=''):
        path = self.places.folder / f'{key}.list'
        path.write_text('\n'.join(lines) + '\n')
        assert self.say('subject', key, path, *([parameters] if parameters else [])) == 'ok'
        return key

    def ask(self, what, key, *words):
        """The number of the request."""
        self.last += 1
        reply = self.say(what, self.last, key, *words)
        assert reply == 'ok', reply
        return self.last

    def ask_picture(self, key, image, plane, slice_=-1, window=(0, 0), limit=(0, 0)):
        return self.ask('picture', key, image, plane, slice_, *window, *limit)

    def wait(self, number, timeout=ANSWER_S):
        with self.changed:
            assert self.changed.wait_for(lambda: number in self.answers, timeout), f'no answer to {number}'
            return self.answers[number]

    def get(self, what, key, *words):
        return self.wait(self.ask(what, key, *words))

    def path(self, number):
        return self.places.pictures / f'{number}.png'

    def end(self):
        """The exit status, after all processes have ended."""
        self.process.stdin.close()
        status = self.process.wait(60)
        self.reader.join(10)
        self.process.stdout.close()
        return status

    def kill(self):
        self.process.kill()
        self.process.wait(10)
        self.reader.join(10)
        self.process.stdin.close()
        self.process.stdout.close()
