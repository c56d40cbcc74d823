#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests, reports and performed steps as pydicom writes them, after a byte that tells the encoding.
usage: make_references_seeds.py FOLDER"""
import pathlib
import sys

import pydicom
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

MR = '1.2.840.10008.5.1.4.1.1.4'
ENCODINGS = {'explicit': (0, False, True), 'implicit': (1, True, True), 'big': (2, False, False)}


def references(first, count, **more):
    items = []
    for number in range(first, first + count):
        item = pydicom.Dataset()
        item.ReferencedSOPClassUID = MR
        item.ReferencedSOPInstanceUID = f'1.2.3.{number}'
        for keyword, value in more.items():
            setattr(item, keyword, value)
        items.append(item)
    return items


def commitment(committed, failed):
    dataset = pydicom.Dataset()
    dataset.TransactionUID = '2.25.1'
    if committed:
        dataset.ReferencedSOPSequence = references(1, committed)
    if failed:
        dataset.FailedSOPSequence = references(50, failed, FailureReason=0x0112)
    return dataset


def step(status, series):
    dataset = pydicom.Dataset()
    dataset.PerformedProcedureStepStatus = status
    dataset.PerformedSeriesSequence = []
    for number, (images, others) in enumerate(series):
        item = pydicom.Dataset()
        item.SeriesInstanceUID = f'1.9.{number}'
        item.ReferencedImageSequence = references(1, images)
        item.ReferencedNonImageCompositeSOPInstanceSequence = references(50, others)
        dataset.PerformedSeriesSequence.append(item)
    return dataset


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    datasets = {'request': commitment(3, 0), 'report': commitment(2, 1), 'failures': commitment(0, 2),
                'started': step('IN PROGRESS', []), 'completed': step('COMPLETED', [(2, 1), (0, 0), (0, 1)])}
    for name, dataset in datasets.items():
        for encoding, (byte, implicit, little) in ENCODINGS.items():
            for undefined in (False, True):
                for element in dataset:
                    if element.VR == 'SQ':
                        element.is_undefined_length = undefined
                        for item in element.value:
                            item.is_undefined_length_sequence_item = undefined
                to = DicomBytesIO()
                to.is_implicit_VR, to.is_little_endian = implicit, little
                write_dataset(to, dataset)
                (folder / f'{name}-{encoding}{"-open" if undefined else ""}').write_bytes(bytes([byte]) + to.getvalue())


main()
