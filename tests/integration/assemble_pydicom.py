#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pydicom's own test files: none does harm, and what pydicom can read in grey is read alike.
usage: assemble_pydicom.py /path/to/assemble_tool [unittest options]"""
import pathlib
import sys
import warnings

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
import numpy as np  # noqa: E402
import pydicom  # noqa: E402

from kit import assembly, sources  # noqa: E402

FILES = sorted(p for p in (pathlib.Path(pydicom.__file__).parent / 'data').rglob('*') if p.is_file())
# Decoders of lossy streams differ by one; the file's own slope does not stretch that here.
LOSSY = {'1.2.840.10008.1.2.4.50', '1.2.840.10008.1.2.4.51', '1.2.840.10008.1.2.4.91', '1.2.840.10008.1.2.4.81'}
# What pydicom reads and we do not, with the reason.
REFUSED = {'MR_small_padded.dcm': 'bad-attribute'}  # 128 bytes more than its frame
GEOMETRY = ('NumberOfFrames', 'PixelSpacing', 'ModalityLUTSequence', 'PixelPaddingValue', 'PixelPaddingRangeLimit',
            'RescaleSlope', 'RescaleIntercept', 'RescaleType', 'Manufacturer', 'ImageType')


def read_grey(path):
    """The data set and its pixels, or None where pydicom reads no single grey image of whole bytes."""
    try:
        dataset = pydicom.dcmread(path)
        pixels = dataset.pixel_array
    except Exception:  # pylint: disable=broad-except
        return None
    whole = dataset.get('BitsAllocated') in (8, 16, 32) and 'PixelData' in dataset
    grey = dataset.get('PhotometricInterpretation') in ('MONOCHROME1', 'MONOCHROME2')
    return (dataset, pixels) if pixels.ndim == 2 and whole and grey else None


class Foreign(assembly.Case):
    def test_each_file_is_a_volume_a_refusal_or_no_dicom(self):
        self.assertGreater(len(FILES), 80)
        outcomes = {}
        for path in FILES:
            with self.subTest(path.name):
                result = self.scan(path)
                self.assertEqual(len(result['series']) + result['skipped'], 1)
                for series in result['series']:
                    outcomes.setdefault(series.get('refusal', 'volume'), []).append(path.name)
                    self.assertIn(series.get('refusal', 'volume'), self.codes())
                for _ in range(result['skipped']):
                    outcomes.setdefault('no DICOM', []).append(path.name)
        self.assertIn('JPEG2000.dcm', outcomes['unsupported-class'])
        self.assertIn('CT_small.dcm', outcomes['too-few-slices'])
        self.assertIn('badVR.dcm', [name for names in outcomes.values() for name in names])

    def test_all_files_at_once_are_told_apart(self):
        result = self.scan(FILES[0].parent)
        found = sum(s['instances'] for s in result['series']) + result['skipped']
        self.assertEqual(found, len([p for p in FILES if FILES[0].parent in p.parents]))

    @staticmethod
    def codes():
        lines = (venv.ROOT / 'dicom' / 'refusal.c').read_text().splitlines()
        return {line.split('"')[1] for line in lines if '[DICOM_REFUSAL_' in line} | {'volume'}

    def make_series(self, folder, dataset):
        """Four slices with the pixels of a file as they are kept there."""
        folder.mkdir()
        for keyword in GEOMETRY:
            if keyword in dataset:
                del dataset[keyword]
        dataset.SOPClassUID, dataset.Modality = sources.CLASSES['mr'], 'MR'
        dataset.StudyInstanceUID = dataset.SeriesInstanceUID = dataset.FrameOfReferenceUID = '1.2.3'
        dataset.PixelSpacing, dataset.ImageOrientationPatient = ['1', '1'], ['1', '0', '0', '0', '1', '0']
        for k in range(4):
            dataset.SOPInstanceUID = f'1.2.3.{k + 1}'
            dataset.ImagePositionPatient = ['0', '0', str(k)]
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            pydicom.dcmwrite(folder / f'{k}.dcm', dataset)

    def test_grey_pixels_are_those_of_pydicom(self):
        compared = []
        for path in FILES:
            grey = read_grey(path)
            if grey is None:
                continue
            with self.subTest(path.name):
                dataset, pixels = grey
                folder = self.work / path.stem
                self.make_series(folder, dataset)
                series = self.assemble(folder)
                if path.name in REFUSED:
                    self.assertEqual(series.get('refusal'), REFUSED[path.name], series.get('text'))
                    continue
                self.assertNotIn('refusal', series, series.get('text'))
                lossy = dataset.file_meta.TransferSyntaxUID in LOSSY
                for k in range(4):
                    np.testing.assert_allclose(series['values'][k], pixels, rtol=0, atol=1 if lossy else 0)
                compared.append(path.name)
        self.assertGreater(len(compared), 20, compared)


if __name__ == '__main__':
    warnings.simplefilter('ignore')
    assembly.Case.main(sys.argv)
