#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run gcc's analyzer over the product's C files, with the definitions and instruction sets they are
built with.  It models __attribute__((cleanup)), which clang's analyzer does not.

usage: check_leaks.py BUILD_DIR   (from the repository root)"""
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path.cwd().resolve()
# Here memory is handed to a list inside an object, which the analyzer loses sight of; the tests that fail
# each allocation in turn, under LeakSanitizer, look after these.  A handle of iconv, whose failure is no NULL, is
# beyond it too, and so is what a callback of libuv reaches through its handle, a buffer that a pass reaches through a
# struct, and a text whose pointer a parser has advanced.
BEYOND_IT = {'dicom/sct_text.c', 'engine/backend/cpu/cpu_backend.c', 'engine/backend/cpu/steps_map.c',
             'engine/backend/cuda/plan_cache.c', 'engine/image/ssim.c', 'engine/model/network.c',
             'server/receivers_answer.c', 'server/reporter.c', 'server/serve.c', 'server/sweep.c',
             'server/view_draw.c', 'server/view_subject.c', 'server/viewers.c', 'server/worker_list.c'}
TOP_FOLDERS = ('server/', 'engine/', 'dicom/', 'db/')


def jobs(build):
    """(file, flags) of each distinct compilation of a product file."""
    found = {}
    for entry in json.loads((pathlib.Path(build) / 'compile_commands.json').read_text()):
        path = pathlib.Path(entry['file']).resolve()
        if path.suffix != '.c' or not path.is_relative_to(ROOT):
            continue
        rel = path.relative_to(ROOT).as_posix()
        if rel.startswith(TOP_FOLDERS) and rel not in BEYOND_IT:
            words = shlex.split(entry['command'])
            flags = [f for f in words if f.startswith(('-D', '-m'))]
            flags += [w for a, b in zip(words, words[1:]) if a == '-isystem' for w in (a, b)]
            found[(rel, *flags)] = None
    return sorted(found)


def analyse(job):
    rel, *flags = job
    done = subprocess.run(['gcc-12', '-std=gnu17', '-O1', '-Wno-psabi', '-fanalyzer', '-Wno-analyzer-shift-count-overflow', '-Werror', '-I.', *flags, '-c',
                           rel, '-o', os.devnull], capture_output=True, text=True, check=False)
    return '' if done.returncode == 0 else done.stderr


def main():
    work = jobs(sys.argv[1])
    if not work:
        print(f'{sys.argv[1]}: compiles no product file')
        return 1
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = [text for text in pool.map(analyse, work) if text]
    print('\n'.join(problems) or f'gcc -fanalyzer ok ({len(work)} files)')
    return bool(problems)


sys.exit(main())
