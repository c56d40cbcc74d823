#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fail if a file includes something its layer may not, if a foreign library's header leaks
outside its one home, or if project headers include each other in a circle.

usage: check_layers.py [ROOT]"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else '.').resolve()

# layer -> layers it may include (itself is always allowed).  The longest prefix of a path wins.
MAY_USE = {
    'engine/base': [],
    'engine/image': ['engine/base'],
    'engine/backend': ['engine/base'],
    'engine/backend/ref': ['engine/base', 'engine/backend'],
    'engine/backend/cpu': ['engine/base', 'engine/backend'],
    'engine/backend/cuda': ['engine/base', 'engine/backend'],
    'engine/backend/cuda/emulator': ['engine/base', 'engine/backend/cuda'],
    'engine/model': ['engine/base', 'engine/backend'],
    'engine': ['engine/base', 'engine/image', 'engine/backend', 'engine/model'],
    'dicom': ['engine/base'],
    'db': ['engine/base'],
    'server': ['engine/base', 'engine', 'dicom', 'db'],
}
MAY_USE['tests'] = list(MAY_USE)
TOP_FOLDERS = ('server', 'engine', 'dicom', 'db', 'tests')
# pattern of a foreign header -> the only paths that may include it
HOMES = [
    (r'sqlite3', r'(db/|tests/support/sqlite_memory\.c$)'),
    (r'dcmtk/', r'dicom/.*\.(cc|hh)$'),
    (r'openjp', r'dicom/'),
    (r'png\.h', r'(server|tests)/'),
    (r'cyaml/', r'server/'),
    (r'(cuda|cudnn|cublas)', r'(engine/backend/cuda|tests/gpu|tests/support/fake_cuda)/'),
    (r'(dnnl|oneapi/)', r'engine/backend/cpu/'),
    (r'(uv\.h|uv/)', r'(server|tests)/'),
    (r'microhttpd\.h', r'server/'),
    (r'systemd/', r'server/'),
]
SUFFIXES = {'.c', '.h', '.cc', '.hh', '.cu', '.cuh'}
CPLUSPLUS = {'.cc': 'dicom/', '.hh': 'dicom/', '.cu': 'engine/backend/cuda/', '.cuh': 'engine/backend/cuda/'}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def layer(path):
    """The longest layer that holds path, '' if none does."""
    return max((name for name in MAY_USE if path.startswith(name + '/')), key=len, default='')


def check_include(rel, quote, inc):
    """One line for what is wrong with an #include in file rel, or None."""
    if quote == '<':
        for pattern, home in HOMES:
            if re.match(pattern, inc) and not re.match(home, rel):
                return f'{rel}: <{inc}> may be included only from {home}'
        return None
    if not (ROOT / inc).is_file():
        return f'{rel}: "{inc}" is not a path from the repository root'
    here, to = layer(rel), layer(inc)
    if to != here and to not in MAY_USE[here]:
        return f'{rel}: layer {here} may not use layer {to} ("{inc}")'
    return None


def find_cycles(graph):
    """A line for each include cycle met in a depth-first walk."""
    problems, state = [], {}

    def visit(node, trail):
        if state.get(node) == 'done':
            return
        if state.get(node) == 'open':
            problems.append('include cycle: ' + ' -> '.join(trail[trail.index(node):] + [node]))
            return
        state[node] = 'open'
        for following in sorted(graph.get(node, ())):
            visit(following, trail + [node])
        state[node] = 'done'

    for node in sorted(graph):
        visit(node, [])
    return problems


def main():
    problems, graph, seen = [], {}, 0
    for top in TOP_FOLDERS:
        for f in sorted((ROOT / top).rglob('*')):
            if f.suffix not in SUFFIXES:
                continue
            seen += 1
            rel = f.relative_to(ROOT).as_posix()
            home = CPLUSPLUS.get(f.suffix)
            if home and not rel.startswith(home):
                problems.append(f'{rel}: {f.suffix} files live only in {home}')
            for quote, inc in INCLUDE.findall(f.read_text(errors='replace')):
                problem = check_include(rel, quote, inc)
                if problem:
                    problems.append(problem)
                elif quote == '"':
                    graph.setdefault(rel, set()).add(inc)
    if seen == 0:
        problems.append(f'{ROOT}: no source file found')
    problems += find_cycles(graph)
    print('\n'.join(problems) or f'layers ok ({seen} files)')
    return bool(problems)


sys.exit(main())
