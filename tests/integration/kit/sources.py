# SPDX-License-Identifier: Apache-2.0
"""Source series, written by pydicom, that pass dciodvfy themselves."""
import hashlib
import io

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

CLASSES = {'mr': '1.2.840.10008.5.1.4.1.1.4', 'ct': '1.2.840.10008.5.1.4.1.1.2',
           'enhanced-mr': '1.2.840.10008.5.1.4.1.1.4.1', 'enhanced-ct': '1.2.840.10008.5.1.4.1.1.2.1'}
ROWS, COLUMNS, SLICES = 6, 4, 5
AXIAL = ((1, 0, 0), (0, 1, 0))


def uid(*parts):
    """A UID that depends on nothing but `parts`."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return '2.25.' + str(int.from_bytes(digest[:16], 'big'))


def code(value, scheme, meaning):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def sequence(**attributes):
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return Sequence([item])


class Grid:
    """Where the slices lie."""

    def __init__(self, origin=(-10.0, 20.5, -30.25), orientation=AXIAL, spacing=(1.5, 1.25), step=2.5,
                 dim=(COLUMNS, ROWS, SLICES)):
        self.dim = dim
        self.axis = np.array([*orientation, np.cross(*orientation)], float)
        self.origin = np.array(origin, float)
        self.step = np.array([spacing[1], spacing[0], step], float)

    def position(self, k):
        return self.origin + k * self.step[2] * self.axis[2]


def ds(values):
    return [pydicom.valuerep.DSfloat(v, auto_format=True) for v in values]


def add_common(dataset, grid):
    """Patient, study, series, frame of reference and equipment of any source."""
    dataset.PatientName = 'Doe^Jane'
    dataset.PatientID = 'P-1'
    dataset.PatientBirthDate = '19660101'
    dataset.PatientSex = 'F'
    dataset.PatientAge = '042Y'
    dataset.PatientWeight = '75.5'
    dataset.StudyInstanceUID = uid('study')
    dataset.StudyDate = '20240102'
    dataset.StudyTime = '101112.5'
    dataset.StudyID = 'S1'
    dataset.StudyDescription = 'Pelvis'
    dataset.AccessionNumber = 'A-77'
    dataset.ReferringPhysicianName = 'House^Gregory'
    dataset.SeriesInstanceUID = uid('series')
    dataset.SeriesNumber = 4
    dataset.SeriesDescription = 't2 tse'
    dataset.SeriesDate, dataset.SeriesTime = '20240102', '102030'
    dataset.BodyPartExamined = 'PELVIS'
    dataset.PatientPosition = 'HFS'
    dataset.FrameOfReferenceUID = uid('frame of reference')
    dataset.PositionReferenceIndicator = ''
    dataset.Manufacturer = 'ACME'
    dataset.ManufacturerModelName = 'Scanner 3'
    dataset.DeviceSerialNumber = '12345'
    dataset.SoftwareVersions = ['VA1', 'VB2']
    dataset.InstitutionName = 'General Hospital'
    dataset.StationName = 'MR1'
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = '20240102', '102031'
    dataset.ContentDate, dataset.ContentTime = '20240102', '102031'
    dataset.AcquisitionNumber = 1
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = 'MONOCHROME2'
    dataset.Rows, dataset.Columns = grid.dim[1], grid.dim[0]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    block = dataset.private_block(0x0029, 'ACME 1.0', create=True)
    block.add_new(1, 'LO', 'secret')


def add_mr(dataset):
    dataset.Modality = 'MR'
    dataset.ImageType = ['ORIGINAL', 'PRIMARY', 'M']
    dataset.ScanningSequence = 'SE'
    dataset.SequenceVariant = 'SK'
    dataset.ScanOptions = ''
    dataset.MRAcquisitionType = '2D'
    dataset.RepetitionTime, dataset.EchoTime, dataset.EchoTrainLength = '4000', '90', '12'
    dataset.MagneticFieldStrength = '3'


def add_ct(dataset):
    dataset.Modality = 'CT'
    dataset.ImageType = ['ORIGINAL', 'PRIMARY', 'AXIAL']
    dataset.KVP = '120'
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = '-1024', '1', 'HU'


def save(path, dataset, syntax=ExplicitVRLittleEndian):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = uid('tests')
    dataset.file_meta = meta
    dataset.preamble = b'\0' * 128
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


class Series:
    """Slices in the volume's order: (path, frame, SOP class, SOP instance)."""

    def __init__(self, grid):
        self.grid = grid
        self.slices = []

    def add(self, path, frame, dataset):
        self.slices.append({'path': str(path), 'frame': frame, 'sop_class_uid': dataset.SOPClassUID,
                            'sop_instance_uid': dataset.SOPInstanceUID})

    def paths(self):
        return list(dict.fromkeys(s['path'] for s in self.slices))


def make_single(folder, kind='mr', grid=None, change=None, syntax=ExplicitVRLittleEndian):
    """One instance a slice.  change(dataset, k) may alter each before it is written."""
    grid = grid or Grid()
    series = Series(grid)
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(grid.dim[2]):
        dataset = Dataset()
        add_common(dataset, grid)
        {'mr': add_mr, 'ct': add_ct}[kind](dataset)
        dataset.SOPClassUID = CLASSES[kind]
        dataset.SOPInstanceUID = uid(kind, k)
        dataset.InstanceNumber = grid.dim[2] - k
        dataset.ImagePositionPatient = ds(grid.position(k))
        dataset.ImageOrientationPatient = ds(grid.axis[:2].ravel())
        dataset.PixelSpacing = ds([grid.step[1], grid.step[0]])
        dataset.SliceThickness = ds([grid.step[2]])[0]
        dataset.PixelData = np.full((grid.dim[1], grid.dim[0]), 100 + k, '<u2').tobytes()
        if change is not None:
            change(dataset, k)
        series.add(save(folder / f'{k:03d}.dcm', dataset, syntax), 0, dataset)
    return series


def set_raw(dataset, tag, vr, value):
    """An element with exactly these bytes."""
    dataset[tag] = pydicom.dataelem.RawDataElement(pydicom.tag.Tag(tag), vr, len(value), value, 0, False, True)


def read_raw(path):
    """{tag: (VR, bytes)} of the top level of an explicit little endian file, read by pydicom's tokenizer."""
    with open(path, 'rb') as f:
        raw = f.read()
    stream = io.BytesIO(raw)
    stream.seek(132)
    pydicom.filereader._read_file_meta_info(stream)
    items = pydicom.filereader.data_element_generator(stream, False, True)
    return {int(e.tag): e for e in items}


def add_enhanced(dataset, kind):
    """What an Enhanced MR or CT Image has and a single-frame one does not."""
    dataset.SOPClassUID = CLASSES[kind]
    dataset.SOPInstanceUID = uid(kind)
    dataset.InstanceNumber = 1
    dataset.NumberOfFrames = 0
    dataset.ImageType = ['ORIGINAL', 'PRIMARY', 'VOLUME', 'NONE']
    dataset.PixelPresentation, dataset.VolumetricProperties = 'MONOCHROME', 'VOLUME'
    dataset.VolumeBasedCalculationTechnique = 'NONE'
    dataset.PresentationLUTShape, dataset.BurnedInAnnotation, dataset.LossyImageCompression = 'IDENTITY', 'NO', '00'
    dataset.ContentQualification = 'PRODUCT'
    dataset.AcquisitionDateTime, dataset.AcquisitionDuration = '20240102102030', 60.0
    dataset.AcquisitionContextSequence = Sequence([])


def make_enhanced(folder, kind='enhanced-mr', grid=None, change=None):
    """One instance; frames in reverse order of the volume.  Geometry is all that the writer asks of its functional
    groups, so others that the standard wants are left out."""
    grid = grid or Grid()
    folder.mkdir(parents=True, exist_ok=True)
    dataset = Dataset()
    add_common(dataset, grid)
    dataset.Modality = kind[-2:].upper()
    add_enhanced(dataset, kind)
    dataset.SharedFunctionalGroupsSequence = sequence(
        PixelMeasuresSequence=sequence(PixelSpacing=ds([grid.step[1], grid.step[0]]),
                                       SliceThickness=ds([grid.step[2]])[0]),
        PlaneOrientationSequence=sequence(ImageOrientationPatient=ds(grid.axis[:2].ravel())))
    frames = Sequence([])
    n = grid.dim[2]
    for frame in range(n):
        item = Dataset()
        item.PlanePositionSequence = sequence(ImagePositionPatient=ds(grid.position(n - 1 - frame)))
        frames.append(item)
    dataset.PerFrameFunctionalGroupsSequence = frames
    dataset.NumberOfFrames = n
    dataset.PixelData = np.zeros((n, grid.dim[1], grid.dim[0]), '<u2').tobytes()
    if change is not None:
        change(dataset)
    path = save(folder / 'enhanced.dcm', dataset)
    series = Series(grid)
    for k in range(n):
        series.add(path, n - 1 - k, dataset)
    return series
