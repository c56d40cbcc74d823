# SPDX-License-Identifier: Apache-2.0
"""safetensors with the standard library alone, and a model to run.  A tensor is (dtype, shape, values)."""
import array
import json
import math
import pathlib
import struct
import subprocess

CODES = {'F32': 'f', 'F64': 'd', 'I16': 'h', 'I32': 'i', 'I64': 'q'}
GOLDEN = pathlib.Path(__file__).resolve().parents[2] / 'golden' / 'data'


def read(path):
    """({name: (dtype, shape, values)}, metadata)"""
    raw = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack('<Q', raw[:8])
    header, body = json.loads(raw[8:8 + length]), raw[8 + length:]
    metadata = header.pop('__metadata__', {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry['data_offsets']
        tensors[name] = (entry['dtype'], entry['shape'], array.array(CODES[entry['dtype']], body[begin:end]))
    return tensors, metadata


def write(path, tensors):
    header, body = {}, b''
    for name, (dtype, shape, values) in tensors.items():
        data = array.array(CODES.get(dtype, 'H'), values).tobytes()
        header[name] = {'dtype': dtype, 'shape': list(shape), 'data_offsets': [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack('<Q', len(text)) + text + body)


def worst(a, b):
    """The largest difference of two tensors of one shape; infinite if any value is not finite."""
    assert a[1] == b[1], (a[1], b[1])
    differences = [abs(x - y) for x, y in zip(a[2], b[2])]
    return max(differences) if all(map(math.isfinite, differences)) else math.inf


def import_model(sctd, models, name, generator, recipe='mr', size='32x32'):
    subprocess.run([sctd, 'model', 'import', '--backbone', GOLDEN / 'vit-meta.safetensors', '--generator',
                    GOLDEN / f'generator-{generator}.safetensors', '--recipe', recipe, '--size', size, '--name', name,
                    '--version', '1', '--quality', 'none', '--models-dir', models], check=True, capture_output=True)
