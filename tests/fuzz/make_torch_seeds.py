#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the seed corpora corpus/pickle and corpus/torch_zip beside this file: small files of torch.save.

Needs PyTorch >= 2.6; the seeds are kept in the tree, so nobody else does.  The unit tests of the
checkpoint readers know the values written here.
"""
import collections
import pathlib
import zipfile

import torch

HERE = pathlib.Path(__file__).resolve().parent / 'corpus'


def every_kind():
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    tensors = collections.OrderedDict()
    tensors['f32'] = torch.arange(6, dtype=torch.float32).reshape(2, 3) / 2
    tensors['f64'] = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    tensors['f16'] = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float16)
    tensors['bf16'] = torch.tensor([0.5, -1.0, 2.0], dtype=torch.bfloat16)
    tensors['i64'] = torch.tensor([1, -2**40])
    tensors['i32'] = torch.tensor([1, -2], dtype=torch.int32)
    tensors['i16'] = torch.tensor([1, -2], dtype=torch.int16)
    tensors['i8'] = torch.tensor([1, -2], dtype=torch.int8)
    tensors['u8'] = torch.tensor([1, 255], dtype=torch.uint8)
    tensors['bool'] = torch.tensor([True, False])
    tensors['scalar'] = torch.tensor(3.5)
    tensors['empty'] = torch.zeros(0, 4)
    tensors['base'] = base
    tensors['tied'] = base
    tensors['rows'] = base[1:3]
    tensors['param'] = torch.nn.Parameter(torch.ones(2, 2))
    # one column: its strides are not those of a row-major matrix, its values lie so all the same
    tensors['column'] = torch.arange(3, dtype=torch.float32).reshape(1, 3).t()
    return {
        'teacher': tensors, 'epoch': 3, 'lr': 1e-3, 'note': 'caf\u00e9', 'nothing': None,
        'flag': True, 'list': [torch.zeros(2), 1, (2, 3)], 'size': torch.Size([1, 2]),
        'far': 2**40, 'huge': 2**90, 'minus': -5,
        'optimizer': {'state': {0: {'exp_avg': torch.ones(2)}}, 'param_groups': [{'lr': 0.1}]},
    }


def save(what, folder, name, new):
    (HERE / folder).mkdir(parents=True, exist_ok=True)
    path = HERE / folder / name
    torch.save(what, path, _use_new_zipfile_serialization=new)
    return path


def main():
    torch.manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).state_dict()
    objects = {'kinds': every_kind(), 'state_dict': net, 'strided': {'a': torch.ones(4, 6).t()},
               'complex': {'a': torch.tensor([1j])}, 'tensor': torch.ones(2),
               'negative': {'a': torch.tensor([1.0, 2.0])._neg_view()}}
    for name, what in objects.items():
        path = save(what, 'torch_zip', name + '.pth', True)
        with zipfile.ZipFile(path) as archive:
            (HERE / 'pickle' / (name + '.pkl')).write_bytes(archive.read(name + '/data.pkl'))
        save(what, 'pickle', name + '_legacy.pth', False)
    torch.serialization.set_crc32_options(False)
    save(net, 'torch_zip', 'no_crc.pth', True)


main()
