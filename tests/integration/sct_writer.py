#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Synthetic CT series as others see them: dicom3tools, DCMTK and pydicom read what write_sct_tool wrote from
sources that pydicom made.  usage: sct_writer.py /path/to/sctd [unittest options]"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
import numpy as np  # noqa: E402
import pydicom  # noqa: E402

from kit import sources  # noqa: E402

TOOL = None
MODEL = {'name': 'pelvis', 'version': '2', 'sha256': '5f' * 32, 'research_only': True, 'software': 'sctd 0.1.0'}
# What dciodvfy warns of in objects of ours, each looked at: why it is right to write it so.
EXPECTED_WARNINGS = [
    # our own code for the derivation, and a fourth value that is ours to define (PS3.3 C.8.2.1.1.1)
    r'Unrecognized defined term <99SCTD> for value 1 of attribute <Coding Scheme Designator>',
    r'Unrecognized defined term <SYNTHETIC> for value 4 of attribute <Image Type>',
]


PLANE = [0x00200032, 0x00200037, 0x00280030]
PATIENT = [0x00100010, 0x00100020, 0x00100030, 0x00100040, 0x00101010, 0x00101030, 0x0020000d, 0x00080020, 0x00080030,
           0x00200010, 0x00080050, 0x00080090, 0x00081030, 0x00200052, 0x00201040, 0x00185100]


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


class Writer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.work = pathlib.Path(cls.temporary.name)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def write(self, series, **request):
        written = Written(self.work / self.id() / 'out', series, **request)
        self.assertEqual(written.done.returncode, 0, written.done.stderr)
        return written

    def source(self, **made):
        return sources.make_single(self.work / self.id() / 'in', **made)

    def validate(self, series, written):
        """No validator has anything against the sCT, alone or beside its source."""
        for path in written.paths:
            text = run('dciodvfy', path).stderr
            wrong = [line for line in text.splitlines()
                     if line.startswith('Error') or (line.startswith('Warning') and
                                                     not any(re.search(w, line) for w in EXPECTED_WARNINGS))]
            self.assertEqual(wrong, [], path)
            dump = run('dcmdump', '-q', path)
            self.assertEqual((dump.returncode, dump.stderr), (0, ''))
        both = run('dcentvfy', *series.paths(), *written.paths)
        self.assertEqual(both.stderr, '')

    def check_inherited(self, series, written, tags):
        """These attributes have the bytes of the slice's own source."""
        for source, path in zip(series.slices, written.paths):
            before, after = sources.read_raw(source['path']), sources.read_raw(path)
            for tag in tags:
                self.assertEqual(after[tag].value, before[tag].value, f'{tag:08x} of {path}')

    def check_voxels(self, written, intercept=0):
        """Rounded to nearest, ties to even, clamped to 16 bits."""
        for k, path in enumerate(written.paths):
            dataset = pydicom.dcmread(path)
            want = np.clip(np.rint(written.hu[k].astype('f8')), -32768 + intercept, 32767 + intercept)
            self.assertTrue(np.array_equal(dataset.pixel_array.astype('i4') + intercept, want.astype('i4')), path)
            self.assertEqual((dataset.RescaleIntercept, dataset.RescaleSlope), (intercept, 1))

    def check_single(self, series, **request):
        written = self.write(series, **request)
        self.assertEqual([p.name for p in written.paths], [f'{k + 1:04d}.dcm' for k in range(len(series.slices))])
        self.validate(series, written)
        self.check_inherited(series, written, PLANE + PATIENT)
        self.check_voxels(written, request.get('rescale_intercept', 0))
        return written

    def test_an_mr_series_becomes_a_ct_series(self):
        self.check_single(self.source())

    def test_a_ct_series_becomes_a_ct_series(self):
        self.check_single(self.source(kind='ct'), rescale_intercept=-1024)


if __name__ == '__main__':
    TOOL = pathlib.Path(sys.argv.pop(1)).resolve().parents[1] / 'tests' / 'integration' / 'write_sct_tool'
    unittest.main(verbosity=1)
