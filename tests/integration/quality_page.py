#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Quality pages as others see them: dicom3tools, DCMTK and pydicom read what write_sct_tool wrote beside an sCT, from
sources that pydicom made.  usage: quality_page.py /path/to/sctd [unittest options]"""
import hashlib
import io
import pathlib
import sys
import unittest

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
import numpy as np  # noqa: E402
import pydicom  # noqa: E402
from PIL import Image  # noqa: E402

from kit import batches, daemon, sources, writing  # noqa: E402
from kit.writing import MODEL, PATIENT, Written, run  # noqa: E402

SECONDARY_CAPTURE = '1.2.840.10008.5.1.4.1.1.7'
SPACE = [0x00200052, 0x00201040, 0x00185100]  # frame of reference, and how the patient lay in it
FOUND = {'needs_review': 1, 'text': 'outline 23.1 mm (at most 15); holes 12 ml (at most 5)'}
# A page has no warnings but what the source lacks.
EXPECTED_WARNINGS = [r'Missing attribute or value that would be needed to build DICOMDIR - Study (Time|ID)',
                     r'is only permitted to be empty when actually unknown; .* attribute <Laterality>']


def derived(purpose, sct_series_uid):
    digest = hashlib.sha256(f'{purpose}\0{sct_series_uid}\0'.encode()).digest()
    return f'2.25.{int.from_bytes(digest[:16], "big")}'


class Page(Written):
    """An sCT and its page."""

    def __init__(self, folder, series, shape=(7, 5), quality=None, **request):
        self.pixels = np.random.default_rng(2).integers(0, 256, shape, 'u1')
        self.page_folder = folder.with_name(folder.name + '-page')
        self.page_folder.mkdir(parents=True)
        pixels = folder.with_name(folder.name + '-pixels')
        self.pixels.tofile(pixels)
        page = {'folder': str(self.page_folder), 'pixels': str(pixels), 'width': shape[1], 'height': shape[0]}
        super().__init__(folder, series, page=page, quality=quality or FOUND, **request)
        self.page = self.page_folder / 'quality.dcm'


class QualityPage(writing.Case):
    def write(self, series, name='out', **request):
        page = Page(self.work / self.id() / name, series, **request)
        self.assertEqual(page.done.returncode, 0, page.done.stderr)
        self.assertEqual([p.name for p in page.page_folder.iterdir()], ['quality.dcm'])
        return page

    def check(self, series, page):
        """No validator has anything against the page, alone or beside its sCT and source; its pixels are all there; who it
        is of and what it was made from is right."""
        self.check_valid(page.page, EXPECTED_WARNINGS)
        both = run('dcentvfy', *series.paths(), *page.paths, page.page)
        self.assertEqual(both.stderr, '')
        d = pydicom.dcmread(page.page)
        self.assertEqual((d.SOPClassUID, d.file_meta.MediaStorageSOPClassUID), (SECONDARY_CAPTURE,) * 2)
        np.testing.assert_array_equal(d.pixel_array, page.pixels)
        self.check_same_bytes(series.slices[0]['path'], page.page, [t for t in PATIENT if t not in SPACE])
        self.check_references(series, page, d)
        return d

    def check_references(self, series, page, d):
        sct = [(pydicom.dcmread(p).SOPClassUID, pydicom.dcmread(p).SOPInstanceUID) for p in page.paths]
        of_source = list(dict.fromkeys((s['sop_class_uid'], s['sop_instance_uid']) for s in series.slices))

        def pairs(items):
            return [(i.ReferencedSOPClassUID, i.ReferencedSOPInstanceUID) for i in items]

        self.assertEqual(pairs(d.SourceImageSequence), sct + of_source)
        for item in d.SourceImageSequence:
            self.assertEqual(item.PurposeOfReferenceCodeSequence[0].CodeValue, '121322')
            self.assertEqual(item.SpatialLocationsPreserved, 'NO')
            self.assertNotIn('ReferencedFrameNumber', item)
        source_series = pydicom.dcmread(series.slices[0]['path']).SeriesInstanceUID
        self.assertEqual([(s.SeriesInstanceUID, pairs(s.ReferencedInstanceSequence))
                          for s in d.ReferencedSeriesSequence],
                         [(page.series_uid, sct), (source_series, of_source)])

    def test_pages_of_sources_of_every_class_and_of_both_kinds_of_sct(self):
        makers = {'mr': sources.make_single, 'ct': sources.make_single, 'enhanced-mr': sources.make_enhanced,
                  'enhanced-ct': sources.make_enhanced}
        for kind, make in makers.items():
            for enhanced in (0, 1):
                with self.subTest(f'{kind} {enhanced}'):
                    series = make(self.work / self.id() / f'{kind}{enhanced}', kind)
                    # the few functional groups of an enhanced source, and frames in reverse, are not the page's matter
                    page = self.write(series, f'{kind}{enhanced}-out', enhanced=enhanced)
                    self.check(series, page)

    def test_pixels_of_any_number_are_padded_to_an_even_length(self):
        series = self.source()
        for shape in ((1, 1), (1, 2), (3, 3), (480, 641)):
            page = self.write(series, str(shape), shape=shape)
            d = self.check(series, page)
            self.assertEqual(len(d.PixelData), (shape[0] * shape[1] + 1) // 2 * 2)
            self.assertEqual((d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation), (8, 8, 7, 0))
            # this window shows every value as it is (PS3.3 C.11.2.1.2.1)
            self.assertEqual((d.WindowCenter, d.WindowWidth, d.PhotometricInterpretation), (128, 256, 'MONOCHROME2'))

    def test_what_a_page_is_is_said(self):
        series = self.source()
        page = self.write(series)
        d = self.check(series, page)
        self.assertEqual((d.Modality, d.ConversionType, d.Manufacturer, d.ManufacturerModelName),
                         ('OT', 'WSD', 'sctd', 'sctd'))
        self.assertEqual((list(d.ImageType), d.InstanceNumber, d.PatientOrientation), (['DERIVED', 'SECONDARY'], 1, ''))
        self.assertEqual((d.SeriesDescription, d.SeriesNumber, pydicom.dcmread(page.paths[0]).SeriesNumber),
                         ('REVIEW sCT quality', 1005, 1004))
        self.assertEqual((d.BurnedInAnnotation, d.LossyImageCompression, d.ContentQualification),
                         ('NO', '00', 'RESEARCH'))
        self.assertEqual((d.SeriesDate, d.ContentTime, d.DateOfSecondaryCapture, d.TimeOfSecondaryCapture),
                         ('20250203', '040506.123456') * 2)
        self.assertEqual(sources.read_raw(page.page)[0x00204000].value.decode().rstrip(),
                         'NEEDS REVIEW: ' + FOUND['text'])
        self.assertIn(MODEL['sha256'], d.DerivationDescription)
        self.assertTrue(d.DerivationDescription.endswith('. NEEDS REVIEW: ' + FOUND['text']), d.DerivationDescription)
        self.assertEqual([(c.CodeValue, c.CodingSchemeDesignator) for c in d.DerivationCodeSequence],
                         [('113072', 'DCM')])
        self.assertEqual([e.Manufacturer for e in d.ContributingEquipmentSequence], ['ACME', 'sctd'])
        for tag in [*SPACE, 0x00291001]: # it lies nowhere in the patient
            self.assertNotIn(tag, d)

    def test_uids_follow_from_the_sct(self):
        page = self.write(self.source())
        d = pydicom.dcmread(page.page)
        self.assertEqual(d.SeriesInstanceUID, derived('sctd quality page series 1', page.series_uid))
        self.assertEqual(d.SOPInstanceUID, derived('sctd quality page instance 1', page.series_uid))

    def test_an_sct_that_passed_has_a_page_without_a_mark(self):
        series = self.source()
        page = self.write(series, quality={'needs_review': 0, 'text': '9 checks passed'}, series_number_offset=7,
                          model={**MODEL, 'research_only': False})
        d = self.check(series, page)
        self.assertEqual((d.SeriesDescription, d.SeriesNumber, d.ContentQualification), ('sCT quality', 12, 'PRODUCT'))
        self.assertTrue(d.DerivationDescription.endswith('. Quality: 9 checks passed'), d.DerivationDescription)
        self.assertEqual(sources.read_raw(page.page)[0x00204000].value.decode().rstrip(), '9 checks passed')

    def test_all_that_was_found_is_there_even_if_it_is_much(self):
        text = '; '.join(f'check {i} 23.1 mm (at most 15)' for i in range(150))
        series = self.source()
        page = self.write(series, quality={'needs_review': 1, 'text': text})
        d = self.check(series, page)
        self.assertEqual((len(d.DerivationDescription), d.DerivationDescription[-3:]), (1024, '...'))
        self.assertEqual(sources.read_raw(page.page)[0x00204000].value.decode().rstrip(), 'NEEDS REVIEW: ' + text)

    def test_character_sets_are_kept_byte_for_byte(self):
        for charset, name in writing.NAMES.items():
            with self.subTest(charset):
                folder = self.work / self.id() / charset.strip('\\').replace(' ', '_')
                series = sources.make_single(folder / 'in', change=writing.name_patient(charset, name))
                page = Page(folder / 'out', series)
                self.assertEqual(page.done.returncode, 0, page.done.stderr)
                self.check(series, page)
                self.check_same_bytes(series.slices[0]['path'], page.page, [0x00080005])

    def test_what_a_source_shows_its_page_shows(self):
        def change(dataset, _):
            dataset.BurnedInAnnotation = 'YES'
            dataset.RecognizableVisualFeatures = 'YES'
            dataset.LossyImageCompression = '01'
            dataset.LossyImageCompressionRatio = '10'
            dataset.LossyImageCompressionMethod = 'ISO_10918_1'

        series = self.source(change=change)
        page = self.write(series)
        self.check(series, page)
        self.check_same_bytes(series.slices[0]['path'], page.page, [0x00280301, 0x00280302, 0x00282110, 0x00282112])

    @unittest.skipUnless(daemon.Orthanc.PROGRAM, 'Orthanc is not installed')
    def test_orthanc_keeps_it_in_the_study_and_shows_it(self):
        """Its names are UTF-8 whatever the objects' character set."""
        series = self.source(change=writing.name_patient('ISO_IR 100', writing.NAMES['ISO_IR 100']))
        page = self.write(series, shape=(48, 65))
        orthanc = daemon.Orthanc(self.work / 'orthanc', daemon.free_port())
        self.addCleanup(orthanc.stop)
        batches.upload(orthanc, [pathlib.Path(p) for p in series.paths()] + page.paths + [page.page])
        study, = orthanc.get('studies?expand')
        self.assertEqual(study['PatientMainDicomTags']['PatientName'], 'Müller^Jürgen')
        found = {s['MainDicomTags']['SeriesInstanceUID']: s for s in map(lambda s: orthanc.get(f'series/{s}'),
                                                                          study['Series'])}
        self.assertEqual(len(found), 3)
        of_page = found[derived('sctd quality page series 1', page.series_uid)]
        self.assertEqual((of_page['MainDicomTags']['Modality'], len(of_page['Instances'])), ('OT', 1))
        tags = orthanc.get(f'instances/{of_page["Instances"][0]}/simplified-tags')
        self.assertEqual(tags['ReferencedSeriesSequence'][0]['SeriesInstanceUID'], page.series_uid)
        shown = orthanc.get_bytes(f'instances/{of_page["Instances"][0]}/image-uint8')
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(shown))), page.pixels)

    def test_made_up_sources_stay_made_up(self):
        def change(dataset, _):
            dataset.add_new(0x0008001c, 'CS', 'YES')

        series = self.source(change=change)
        page = self.write(series)
        self.assertEqual(pydicom.dcmread(page.page)[0x0008001c].value, 'YES')
        self.check_references(series, page, pydicom.dcmread(page.page))

    def test_what_the_source_lacks_is_empty(self):
        def change(dataset, _):
            for keyword in ('PatientBirthDate', 'PatientSex', 'StudyID', 'AccessionNumber', 'ReferringPhysicianName',
                            'StudyTime', 'BodyPartExamined', 'SeriesNumber'):
                del dataset[keyword]

        page = self.write(self.source(change=change))
        self.check_valid(page.page, EXPECTED_WARNINGS)
        d = pydicom.dcmread(page.page)
        self.assertEqual((d.PatientBirthDate, d.StudyID, str(d.ReferringPhysicianName), d.SeriesNumber),
                         ('', '', '', 1001))


if __name__ == '__main__':
    sys.argv.pop(1)
    unittest.main(verbosity=1)
