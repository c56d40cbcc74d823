#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sctd convert from outside, with a tiny model and series that pydicom made.
usage: convert_cli.py /path/to/sctd [unittest options]"""
import json
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import unittest

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
import numpy as np  # noqa: E402
import pydicom  # noqa: E402

from kit import png, sources, tensors  # noqa: E402

SCTD = TOOL = None
HEAD = pathlib.Path(__file__).resolve().parents[3] / 'shared' / 'data' / 'mr-t1w-head'
DIM = (30, 24, 10)
SAGITTAL = ((0, 1, 0), (0, 0, -1))


def make(folder, name, kind='mr', orientation=sources.AXIAL, seed=1, change=None):
    """A series of noise; its voxels, [k, j, i]."""
    grid = sources.Grid(orientation=orientation, dim=DIM)
    voxels = np.random.default_rng(seed).integers(0, 1000, DIM[::-1])

    def finish(dataset, k):
        dataset.SeriesInstanceUID = sources.uid('series', name)
        dataset.SOPInstanceUID = sources.uid(name, k)
        dataset.SeriesDescription = name
        dataset.PixelData = voxels[k].astype('<u2').tobytes()
        if change is not None:
            change(dataset, k)
    sources.make_single(folder, kind, grid, finish)
    return voxels


def read_hu(folder):
    """HU [k, j, i] of an sCT in the order of its files."""
    found = []
    for path in sorted(pathlib.Path(folder).iterdir()):
        d = pydicom.dcmread(path)
        found.append(d.pixel_array * float(d.RescaleSlope) + float(d.RescaleIntercept))
    return np.stack(found)


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.TemporaryDirectory()
        cls.models = pathlib.Path(cls.shared.name) / 'models'
        tensors.import_model(SCTD, cls.models, 'mr', 'pipeline')

    @classmethod
    def tearDownClass(cls):
        cls.shared.cleanup()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)
        self.source = self.work / 'in'
        self.out = self.work / 'out'

    def run_it(self, *more, status=0, source=None, **popen):
        words = [SCTD, 'convert', '--model', 'mr@1', '--models-dir', self.models, '--input', source or self.source,
                 '--output', self.out, '--precision', 'fp32', *more]
        done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False, timeout=120,
                              **popen)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def convert(self, *more, status=0, **popen):
        return json.loads(self.run_it('--json', *more, status=status, **popen).stdout)

    def infer(self, volume):
        """What sctd infer makes of [depth, rows, columns]."""
        path = self.work / 'volume.safetensors'
        tensors.write(path, {'volume': ('F32', volume.shape, volume.ravel().tolist())})
        subprocess.run([SCTD, 'infer', '--model', 'mr', '--models-dir', self.models, '--input', path, '--output',
                        self.work / 'hu.safetensors', '--precision', 'fp32'], check=True, capture_output=True)
        _, shape, values = tensors.read(self.work / 'hu.safetensors')[0]['hu']
        return np.array(values).reshape(shape)


class Convert(Case):
    def test_sct_of_an_axial_series_is_what_the_network_makes_of_its_slices(self):
        voxels = make(self.source, 't2')
        (series,) = self.convert()['series']
        self.assertEqual((series['outcome'], series['sct_instances'], series['resampled']), ('converted', 10, False))
        np.testing.assert_allclose(read_hu(series['folder']), self.infer(voxels), atol=0.51)

    def test_sct_of_a_sagittal_series_is_made_of_axial_slices(self):
        voxels = make(self.source, 't2', orientation=SAGITTAL)
        # columns run to the back, rows to the feet, slices to the right (y x -z = -x): axial slices have
        # slices as columns, from the right, columns as rows, and rows as slices, from the feet
        axial = voxels[::-1, ::-1].transpose(1, 2, 0)
        (series,) = self.convert()['series']
        hu = read_hu(series['folder'])
        np.testing.assert_allclose(hu[::-1, ::-1].transpose(1, 2, 0), self.infer(axial), atol=0.51)

    def test_each_series_is_converted_or_refused_on_its_own(self):
        make(self.source / 'a', 'first')
        make(self.source / 'b' / 'c', 'second', seed=2)
        make(self.source / 'd', 'wrong', kind='ct')
        shutil.rmtree(self.source / 'b' / 'empty', ignore_errors=True)
        (self.source / 'b' / 'notes.txt').write_text('no DICOM')
        facts = self.convert(status=1)
        outcomes = {s['description']: (s['outcome'], s.get('code')) for s in facts['series']}
        self.assertEqual(outcomes, {'first': ('converted', None), 'second': ('converted', None),
                                    'wrong': ('refused', 'wrong-modality')})
        self.assertEqual((facts['files_skipped'], facts['series_without_sct']), (1, 1))
        folders = sorted(s['folder'] for s in facts['series'] if 'folder' in s)
        self.assertEqual(folders, sorted(str(p) for p in self.out.iterdir()))

    def test_table_names_every_series_with_its_result(self):
        make(self.source / 'a', 'first')
        make(self.source / 'b', 'wrong', kind='ct')
        done = self.run_it(status=1)
        self.assertRegex(done.stdout, r'\n +1  MR +10 +\d+\.\d  converted +first\n')
        self.assertRegex(done.stdout, r'\n +2  CT +10 +\d+\.\d  wrong-modality +wrong\n')
        self.assertRegex(done.stdout, rf'\n1: {sources.uid("series", "first")} -> .*/2\.25\.\d+ \(10 instances\)\n')
        self.assertRegex(done.stdout, rf'\n2: {sources.uid("series", "wrong")}: [^\n]*MR[^\n]*\n')

    def test_progress_goes_to_standard_error_in_lines(self):
        make(self.source, 'first')
        done = self.run_it()
        self.assertRegex(done.stderr, r'\A(series 1 of 1: [a-z]+(, \d+ of \d+.*)?\n)+series 1 of 1: converted in .*\n\Z')
        for word in ('assemble', 'orient', 'network', 'write'):
            self.assertIn(f'series 1 of 1: {word}', done.stderr)

    def test_nobody_is_named(self):
        make(self.source / 'a', 'first')
        make(self.source / 'b', 'wrong', kind='ct')
        for more in ((), ('--json',)):
            done = self.run_it('--preview', self.work / 'p.png', *more, status=1)
            for secret in ('Doe', 'Jane', 'P-1', '19660101', 'House', 'A-77'):
                self.assertNotIn(secret, done.stdout + done.stderr)

    def test_same_work_is_done_once_under_the_same_uids(self):
        make(self.source, 'first')
        (first,) = self.convert()['series']
        written = {p: p.stat().st_mtime_ns for p in pathlib.Path(first['folder']).iterdir()}
        (again,) = self.convert()['series']
        self.assertEqual((again['outcome'], again['folder']), ('there', first['folder']))
        self.assertEqual({p: p.stat().st_mtime_ns for p in pathlib.Path(first['folder']).iterdir()}, written)

        shutil.rmtree(first['folder'])
        uids = []
        (third,) = self.convert()['series']
        for path in sorted(pathlib.Path(third['folder']).iterdir()):
            uids.append(pydicom.dcmread(path).SOPInstanceUID)
        self.assertEqual((third['outcome'], third['folder']), ('converted', first['folder']))
        self.assertEqual(len(set(uids)), 10)

    def test_other_work_has_other_uids(self):
        make(self.source, 'first')
        found = set()
        for more in ((), ('--grid', 'axial'), ('--backend', 'ref'), ('--rescale-intercept', '-1024'),
                     ('--series-description', 'x'), ('--series-number-offset', '7')):
            (series,) = self.convert(*more)['series']
            self.assertEqual(series['outcome'], 'converted', more)
            found.add(series['sct_series_instance_uid'])
        self.assertEqual(len(found), 6)

    def test_source_with_an_instance_more_is_other_work(self):
        make(self.source, 'first')
        (whole,) = self.convert()['series']
        (self.source / '009.dcm').unlink()
        (less,) = self.convert()['series']
        self.assertNotEqual(whole['sct_series_instance_uid'], less['sct_series_instance_uid'])

    def test_options_of_the_object_reach_it(self):
        make(self.source, 'first', change=lambda d, k: setattr(d, 'SpecificCharacterSet', 'ISO_IR 192'))
        (series,) = self.convert('--series-description', 'sCT für später', '--series-number-offset', '500',
                                 '--rescale-intercept', '-1024')['series']
        d = pydicom.dcmread(sorted(pathlib.Path(series['folder']).iterdir())[0])
        self.assertEqual((d.SeriesDescription, int(d.SeriesNumber), int(d.RescaleIntercept)),
                         ('sCT für später', 504, -1024))
        self.assertEqual(d.SeriesInstanceUID, series['sct_series_instance_uid'])
        (plain,) = self.convert()['series']
        np.testing.assert_array_equal(read_hu(plain['folder']), read_hu(series['folder']))

    def test_folder_that_holds_something_else_is_left_alone(self):
        make(self.source, 'first')
        (series,) = self.convert()['series']
        folder = pathlib.Path(series['folder'])
        (folder / '0001.dcm').unlink()
        (other,) = self.convert(status=1)['series']
        self.assertEqual((other['outcome'], other['code']), ('failed', 'inval'))
        self.assertIn('holds something else', other['reason'])
        self.assertEqual(len(list(folder.iterdir())), 9)

    def test_empty_folder_of_that_name_is_filled(self):
        make(self.source, 'first')
        (series,) = self.convert()['series']
        for path in pathlib.Path(series['folder']).iterdir():
            path.unlink()
        (again,) = self.convert()['series']
        self.assertEqual(again['outcome'], 'converted')
        self.assertEqual(len(list(pathlib.Path(series['folder']).iterdir())), 10)

    def limited(self):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))

    def test_crash_while_writing_leaves_no_half_series(self):
        make(self.source, 'first')
        # the child gets SIGXFSZ, and dies of it, when an instance passes the limit
        done = subprocess.run([SCTD, 'convert', '--model', 'mr@1', '--models-dir', self.models, '--input', self.source,
                               '--output', self.out], capture_output=True, check=False, preexec_fn=self.limited)
        self.assertLess(done.returncode, 0)
        (left,) = self.out.iterdir()
        self.assertTrue(left.name.startswith('.convert.'), left)
        (series,) = self.convert()['series']
        self.assertEqual(series['outcome'], 'converted')
        self.assertEqual(list(self.out.iterdir()), [pathlib.Path(series['folder'])])

    def test_failing_disk_leaves_nothing(self):
        make(self.source, 'first')
        done = self.run_it('--json', status=1, preexec_fn=self.limited, restore_signals=False)
        (series,) = json.loads(done.stdout)['series']
        self.assertEqual((series['outcome'], series['code']), ('failed', 'io'))
        self.assertEqual(list(self.out.iterdir()), [])

    def test_preview_is_a_picture_for_each_series(self):
        make(self.source / 'a', 'first')
        self.convert('--preview', self.work / 'one.png')
        height, width = png.read(self.work / 'one.png').shape
        self.assertTrue(width > 500 and height > 500)
        make(self.source / 'b', 'second')
        make(self.source / 'c', 'wrong', kind='ct')
        shutil.rmtree(self.out)
        facts = self.convert('--preview', self.work / 'many.png', status=1)
        shown = [s.get('preview') for s in facts['series']]
        self.assertEqual(sorted(filter(None, shown)), [str(self.work / f'many-{i + 1}.png') for i in range(2)])
        self.assertEqual(sorted(p.name for p in self.work.glob('many*')), ['many-1.png', 'many-2.png'])

    def test_files_may_be_named_one_by_one(self):
        make(self.source, 'first')
        words = [w for k in range(8) for w in ('--input', self.source / f'{k:03d}.dcm')]
        (series,) = self.convert(*words, source=self.source / '008.dcm')['series']
        self.assertEqual(series['sct_instances'], 9)

    def test_our_own_objects_are_no_source(self):
        make(self.source, 'first')
        self.convert()
        facts = self.convert('--input', self.out, status=1)
        self.assertEqual(sorted((s['outcome'], s.get('code')) for s in facts['series'] if s['outcome'] != 'there'),
                         [('refused', 'own-object')])

    def test_series_without_contrast_fails_with_the_reason(self):
        make(self.source, 'flat', change=lambda d, k: setattr(d, 'PixelData', b'\1\0' * 720))
        (series,) = self.convert(status=1)['series']
        self.assertEqual((series['outcome'], series['code']), ('failed', 'data'))
        self.assertIn('no contrast', series['reason'])

    def test_what_cannot_be_meant_is_a_usage_error(self):
        make(self.source, 'first')
        for pattern, words in {'no model "none"': ('--model', 'none'),
                               'image-type': ('--select', 'colour=red'),
                               '--spacing-tolerance': ('--spacing-tolerance', '0'),
                               'percentage': ('--spacing-tolerance', 'x'),
                               '--grid': ('--grid', 'oblique'),
                               '--rescale-intercept': ('--rescale-intercept', '5')}.items():
            done = self.run_it(*words, status=2)
            self.assertRegex(done.stderr, r'\Asctd convert: [^\n]*\n\Z')
            self.assertIn(pattern, done.stderr)
            self.assertFalse(self.out.exists())

    def test_folder_without_images_is_an_error(self):
        self.source.mkdir()
        (self.source / 'notes.txt').write_text('no DICOM')
        self.assertRegex(self.run_it(status=1).stderr, r'\Asctd convert: no DICOM series [^\n]*\n\Z')
        self.run_it(status=1, source=self.work / 'nowhere')


class Device(Case):
    def test_lost_device_ends_the_run(self):
        make(self.source / 'a', 'first')
        make(self.source / 'b', 'second')
        done = subprocess.run([TOOL, '--input', self.source, '--output', self.out, '--mode', 'lost'],
                              capture_output=True, text=True, check=True)
        series = json.loads(done.stdout)['series']
        self.assertEqual([(s['outcome'], s['code']) for s in series], [('failed', 'device')] * 2)
        self.assertEqual(done.stderr.count('network'), 1)


@unittest.skipUnless(HEAD.is_dir(), 'the real head series is not there')
class Head(Case):
    """A real 7 T head: 384 slices, slightly oblique, DS values longer than 16 characters."""

    def test_real_head_keeps_every_position_within_four_times_its_volume(self):
        script = ('import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); '
                  'print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)')
        done = subprocess.run([sys.executable, '-c', script, TOOL, '--input', HEAD, '--output', self.out, '--preview',
                               self.work / 'head.png'], capture_output=True, text=True, check=True)
        text, kib = re.fullmatch(r'(.*\n)(\d+)\n', done.stdout, re.S).groups()
        (series,) = json.loads(text)['series']
        self.assertEqual((series['outcome'], series['sct_instances'], series['resampled']), ('converted', 384, False))
        self.assertLess(int(kib) * 1024, 4 * 4 * 384 * 384 * 274)

        positions = {}
        for path in HEAD.glob('*.dcm'):
            d = pydicom.dcmread(path)
            positions[d.SOPInstanceUID] = d
        for path in pathlib.Path(series['folder']).iterdir():
            d = pydicom.dcmread(path)
            source = positions.pop(d.SourceImageSequence[0].ReferencedSOPInstanceUID)
            np.testing.assert_allclose(np.array(d.ImagePositionPatient, float),
                                       np.array(source.ImagePositionPatient, float), atol=1e-3)
            np.testing.assert_allclose(np.array(d.ImageOrientationPatient, float),
                                       np.array(source.ImageOrientationPatient, float), atol=1e-9)
            np.testing.assert_array_equal(d.pixel_array, source.pixel_array)
        self.assertEqual(positions, {})

    def test_enhanced_is_one_instance(self):
        make(self.source, 'first')
        (plain,) = self.convert()['series']
        (series,) = self.convert('--enhanced')['series']
        (path,) = pathlib.Path(series['folder']).iterdir()
        d = pydicom.dcmread(path)
        self.assertEqual((d.SOPClassUID, d.NumberOfFrames, series['sct_instances']),
                         ('1.2.840.10008.5.1.4.1.1.2.1', 10, 1))
        np.testing.assert_array_equal(d.pixel_array, read_hu(plain['folder']))


if __name__ == '__main__':
    SCTD = pathlib.Path(sys.argv.pop(1)).resolve()
    TOOL = SCTD.parents[1] / 'tests' / 'integration' / 'identity_tool'
    unittest.main()
