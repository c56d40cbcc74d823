#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real series, where it is there: 384 oblique slices of a 7 T scanner with DS values that are too long.
usage: convert_real.py /path/to/sctd [unittest options]"""
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import unittest

from kit import daemon, venv

venv.enter()
# pylint: disable=wrong-import-position
import numpy as np  # noqa: E402
import pydicom  # noqa: E402
import pydicom.config  # noqa: E402

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE  # the source's DS are too long
SCTD = None
DATA = pathlib.Path(__file__).resolve().parents[3] / 'shared' / 'data' / 'mr-t1w-head'
INHERITED = ('PatientName', 'PatientID', 'StudyInstanceUID', 'FrameOfReferenceUID', 'PatientPosition', 'StudyDate')
NUMBERS = ('ImagePositionPatient', 'ImageOrientationPatient', 'PixelSpacing', 'SliceThickness')  # to 16 characters


@unittest.skipUnless(DATA.is_dir(), f'{DATA} is not there')
class Real(unittest.TestCase):
    def test_every_slice_has_its_sct_where_it_was(self):
        with tempfile.TemporaryDirectory() as work:
            daemon.make_model(SCTD, f'{work}/models')
            done = subprocess.run([SCTD, 'convert', '--model', 'small', '--models-dir', f'{work}/models', '--input', DATA,
                                   '--output', f'{work}/out'], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            # 4 times the volume in f32, and what the small model and the program take
            peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            self.assertLess(peak_kib, 4 * 384 * 384 * 274 * 4 / 1024 + 100 * 1024)
            self.check(sorted(pathlib.Path(work, 'out').rglob('*.dcm')))

    def check(self, paths):
        made = {}
        for path in paths:
            dataset = pydicom.dcmread(path)
            made[dataset.SourceImageSequence[0].ReferencedSOPInstanceUID] = dataset
            text = subprocess.run(['dciodvfy', path], capture_output=True, text=True, errors='replace', check=False).stderr
            self.assertEqual(re.findall('^Error.*', text, re.M), [], path)
        sources = [pydicom.dcmread(p) for p in DATA.glob('*.dcm')]
        self.assertEqual((len(paths), len(made), len(sources)), (384, 384, 384))
        for source in sources:
            sct = made[source.SOPInstanceUID]
            self.assertEqual((sct.Rows, sct.Columns), (source.Rows, source.Columns))
            for keyword in INHERITED:
                if keyword in source:
                    self.assertEqual(sct[keyword].value, source[keyword].value, keyword)
            for keyword in NUMBERS:
                np.testing.assert_allclose(np.float64(sct[keyword].value), np.float64(source[keyword].value), rtol=1e-9,
                                           atol=1e-9, err_msg=keyword)
        together = subprocess.run(['dcentvfy', *paths], capture_output=True, text=True, errors='replace', check=False)
        self.assertEqual(together.stderr, '')
        positions = np.array([[float(v) for v in d.ImagePositionPatient] for d in made.values()])
        self.assertEqual(len(np.unique(positions, axis=0)), 384)


if __name__ == '__main__':
    SCTD = os.path.abspath(sys.argv.pop(1))
    unittest.main()
