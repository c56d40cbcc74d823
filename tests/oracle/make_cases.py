#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write tests/oracle/data/ops.bin: small graphs with PyTorch's result of their last operation.

Needs torch and numpy, and only to make the file anew.  Weights are not stored: they are drawn here
as tests/oracle/graph_make.c draws them.  PyTorch computes in float64; every operation's result is
rounded to float32.

The file, little-endian: "SCTDOPS1", int32 count; for each graph: a name of 32 bytes, int32 height,
width, seed and number of operations; for each operation 13 int32: kind, in[3], act, kernel, factor,
heads, prefix, then h, w, c of the output, then the parts of graph_make_op; then int32 n and n float32,
the last operation's output [h, w, c].

usage: make_cases.py [FILE]     (default: data/ops.bin beside this file)"""
import math
import pathlib
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F

KINDS = ['patch_tokens', 'layer_norm', 'linear', 'attention', 'swiglu', 'conv', 'max_pool', 'upsample',
         'add', 'mean', 'gate', 'scale_add']
ACTS = {'none': lambda x: x, 'gelu': F.gelu, 'sigmoid': torch.sigmoid, 'tanh': torch.tanh}
SCALE, BIAS = 1, 2
PATCH = 16
CNN, DINO = 0, 1


def mix(z):
    with np.errstate(over='ignore'):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def f32(x):
    """Round to float32, keep as float64."""
    return x.float().double()


class Case:
    """A graph under construction: tensors are float64 [h, w, c], operations as the file has them."""

    def __init__(self, name, height, width, seed):
        self.name, self.height, self.width, self.seed = name, height, width, seed
        self.drawn, self.ops = 0, []
        self.tensors = [self.draw((height, width, 1)) for _ in (CNN, DINO)]

    def draw(self, shape, amplitude=1.0):
        n = math.prod(shape)
        index = np.arange(self.drawn + 1, self.drawn + n + 1, dtype=np.uint64)
        self.drawn += n
        with np.errstate(over='ignore'):
            z = mix(mix(np.array(self.seed, np.uint64)) + index * np.uint64(0x9E3779B97F4A7C15))
        value = (z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
        return torch.from_numpy(value * np.float32(amplitude)).double().reshape(shape)

    def parameters(self, rows, row, parts):
        """weight [rows, row] with its scale applied, bias [rows]: drawn in graph_make_op's order."""
        weight = self.draw((rows, row), math.sqrt(3.0 / row))
        if parts & SCALE:
            weight = f32(weight * (1.0 + self.draw((rows, 1), 0.5)))
        bias = self.draw((rows,), 0.5) if parts & BIAS else torch.zeros(rows, dtype=torch.double)
        return weight, bias

    def put(self, kind, inputs, out, parts=0, act='none', **attributes):
        numbers = [KINDS.index(kind), *(inputs + [-1] * 3)[:3], list(ACTS).index(act)]
        numbers += [attributes.get(key, 0) for key in ('kernel', 'factor', 'heads', 'prefix')]
        self.ops.append([*numbers, *out.shape, parts])
        self.tensors.append(f32(out))
        return len(self.tensors) - 1

    def maps(self, t):
        return self.tensors[t].permute(2, 0, 1)[None]

    def put_maps(self, kind, inputs, maps, **attributes):
        return self.put(kind, inputs, maps[0].permute(1, 2, 0), **attributes)

    def patch_tokens(self, prefix, channels, parts=BIAS):
        weight, bias = self.parameters(channels, PATCH * PATCH, parts)
        first = self.draw((prefix, channels))
        patches = F.conv2d(self.maps(DINO), weight.reshape(-1, 1, PATCH, PATCH), bias, PATCH)
        tokens = torch.cat([first, patches[0].flatten(1).T])
        return self.put('patch_tokens', [DINO], tokens[None], parts, prefix=prefix)

    def layer_norm(self, t, prefix=0, grid=None):
        x = self.tensors[t].flatten(0, 1)
        weight, bias = self.parameters(x.shape[1], 1, BIAS)
        eps = float(np.float32(1e-5))
        out = F.layer_norm(x, x.shape[1:], weight[:, 0], bias, eps)[prefix:]
        out = out.reshape(*(grid or (1, -1)), x.shape[1])
        return self.put('layer_norm', [t], out, BIAS, prefix=prefix)

    def linear(self, t, channels, act='none', residual=-1, parts=SCALE | BIAS):
        x = self.tensors[t]
        out = ACTS[act](F.linear(x, *self.parameters(channels, x.shape[2], parts)))
        if residual >= 0:
            out = out + self.tensors[residual]
        return self.put('linear', [t, residual], out, parts, act)

    def attention(self, t, heads, prefix):
        qkv = self.tensors[t][0]
        tokens, width = len(qkv), qkv.shape[1] // 3 // heads
        cos, sin = self.draw((2, tokens - prefix, width))
        q, k, v = qkv.reshape(tokens, 3, heads, width).permute(1, 2, 0, 3)

        def turn(x):
            a, b = x[:, prefix:].chunk(2, -1)
            return torch.cat([x[:, :prefix], x[:, prefix:] * cos + torch.cat([-b, a], -1) * sin], 1)

        out = F.scaled_dot_product_attention(turn(q), turn(k), v)
        out = out.permute(1, 0, 2).reshape(1, tokens, -1)
        return self.put('attention', [t], out, heads=heads, prefix=prefix)

    def conv(self, inputs, channels, kernel=3, act='none', residual=-1, parts=SCALE | BIAS):
        x = torch.cat([self.maps(t) for t in inputs], 1)
        weight, bias = self.parameters(channels, x.shape[1] * kernel * kernel, parts)
        weight = weight.reshape(channels, -1, kernel, kernel)
        out = ACTS[act](F.conv2d(x, weight, bias, padding=kernel // 2))
        if residual >= 0:
            out = out + self.maps(residual)
        all_in = [inputs[0], inputs[1] if len(inputs) > 1 else -1, residual]
        return self.put_maps('conv', all_in, out, parts=parts, act=act, kernel=kernel)

    def max_pool(self, t):
        return self.put_maps('max_pool', [t], F.max_pool2d(self.maps(t), 2))

    def upsample(self, t, factor):
        out = F.interpolate(self.maps(t), scale_factor=factor, mode='bilinear', align_corners=False)
        return self.put_maps('upsample', [t], out, factor=factor)

    def mean(self, t):
        return self.put_maps('mean', [t], F.adaptive_avg_pool2d(self.maps(t), 1))

    def swiglu(self, a, b):
        return self.put('swiglu', [a, b], F.silu(self.tensors[a]) * self.tensors[b])

    def add(self, a, b):
        return self.put('add', [a, b], self.tensors[a] + self.tensors[b])

    def gate(self, a, b, g):
        x, y, z = (self.tensors[t] for t in (a, b, g))
        return self.put('gate', [a, b, g], z * x + (1 - z) * y)

    def scale_add(self, a, b, factors):
        first, second = self.tensors[factors].chunk(2, -1)
        return self.put('scale_add', [a, b, factors],
                        self.tensors[a] * first + self.tensors[b] * second)

    def encode(self):
        out = struct.pack('<32s4i', self.name.encode(), self.height, self.width, self.seed,
                          len(self.ops))
        for op in self.ops:
            out += struct.pack('<13i', *op)
        expected = self.tensors[-1].float().numpy()
        return out + struct.pack('<i', expected.size) + expected.astype('<f4').tobytes()


def conv_cases():
    for kernel in (1, 3):
        for act in ACTS:
            case = Case(f'conv{kernel} {act}', 5, 7, 10 + kernel)
            case.conv([case.conv([CNN], 3)], 5, kernel, act)
            yield case
    for parts in (0, SCALE, BIAS):
        case = Case(f'conv parts {parts}', 6, 5, 20 + parts)
        case.conv([CNN], 7, parts=parts)
        yield case
    for kernel in (1, 3):
        case = Case(f'conv{kernel} of two, residual', 4, 9, 30 + kernel)
        a, b, c = case.conv([CNN], 3), case.conv([DINO], 5), case.conv([CNN, DINO], 4, 1)
        case.conv([a, b], 4, kernel, 'gelu', c)
        yield case
    case = Case('conv of one pixel', 1, 1, 40)
    case.conv([CNN], 17, act='gelu')
    yield case


def vit_cases():
    for prefix in (0, 1, 5):
        case = Case(f'patch tokens after {prefix}', 32, 48, 50 + prefix)
        case.patch_tokens(prefix, 7, 0 if prefix == 0 else BIAS)
        yield case
    case = Case('layer norm', 32, 48, 60)
    case.layer_norm(case.patch_tokens(2, 33))
    yield case
    case = Case('layer norm to a grid', 32, 48, 61)
    case.layer_norm(case.patch_tokens(5, 17), 5, (2, 3))
    yield case
    for act in ACTS:
        case = Case(f'linear {act}', 32, 48, 70)
        tokens = case.patch_tokens(2, 9)
        case.linear(tokens, 9, act, tokens if act == 'none' else -1)
        yield case
    case = Case('linear without scale and bias', 16, 48, 71)
    case.linear(case.patch_tokens(1, 5), 11, parts=0)
    yield case
    for heads, width, prefix in ((1, 2, 0), (3, 4, 1), (2, 16, 5)):
        case = Case(f'attention {heads} x {width}', 32, 48, 80 + heads)
        tokens = case.patch_tokens(prefix, 9)
        case.attention(case.linear(tokens, 3 * heads * width), heads, prefix)
        yield case
    case = Case('swiglu', 32, 32, 90)
    tokens = case.patch_tokens(1, 8)
    case.swiglu(case.linear(tokens, 13), case.linear(tokens, 13))
    yield case


def map_cases():
    case = Case('max pool', 6, 10, 100)
    case.max_pool(case.conv([CNN], 5))
    yield case
    for factor, height, width in ((2, 5, 3), (4, 3, 4), (8, 1, 3), (16, 2, 1)):
        case = Case(f'upsample {factor}', height, width, 110 + factor)
        case.upsample(case.conv([CNN], 3 if factor < 8 else 1), factor)
        yield case
    case = Case('mean', 7, 9, 130)
    case.mean(case.conv([CNN], 17))
    yield case
    for kind in ('add', 'gate', 'scale_add'):
        case = Case(kind, 5, 6, 140)
        a, b = case.conv([CNN], 5), case.conv([DINO], 5)
        third = {'add': lambda: None,
                 'gate': lambda: case.conv([a, b], 5, 1, 'sigmoid'),
                 'scale_add': lambda: case.conv([case.mean(a)], 10, 1, 'sigmoid')}[kind]()
        getattr(case, kind)(*([a, b] if third is None else [a, b, third]))
        yield case


def main():
    default = pathlib.Path(__file__).parent / 'data' / 'ops.bin'
    path = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    cases = [case.encode() for case in (*conv_cases(), *vit_cases(), *map_cases())]
    path.write_bytes(b'SCTDOPS1' + struct.pack('<i', len(cases)) + b''.join(cases))


if __name__ == '__main__':
    main()
