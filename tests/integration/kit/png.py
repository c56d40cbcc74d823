# SPDX-License-Identifier: Apache-2.0
"""A PNG of eight bits, grey or RGB, by the PNG specification alone."""
import struct
import zlib

import numpy as np

CHANNELS = {0: 1, 2: 3}


def chunks(raw):
    """[(type, body)], checksums checked."""
    assert raw[:8] == b'\x89PNG\r\n\x1a\n'
    at, found = 8, []
    while at < len(raw):
        length, kind = struct.unpack('>I4s', raw[at:at + 8])
        body = raw[at + 8:at + 8 + length]
        assert zlib.crc32(kind + body) == struct.unpack('>I', raw[at + 8 + length:at + 12 + length])[0]
        found.append((kind.decode(), body))
        at += 12 + length
    return found


def paeth(left, up, corner):
    """PNG 9.4."""
    near = left + up - corner
    distances = [(abs(near - v), n, v) for n, v in enumerate((left, up, corner))]
    return min(distances)[2]


def unfilter(kind, line, above, n):
    """A row's bytes (PNG 9.2); n: bytes of a pixel."""
    line = list(line)
    for i, byte in enumerate(line):
        left = line[i - n] if i >= n else 0
        corner = above[i - n] if i >= n else 0
        line[i] = (byte + (0, left, above[i], (left + above[i]) // 2, paeth(left, above[i], corner))[kind]) & 255
    return line


def read(path):
    """Its pixels, [rows, columns] or [rows, columns, 3], u8."""
    parts = chunks(path.read_bytes())
    width, height, bits, colour, *rest = struct.unpack('>IIBBBBB', parts[0][1])
    assert bits == 8 and rest == [0, 0, 0]
    n = CHANNELS[colour]
    data = zlib.decompress(b''.join(body for kind, body in parts if kind == 'IDAT'))
    assert len(data) == height * (width * n + 1)
    rows = [[0] * (width * n)]
    for row in range(height):
        line = data[row * (width * n + 1):(row + 1) * (width * n + 1)]
        rows.append(unfilter(line[0], line[1:], rows[-1], n))
    pixels = np.array(rows[1:], 'u1').reshape(height, width, n)
    return pixels[..., 0] if n == 1 else pixels
