#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rules no compiler checks: banned calls, sctd_auto without initialiser, #pragma once, the opening
comment of a header, the licence line, file length, tabs, marks of unfinished work.

usage: check_source.py [ROOT]"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else '.').resolve()
MAX_LINES = 800
TOP_FOLDERS = ('server', 'engine', 'dicom', 'db', 'tests')
SUFFIXES = {'.c', '.h', '.cc', '.hh', '.cu', '.cuh'}
HEADERS = {'.h', '.hh', '.cuh'}
LICENCE = 'SPDX-License-Identifier: Apache-2.0'
BANNED = {  # call -> what to use; product code only, tests may call what they like
    'atoi': 'sctd_parse_i64', 'atol': 'sctd_parse_i64', 'atof': 'sctd_parse_f64', 'strtol': 'sctd_parse_i64',
    'strtoll': 'sctd_parse_i64', 'strtoul': 'sctd_parse_u64', 'strtoull': 'sctd_parse_u64',
    'strtod': 'sctd_parse_f64', 'strtof': 'sctd_parse_f64', 'sscanf': 'sctd_parse_*',
    'strcpy': 'sctd_buf', 'strcat': 'sctd_buf', 'sprintf': 'snprintf or sctd_buf', 'gets': 'nothing',
    'strtok': 'strchr and lengths', 'alloca': 'malloc', 'exit': 'return from main',
    'abort': 'assert or sctd_error', 'signal': 'uv_signal', 'sleep': 'uv_timer', 'usleep': 'uv_timer',
    'system': 'uv_spawn', 'rename': 'the durable file writer of engine/base', 'localtime': 'localtime_r',
    'rand': 'a seeded generator', 'printf': 'log or fprintf(out)',
    'sqlite3_exec': 'sql_run', 'sqlite3_open': 'sql_open', 'cudaMalloc': 'cuda_buf_new',
}
CALL = re.compile(r'(?<![\w.>])(' + '|'.join(BANNED) + r')\s*\(')
AUTO = re.compile(r'\bsctd_auto\([^)]*\)\s+[^;=]+;')
UNFINISHED = re.compile(r'\b(TODO|FIXME|XXX|HACK)\b')
NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)


def blank(match):
    """Spaces for a comment or string, with its line breaks kept, so that line numbers hold."""
    return re.sub(r'[^\n]', ' ', match.group(0))


def check_file(rel, suffix, raw):
    """Yield what is wrong with the file as a whole."""
    count = raw.count('\n')
    if count > MAX_LINES:
        yield f'{rel}: {count} lines (max {MAX_LINES}): split it'
    if raw.count(LICENCE) != 1:
        yield f'{rel}: {raw.count(LICENCE)} licence lines: one "{LICENCE}"'
    if suffix in HEADERS and '#pragma once' not in raw:
        yield f'{rel}: no #pragma once'
    if suffix in HEADERS and not raw.startswith(('/* ' + pathlib.PurePath(rel).name + ' - ',
                                                 '/*\n * ' + pathlib.PurePath(rel).name + ' - ')):
        yield f'{rel}: a header starts with a comment "{pathlib.PurePath(rel).name} - what it is for"'


def check_lines(rel, raw):
    """Yield what is wrong with single lines."""
    lines = raw.split('\n')
    for n, code in enumerate(NOT_CODE.sub(blank, raw).split('\n'), 1):
        text = lines[n - 1]
        if UNFINISHED.search(text):
            yield f'{rel}:{n}: unfinished work: build it or remove it'
        if '\t' in text:
            yield f'{rel}:{n}: tab'
        if 'lint-allow' in text:
            continue
        if AUTO.search(code):
            yield f'{rel}:{n}: sctd_auto variable without initialiser'
        if not rel.startswith('tests/'):
            for m in CALL.finditer(code):
                yield f'{rel}:{n}: {m[1]}() is banned: use {BANNED[m[1]]}'


def main():
    problems, seen = [], 0
    for top in TOP_FOLDERS:
        for f in sorted((ROOT / top).rglob('*')):
            if f.suffix in SUFFIXES:
                seen += 1
                rel, raw = f.relative_to(ROOT).as_posix(), f.read_text(errors='replace')
                problems += check_file(rel, f.suffix, raw)
                problems += check_lines(rel, raw)
    if seen == 0:
        problems.append(f'{ROOT}: no source file found')
    print('\n'.join(problems) or f'source ok ({seen} files)')
    return bool(problems)


sys.exit(main())
