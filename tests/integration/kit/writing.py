# SPDX-License-Identifier: Apache-2.0
"""sCTs and quality pages as write_sct_tool makes them, and what others say of them."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import numpy as np

from kit import sources

TOOL = pathlib.Path(sys.argv[1]).resolve().parents[1] / 'tests' / 'integration' / 'write_sct_tool'
MODEL = {'name': 'pelvis', 'version': '2', 'sha256': '5f' * 32, 'research_only': True, 'software': 'sctd 0.1.0'}
PLANE = [0x00200032, 0x00200037, 0x00280030]
PATIENT = [0x00100010, 0x00100020, 0x00100030, 0x00100040, 0x00101010, 0x00101030, 0x0020000d, 0x00080020, 0x00080030,
           0x00200010, 0x00080050, 0x00080090, 0x00081030, 0x00200052, 0x00201040, 0x00185100]
# A name in each character set, as it stands in an object; the last is PS3.5 H.3.1.
NAMES = {'ISO_IR 100': 'Müller^Jürgen'.encode('latin1'), 'ISO_IR 192': '山田^太郎'.encode(),
         'GB18030': '王^小东'.encode('gb18030'), 'ISO_IR 144': 'Люкceмбypг^Анна'.encode('iso8859_5'),
         '\\ISO 2022 IR 87': b'Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B'}


def name_patient(charset, name):
    """A change of a source, see kit/sources.py."""
    def change(dataset, _):
        sources.set_raw(dataset, 0x00080005, 'CS', charset.encode() + b' ' * (len(charset) % 2))
        sources.set_raw(dataset, 0x00100010, 'PN', name + b' ' * (len(name) % 2))
    return change


def run(*words):
    return subprocess.run([*map(str, words)], capture_output=True, text=True, errors='replace', check=False)


class Written:
    """One run of the writer."""

    def __init__(self, folder, series, hu=None, **request):
        grid = request.pop('grid', series.grid)
        dim = grid.dim
        if hu is None:
            hu = np.random.default_rng(1).uniform(-1100, 3100, (dim[2], dim[1], dim[0]))
        self.hu = np.asarray(hu, '<f4')
        self.series_uid = sources.uid('sct series', str(folder))
        self.instance_uids = [sources.uid('sct', str(folder), k) for k in range(dim[2])]
        request = {'sources': series.slices, 'dim': dim, 'step': grid.step.tolist(), 'origin': grid.origin.tolist(),
                   'axis': grid.axis.ravel().tolist(), 'series_uid': self.series_uid,
                   'instance_uids': self.instance_uids, 'model': MODEL, 'date_time': '20250203040506.123456', **request}
        folder.mkdir(parents=True)
        (folder / 'request.json').write_text(json.dumps(request))
        self.hu.tofile(folder / 'voxels.f32')
        self.folder = folder / 'sct'
        self.folder.mkdir()
        self.done = run(TOOL, folder / 'request.json', folder / 'voxels.f32', self.folder)
        self.paths = sorted(self.folder.iterdir())


class Case(unittest.TestCase):
    """A folder for each class, and in it one for each test."""

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.work = pathlib.Path(cls.temporary.name)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def source(self, **made):
        return sources.make_single(self.work / self.id() / 'in', **made)

    def check_valid(self, path, expected_warnings=()):
        """dciodvfy finds no error, and warns of nothing but what is expected."""
        lines = run('dciodvfy', path).stderr.splitlines()
        wrong = [line for line in lines
                 if line.startswith('Error') or (line.startswith('Warning') and
                                                 not any(re.search(w, line) for w in expected_warnings))]
        self.assertEqual(wrong, [], path)
        dump = run('dcmdump', '-q', path)
        self.assertEqual((dump.returncode, dump.stderr), (0, ''))

    def check_same_bytes(self, source, path, tags):
        """These attributes have the source's bytes."""
        before, after = sources.read_raw(source), sources.read_raw(path)
        for tag in tags:
            self.assertEqual(after[tag].value, before[tag].value, f'{tag:08x} of {path}')
