#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which series are refused, and what is said of them: a row for each way to be wrong.
usage: assemble_refusals.py /path/to/assemble_tool [unittest options]"""
import shutil
import sys

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
import numpy as np  # noqa: E402
import pydicom  # noqa: E402

from kit import assembly, sources  # noqa: E402
from kit.assembly import attributes, make, move, only, rewrite  # noqa: E402

UNEVEN = 2.5 * 0.011  # mm, of the 2.5 mm between slices


def changed(change, **more):
    return lambda folder: make(folder, change=change, **more)


def with_attributes(**values):
    return changed(attributes(**values))


def one_has(**values):
    return changed(only([3], attributes(**values)))


def without(*slices):
    def build(folder):
        make(folder)
        for k in slices:
            (folder / f'{k:03d}.dcm').unlink()
    return build


def with_more(change, source='003.dcm'):
    """A copy of one slice that differs."""
    def build(folder):
        make(folder)
        rewrite(folder / source, change, folder / 'more.dcm')
    return build


def other_pixels(dataset):
    dataset.PixelData = dataset.PixelData[2:] + b'\x01\x02'


def other_instance_and_pixels(dataset):
    dataset.SOPInstanceUID = sources.uid('another')
    other_pixels(dataset)


def alternating(**values):
    """Every second slice has another value; they are at the positions of those before them."""
    def change(dataset, k):
        for keyword, pair in values.items():
            setattr(dataset, keyword, pair[k % 2])
        dataset.ImagePositionPatient = sources.ds(assembly.grid().position(k // 2))
    return changed(change, at=assembly.grid(dim=(6, 5, 12)))


def of_class(uid, modality):
    return with_attributes(SOPClassUID=uid, Modality=modality)


def make_enhanced(change, kind='enhanced-mr'):
    return lambda folder: sources.make_enhanced(folder, kind, assembly.grid(), change)


def two_stacks(dataset):
    for i, item in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        item.FrameContentSequence = sources.sequence(StackID=str(1 + i % 2))


def fewer_groups(dataset):
    del dataset.PerFrameFunctionalGroupsSequence[-1]


def colour(dataset, _k):
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, 'RGB', 0
    dataset.PixelData *= 3


def tilted(dataset, k):
    move(dataset, 0, 0.3 * k, 0)


def turned(dataset, _k):
    dataset.ImageOrientationPatient = sources.ds([1, 0, 0, 0, np.cos(0.02), np.sin(0.02)])


def wider(dataset, _k):
    dataset.Columns, dataset.Rows = dataset.Rows, dataset.Columns


def short_pixels(dataset, _k):
    dataset.PixelData = dataset.PixelData[:-2]


def cut_files(folder):
    make(folder)
    path = folder / '005.dcm'
    path.write_bytes(path.read_bytes()[:-7])


def many_slices_of_small_files(folder):
    """8 slices of 8200 x 8200 voxels, whose streams would be small."""
    def change(dataset, _k):
        dataset.Rows = dataset.Columns = 8200
        dataset.PixelData = pydicom.encaps.encapsulate([b'\0' * 64])
        dataset['PixelData'].VR = 'OB'
    make(folder, change=change, syntax=pydicom.uid.RLELossless)


def copy_with_other_names(folder):
    make(folder)
    shutil.copy(folder / '002.dcm', folder / 'copy.dcm')
    rewrite(folder / 'copy.dcm', lambda d: setattr(d, 'RescaleIntercept', '5'))


def twice(tag):
    """An element of the data set that is there twice."""
    def build(folder):
        make(folder)
        for path in folder.iterdir():
            raw = path.read_bytes()
            at = raw.index(tag)
            path.write_bytes(raw[:at] + raw[at:at + 10] + raw[at:])
    return build


CT = {'kind': 'ct'}
MR_ONLY = ('--modality', 'MR')

# what it is, how it is made, the code, what the sentence says, options of assemble_tool
ROWS = [
    ('a missing slice', without(3), 'missing-slice', r'^missing slice between -25\.2 and -20\.2 mm$'),
    ('two missing slices', without(3, 4), 'missing-slice', r'^2 missing slices between -25\.2 and -17\.8 mm$'),
    ('two gaps', without(2, 5), 'missing-slice', r'between -27\.8 and -22\.8 mm and in 1 more place'),
    ('two different slices at one position', with_more(other_instance_and_pixels), 'duplicate-position',
     r'two different slices at -22\.75 mm'),
    ('one UID, two contents', with_more(other_pixels), 'conflicting-instance', 'differ'),
    ('one UID, two headers', copy_with_other_names, 'conflicting-instance', sources.uid('mr', 2).replace('.', r'\.')),
    ('another orientation', changed(only([3], turned)), 'mixed-orientation', 'different orientation'),
    ('another size', changed(only([3], wider)), 'mixed-size', '6 x 5 and of 5 x 6'),
    ('another pixel spacing', one_has(PixelSpacing=['1.5', '1.26']), 'mixed-size', '1.5 x 1.25 and 1.5 x 1.26'),
    ('another frame of reference', one_has(FrameOfReferenceUID='1.2.3'), 'mixed-frame-of-reference', '1.2.3'),
    ('another patient', one_has(PatientID='P-2'), 'mixed-patient', 'Patient ID'),
    ('another name', one_has(PatientName='Roe^Jane'), 'mixed-patient', "Patient's Name"),
    ('another birth date', one_has(PatientBirthDate='19660102'), 'mixed-patient', 'Birth Date'),
    ('another study', one_has(StudyInstanceUID='1.2.3'), 'mixed-patient', 'Study Instance UID'),
    ('another class', one_has(SOPClassUID=sources.CLASSES['ct']), 'mixed-patient', 'SOP classes'),
    ('spacing uneven by 1.1 %', changed(only([4], lambda d, k: move(d, 0, 0, UNEVEN))), 'uneven-spacing',
     r'2\.52[78] mm, others 2\.500|are 2\.52[78] mm apart'),
    ('spacing uneven by 0.9 %, 0.5 % allowed', changed(only([4], lambda d, k: move(d, 0, 0, 0.0225))),
     'uneven-spacing', 'mm apart', ('--tolerance', '0.005')),
    ('spacing that drifts', changed(lambda d, k: move(d, 0, 0, 0.02 * max(0, k - 4))), 'uneven-spacing',
     'from where even spacing puts it'),
    ('gantry tilt', changed(tilted), 'gantry-tilt', 'shifted within its plane'),
    ('a localiser', with_attributes(ImageType=['ORIGINAL', 'PRIMARY', 'LOCALIZER']), 'localiser', '8 of 8'),
    ('a localiser among slices', one_has(ImageType=['ORIGINAL', 'PRIMARY', 'LOCALIZER']), 'localiser', '1 of 8'),
    ('a mosaic', with_attributes(ImageType=['ORIGINAL', 'PRIMARY', 'M', 'ND', 'MOSAIC']), 'mosaic'),
    ('RGB', changed(colour), 'colour', 'RGB with 3 samples'),
    ('palette colour', with_attributes(PhotometricInterpretation='PALETTE COLOR'), 'colour', 'PALETTE COLOR'),
    ('two echoes', alternating(EchoNumbers=(1, 2)), 'several-volumes', 'one of echo=1, echo=2$'),
    ('two echo times with one number', alternating(EchoTime=('4.6', '9.2'), EchoNumbers=(1, 1)), 'several-volumes',
     'one of echo=1, echo=2$'),
    ('two phases', alternating(TemporalPositionIdentifier=(1, 2)), 'several-volumes', 'temporal-position=1'),
    ('magnitude and phase', alternating(ImageType=(['ORIGINAL', 'PRIMARY', 'M'], ['ORIGINAL', 'PRIMARY', 'P'])),
     'several-volumes', r'image-type=ORIGINAL\\PRIMARY\\M, image-type=ORIGINAL\\PRIMARY\\P'),
    ('Dixon', alternating(ImageType=(['DERIVED', 'PRIMARY', 'W'], ['DERIVED', 'PRIMARY', 'F'])), 'several-volumes',
     'one of dixon=water, dixon=fat'),
    ('two b-values', alternating(DiffusionBValue=(0.0, 800.0)), 'several-volumes', 'b-value=0, b-value=800'),
    ('two stacks', make_enhanced(two_stacks), 'several-volumes', 'stack=1, stack=2'),
    ('a selector for nothing', alternating(EchoNumbers=(1, 2)), 'nothing-selected', r'echo=3; there is echo=1, echo=2',
     ('--select', 'echo=3')),
    ('selectors that exclude each other', alternating(EchoNumbers=(1, 2), TemporalPositionIdentifier=(1, 2)),
     'nothing-selected', 'all of the 2', ('--select', 'echo=1', '--select', 'temporal-position=2')),
    ('three slices', changed(None, at=assembly.grid(dim=(6, 5, 3))), 'too-few-slices', '3 slices, at least 4'),
    ('fewer slices than wanted', changed(None), 'too-few-slices', '8 slices, at least 9', ('--min', '9')),
    ('MR for a model of CT', changed(None), 'wrong-modality', 'a series of MR, CT is wanted', ('--modality', 'CT')),
    ('CT for a model of MR', changed(None, **CT), 'wrong-modality', 'a series of CT, MR is wanted', MR_ONLY),
    ('pixels that are too few', changed(short_pixels), 'truncated-pixels', '58 bytes for 1 frames of 60'),
    ('a file that was cut off', cut_files, 'truncated-pixels', 'ends within Pixel Data'),
    ('no pixels', with_attributes(PixelData=None), 'truncated-pixels', 'no Pixel Data'),
    ('an sCT of ours', changed(attributes(Manufacturer='sctd'), **CT), 'own-object'),
    ('secondary capture', of_class('1.2.840.10008.5.1.4.1.1.7', 'OT'), 'unsupported-class', 'modality OT'),
    ('PET', of_class('1.2.840.10008.5.1.4.1.1.128', 'PT'), 'unsupported-class', 'modality PT'),
    ('more than 2 GiB', many_slices_of_small_files, 'too-large', '8200 x 8200 x 8'),
    ('no position', one_has(ImagePositionPatient=None), 'no-geometry', 'Image Position'),
    ('no orientation', with_attributes(ImageOrientationPatient=None), 'no-geometry', 'Image Orientation'),
    ('no spacing', with_attributes(PixelSpacing=None), 'no-geometry', 'Pixel Spacing'),
    ('spacing of 0', with_attributes(PixelSpacing=['0', '1']), 'no-geometry', 'Pixel Spacing'),
    ('no frame of reference', with_attributes(FrameOfReferenceUID=None), 'no-geometry', 'Frame of Reference'),
    ('directions that are not square', with_attributes(ImageOrientationPatient=['1', '0', '0', '0.1', '0.995', '0']),
     'no-geometry', 'perpendicular'),
    ('no modality', with_attributes(Modality=None), 'bad-attribute', 'Modality is missing'),
    ('a modality of another class', with_attributes(Modality='CT'), 'bad-attribute', 'Modality is CT'),
    ('more bits than there are', with_attributes(BitsStored=17), 'bad-attribute', 'Bits Stored'),
    ('no pixel representation', with_attributes(PixelRepresentation=None), 'bad-attribute', 'Pixel Representation'),
    ('a slope of 0', with_attributes(RescaleSlope='0', RescaleIntercept='1'), 'bad-attribute', 'Rescale Slope is 0'),
    ('CT without a slope', changed(attributes(RescaleSlope=None), **CT), 'bad-attribute', 'without Rescale Slope'),
    ('CT of electron density', changed(attributes(RescaleType='ED'), **CT), 'bad-attribute', 'Rescale Type ED'),
    ('more pixels than frames', changed(lambda d, k: setattr(d, 'PixelData', d.PixelData + b'\0' * 60)),
     'bad-attribute', '120 bytes'),
    ('frames without groups', make_enhanced(fewer_groups), 'bad-attribute', 'Number of Frames is 8, and 7'),
    ('rows that are told twice', twice(b'\x28\x00\x10\x00US'), 'bad-attribute', r'\(0028,0010\) is there twice'),
]


class Refusals(assembly.Case):
    def test_a_row_for_each_way_to_be_wrong(self):
        for name, build, code, *more in ROWS:
            with self.subTest(name):
                folder = self.work / name.replace(' ', '-')
                build(folder)
                self.assert_refused(folder, code, more[0] if more else '.', more[1] if len(more) > 1 else ())

    def test_every_code_has_a_row(self):
        text = (venv.ROOT / 'dicom' / 'refusal.c').read_text()
        codes = {line.split('"')[1] for line in text.splitlines() if '[DICOM_REFUSAL_' in line}
        rows = {row[2] for row in ROWS}
        self.assertEqual(codes - rows, {'undecodable-pixels'}, 'assemble_syntaxes.py has that one')
        self.assertEqual(rows - codes, set())

    def test_unharmed_the_series_is_a_volume(self):
        """The base from which the rows depart."""
        for kind in ('mr', 'ct'):
            make(self.work / kind, kind)
            self.assert_volume(self.work / kind, assembly.expect(self.work / kind))

    def test_patient_data_is_in_no_sentence(self):
        for attribute in ('PatientID', 'PatientName'):
            folder = self.work / attribute
            one_has(**{attribute: 'SECRET'})(folder)
            text = self.assemble(folder)['text']
            for word in ('SECRET', 'P-1', 'Doe', 'Jane'):
                self.assertNotIn(word, text)


if __name__ == '__main__':
    assembly.Case.main(sys.argv)
