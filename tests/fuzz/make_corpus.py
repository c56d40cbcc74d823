#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the seed corpora corpus/json and corpus/safetensors beside this file: the same bytes each time.

The seeds are kept in the tree; run this after changing it.
"""
import json
import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent / 'corpus'
SIZES = {'F32': 4, 'F64': 8, 'F16': 2, 'BF16': 2, 'I64': 8, 'I32': 4, 'I16': 2, 'I8': 1, 'U8': 1, 'BOOL': 1}

JSON = {
    'types': b'{"n": null, "t": true, "f": false, "i": -42, "d": 1.5e-3, "s": "x", "a": [1, [2]], "o": {}}',
    'strings': b'["\\"\\\\\\/\\b\\f\\n\\r\\t", "\\u00e9\\ud83d\\ude00\\u0000", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"]',
    'numbers': b'[0, -0, -0.0, 9223372036854775807, -9223372036854775808, 9223372036854775808, 5e-324, 1E+22]',
    'deep64': b'[' * 64 + b']' * 64,
    'deep65': b'[' * 65 + b']' * 65,
    'repeated': b'{"a": 1, "\\u0061": 2}',
    'surrogate': b'"\\ud800"',
    'overlong': b'"\xc0\x80"',
    'trailing': b'{} x',
    'blanks': b' \t\r\n{ "a" : [ 1 , 2 ] } \n',
    'cut': b'{"a": [1, {"b": "c',
    'empty': b'',
}


def tensor(dtype, shape, begin, end):
    return {'dtype': dtype, 'shape': shape, 'data_offsets': [begin, end]}


def pack(header, data, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    return struct.pack('<Q', len(text) if length is None else length) + text + data


def every_dtype():
    header, at = {'__metadata__': {'format': 'pt'}}, 0
    for dtype, size in sorted(SIZES.items(), key=lambda item: -item[1]):
        header[dtype.lower()] = tensor(dtype, [1, 2], at, at + 2 * size)
        at += 2 * size
    return pack(header, bytes(range(at)))


SAFETENSORS = {
    'every_dtype': every_dtype(),
    'none': pack({}, b''),
    'scalar': pack({'s': tensor('F32', [], 0, 4)}, b'\0\0\x80\x3f'),
    'zero_size': pack({'e': tensor('F32', [3, 0], 0, 0), 'u': tensor('U8', [1], 0, 1)}, b'\x07'),
    'hole': pack({'a': tensor('U8', [1], 0, 1), 'b': tensor('U8', [1], 2, 3)}, b'abc'),
    'overlap': pack({'a': tensor('U8', [2], 0, 2), 'b': tensor('U8', [2], 1, 3)}, b'abc'),
    'trailing': pack({'a': tensor('U8', [1], 0, 1)}, b'ab'),
    'overflow': pack({'a': tensor('F32', [2**32, 2**32], 0, 4)}, b'abcd'),
    'negative': pack({'a': tensor('F32', [-1], 0, 4)}, b'abcd'),
    'mismatch': pack({'a': tensor('F32', [2], 0, 4)}, b'abcd'),
    'unsupported': pack({'a': tensor('F8_E4M3', [1], 0, 1)}, b'a'),
    'repeated': pack(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
                     b'"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}', b'ab'),
    'long_header': pack({}, b'', 2**63),
    'array': pack(b'[]', b''),
    'short': b'\x02\0\0',
}


def main():
    for folder, seeds in (('json', JSON), ('safetensors', SAFETENSORS)):
        (HERE / folder).mkdir(parents=True, exist_ok=True)
        for name, data in seeds.items():
            (HERE / folder / name).write_bytes(data)


main()
