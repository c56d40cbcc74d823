# SPDX-License-Identifier: Apache-2.0
"""The interpreter that has the packages of tests/requirements.txt."""
import importlib.util
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]


def enter():
    """Run this script anew with build/venv's interpreter, unless pydicom is there already."""
    if importlib.util.find_spec('pydicom') is not None:
        return
    if os.environ.get('SCTD_IN_VENV') == '1':
        sys.exit('tests/venv.sh made no usable build/venv')
    python = subprocess.run([ROOT / 'tests' / 'venv.sh'], check=True, capture_output=True, text=True).stdout.strip()
    os.environ['SCTD_IN_VENV'] = '1'
    os.execv(python, [python, '-B', *sys.argv])
