#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sctd rules from outside, over series that pydicom made.  usage: rules_cli.py /path/to/sctd [unittest options]"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
from kit import sources  # noqa: E402

SCTD = None
EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / 'deploy' / 'sctd.yaml'
CONFIG = """
rules:
  - {name: ct, match: {modality: CT}, model: a@1}
  - {name: few, match: {modality: MR, max_slices: 3}, ignore: true}
  - {name: pelvis, match: {manufacturer: acme, station_name: MR1, body_part_examined: PELVIS,
                           series_description: ^t2, image_type: [ORIGINAL, '*', M]}, model: b@2}
  - {name: rest, ignore: true}
"""


def run(*words):
    return subprocess.run([SCTD, 'rules', *map(str, words)], capture_output=True, text=True, check=False)


class Rules(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.work = pathlib.Path(self.temporary.name)
        self.config = self.work / 'sctd.yaml'
        self.config.write_text(CONFIG)

    def tearDown(self):
        self.temporary.cleanup()

    def test_a_series_meets_the_first_rule_that_holds(self):
        sources.make_single(self.work / 'mr')
        done = run('test', '--config', self.config, '--input', self.work / 'mr', '--json')
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        (series,) = json.loads(done.stdout)['series']
        self.assertEqual((series['rule'], series['modality'], series['slices']), ('pelvis', 'MR', 5))
        self.assertEqual([(r['name'], r['holds']) for r in series['rules']],
                         [('ct', False), ('few', False), ('pelvis', True), ('rest', True)])
        self.assertIn('modality is "MR"', series['rules'][0]['why'])
        self.assertIn('at most 3', series['rules'][1]['why'])

    def test_people_read_why(self):
        sources.make_single(self.work / 'mr')
        done = run('test', '--config', self.config, '--input', self.work / 'mr')
        self.assertIn('pelvis               HIT: b@2', done.stdout)
        self.assertIn('holds too, but a rule before it wins', done.stdout)
        self.assertNotIn('Doe', done.stdout)

    def test_who_sends_can_be_said(self):
        self.config.write_text('rules: [{name: a, match: {calling_ae_title: MR_*}, ignore: true}]\n')
        sources.make_single(self.work / 'mr')
        words = ['test', '--config', self.config, '--input', self.work / 'mr', '--json']
        rule = [json.loads(run(*words, *more).stdout)['series'][0]['rule']
                for more in ([], ['--calling-ae-title', 'MR_3'])]
        self.assertEqual(rule, [None, 'a'])

    def test_a_mistake_is_named_with_its_line(self):
        self.config.write_text('ae_title: A\nlisen: {port: 104}\n')
        done = run('check', '--config', self.config)
        self.assertEqual(done.returncode, 1)
        self.assertIn('line 2: Unexpected key: lisen: did you mean "listen"?', done.stderr)

    def test_the_example_is_good(self):
        done = run('check', '--config', EXAMPLE)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.assertIn('1 peers, 1 destinations, 3 rules', done.stdout)


if __name__ == '__main__':
    SCTD = sys.argv.pop(1)
    unittest.main(verbosity=1)
