#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The checks checked: each rule of check_layers.py, check_source.py and check_symbols.sh must pass
a clean tree and fail that tree with one violation added, naming the file.

usage: test_lint.py C_COMPILER"""
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SPDX = '/* SPDX-License-Identifier: Apache-2.0 */\n'


def header(name, body=''):
    return f'/* {name} - made for the test of the checks. */\n{SPDX}#pragma once\n{body}'


CLEAN = {
    'engine/base/buf.h': header('buf.h'),
    'engine/base/buf.c': SPDX + '#include "engine/base/buf.h"\n',
    'engine/image/resize.h': header('resize.h', '#include "engine/base/buf.h"\n'),
    'engine/backend/cuda/emulator/emulator.h': header('emulator.h', '#include "engine/base/buf.h"\n'),
    'engine/backend/graph.h': header('graph.h'),
    'engine/backend/ref/ref.h': header('ref.h', '#include "engine/backend/graph.h"\n'),
    'engine/backend/cpu/cpu.c': SPDX + '#include <dnnl.h>\n#include "engine/backend/graph.h"\n',
    'engine/backend/cuda/norm.cu': SPDX + '#include <cuda_runtime.h>\n',
    'engine/model/model.h': header('model.h', '#include "engine/backend/graph.h"\n'),
    'engine/engine.h': header('engine.h', '#include "engine/model/model.h"\n'),
    'dicom/series.h': header('series.h', '#include "engine/base/buf.h"\n'),
    'dicom/scp.cc': SPDX + '#include <dcmtk/dcmnet/scp.h>\n',
    'db/jobs.h': header('jobs.h', '#include "engine/base/buf.h"\n'),
    'db/jobs.c': SPDX + '#include <sqlite3.h>\n#include "db/jobs.h"\n',
    'server/main.c': SPDX + '#include <uv.h>\n#include "engine/engine.h"\n#include "db/jobs.h"\n'
                            '#include "dicom/series.h"\n',
    'tests/unit/test_graph.c': SPDX + '#include "engine/backend/graph.h"\n',
}

# (what is violated, file, its text): the check must fail and name the file
LAYERS = [
    ('base uses nothing', 'engine/base/a.c', '#include "engine/image/resize.h"\n'),
    ('image does not use backends', 'engine/image/a.c', '#include "engine/backend/graph.h"\n'),
    ('backends do not use the model', 'engine/backend/cpu/a.c', '#include "engine/model/model.h"\n'),
    ('the emulator is for tests', 'engine/backend/cuda/a.c', '#include "engine/backend/cuda/emulator/emulator.h"\n'),
    ('backends do not use each other', 'engine/backend/cpu/b.c', '#include "engine/backend/ref/ref.h"\n'),
    ('the model does not use images', 'engine/model/a.c', '#include "engine/image/resize.h"\n'),
    ('the engine does not use one backend', 'engine/a.c', '#include "engine/backend/ref/ref.h"\n'),
    ('the engine does not use the server', 'engine/b.c', '#include "dicom/series.h"\n'),
    ('siblings do not meet: db, dicom', 'db/a.c', '#include "dicom/series.h"\n'),
    ('siblings do not meet: dicom, db', 'dicom/a.c', '#include "db/jobs.h"\n'),
    ('siblings do not meet: dicom, engine', 'dicom/b.c', '#include "engine/engine.h"\n'),
    ('the server sees only engine.h', 'server/a.c', '#include "engine/model/model.h"\n'),
    ('the server sees no image code', 'server/b.c', '#include "engine/image/resize.h"\n'),
    ('SQLite lives in db', 'server/c.c', '#include <sqlite3.h>\n'),
    ('DCMTK lives in C++ of dicom', 'dicom/c.c', '#include <dcmtk/dcmnet/scp.h>\n'),
    ('CUDA lives in its backend', 'engine/d.c', '#include <cudnn_graph.h>\n'),
    ('oneDNN lives in its backend', 'engine/backend/a.c', '#include <oneapi/dnnl/dnnl.h>\n'),
    ('libuv lives in the server', 'db/b.c', '#include <uv.h>\n'),
    ('libmicrohttpd lives in the server', 'db/c.c', '#include <microhttpd.h>\n'),
    ('libsystemd lives in the server', 'dicom/d.c', '#include <systemd/sd-daemon.h>\n'),
    ('C++ lives in dicom', 'server/d.cc', ''),
    ('CUDA C++ lives in its backend', 'engine/image/e.cu', ''),
    ('includes are paths from the root', 'db/d.c', '#include "jobs.h"\n'),
    ('an include must exist', 'db/e.c', '#include "db/gone.h"\n'),
    ('no include cycle', 'engine/base/x.h', '#include "engine/base/x.h"\n'),
    ('indented includes count', 'db/f.c', '#  include "dicom/series.h"\n'),
    ('tests are checked too', 'tests/unit/test_a.c', '#include <dnnl.h>\n'),
]
SOURCE = [
    ('banned call', 'db/a.c', SPDX + 'long f(const char *s) { return strtol(s, 0, 10); }\n'),
    ('banned call with a space', 'db/b.c', SPDX + 'void f(void) { printf ("x"); }\n'),
    ('sctd_auto without initialiser', 'db/c.c', SPDX + 'void f(void) { sctd_auto(p) char *s; }\n'),
    ('tab', 'db/d.c', SPDX + 'int\tx;\n'),
    ('file too long', 'db/e.c', SPDX + 'int x;\n' * 800),
    ('no licence line', 'db/f.c', 'int x;\n'),
    ('two licence lines', 'db/g.c', SPDX + SPDX),
    ('no #pragma once', 'db/h.h', '/* h.h - made. */\n' + SPDX),
    ('header without opening comment', 'db/i.h', SPDX + '#pragma once\n'),
    ('header naming another file', 'db/j.h', '/* other.h - made. */\n' + SPDX + '#pragma once\n'),
    ('unfinished work', 'db/k.c', SPDX + '/* TODO: the rest */\n'),
    ('tests are checked too', 'tests/unit/test_a.c', 'int x;\n'),
]
# what must not be taken for a violation
SOURCE_FINE = [
    ('name in a comment', 'db/a.c', SPDX + '/* strtol() is banned */\n'),
    ('name in a string', 'db/b.c', SPDX + 'const char *s = "strtol(";\n'),
    ('longer name', 'db/c.c', SPDX + 'int x = my_strtol(0);\n'),
    ('marked wrapper', 'db/d.c', SPDX + 'long f(char *s) { return strtol(s, 0, 10); } // lint-allow\n'),
    ('initialised sctd_auto', 'db/e.c', SPDX + 'void f(void) { sctd_auto(p) char *s = 0; }\n'),
    ('exactly the limit', 'db/f.c', SPDX + 'int x;\n' * 799),
    ('banned call in a test', 'tests/unit/test_b.c', SPDX + 'void f(void) { printf("x"); }\n'),
]


def write_tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def run_python(check, extra):
    with tempfile.TemporaryDirectory() as folder:
        write_tree(pathlib.Path(folder), CLEAN | extra)
        return subprocess.run([sys.executable, HERE / check, folder], capture_output=True, text=True,
                              check=False)


def expect(check, extra, fails, what):
    """A list with one complaint, or none."""
    done = run_python(check, extra)
    named = all(name in done.stdout for name in extra)
    if done.returncode == int(fails) and (named or not fails):
        return []
    return [f'{check}: {what}: exit {done.returncode}\n{done.stdout}{done.stderr}']


def check_symbols(cc):
    """The symbol check over libraries of one object each, made on the spot."""
    cases = [('', 'int jobs_claim(void) { return 0; }', 0), ('', 'int claim(void) { return 0; }', 1),
             ('db_', 'int db_claim(void) { return 0; }', 0), ('db_', 'int dbclaim;', 1),
             ('db_', 'static int claim(void) { return 0; }\nint db_x(void) { return claim(); }', 0)]
    problems = []
    for prefixes, code, wanted in cases:
        with tempfile.TemporaryDirectory() as folder:
            source, object_file, library = (f'{folder}/{n}' for n in ('jobs.c', 'jobs.c.o', 'libdb.a'))
            pathlib.Path(source).write_text(code)
            subprocess.run([cc, '-c', source, '-o', object_file], check=True)
            subprocess.run(['ar', 'rc', library, object_file], check=True)
            done = subprocess.run(['sh', HERE / 'check_symbols.sh', library, prefixes],
                                  capture_output=True, text=True, check=False)
            if done.returncode != wanted:
                problems.append(f'check_symbols.sh: {code}: exit {done.returncode}\n{done.stdout}{done.stderr}')
    return problems


def main():
    problems = expect('check_layers.py', {}, False, 'clean tree')
    problems += expect('check_source.py', {}, False, 'clean tree')
    for what, name, text in LAYERS:
        problems += expect('check_layers.py', {name: text}, True, what)
    for what, name, text in SOURCE:
        problems += expect('check_source.py', {name: text}, True, what)
    for what, name, text in SOURCE_FINE:
        problems += expect('check_source.py', {name: text}, False, what)
    circle = {'db/x.h': '#include "db/y.h"\n', 'db/y.h': '#include "db/x.h"\n'}
    problems += expect('check_layers.py', circle, True, 'include cycle of two')
    problems += check_symbols(sys.argv[1])
    for empty in ('check_layers.py', 'check_source.py'):
        with tempfile.TemporaryDirectory() as folder:
            if subprocess.run([sys.executable, HERE / empty, folder], capture_output=True,
                              check=False).returncode == 0:
                problems.append(f'{empty}: an empty tree passes')
    print('\n'.join(problems) or 'checks ok')
    return bool(problems)


sys.exit(main())
