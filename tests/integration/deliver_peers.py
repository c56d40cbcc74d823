#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Deliveries to PACS that take, refuse, lose and forget (T17).
usage: deliver_peers.py /path/to/sctd [unittest options]"""
import os
import shutil
import subprocess
import sys
import time
import unittest

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
import pydicom  # noqa: E402
from pydicom.uid import (CTImageStorage, ImplicitVRLittleEndian, MRImageStorage,  # noqa: E402
                         SecondaryCaptureImageStorage)

from kit.daemon import free_port  # noqa: E402
from kit.delivering import SLICES, Case  # noqa: E402
from kit import delivering  # noqa: E402


class Stores(Case):
    def test_a_series_goes_over_one_association_in_order_and_unchanged(self):
        pacs, series = self.pacs(), self.series()
        tool = self.tool(self.destination(pacs.port))
        tool.job('a', series)
        end = tool.wait_for('delivery', result='stored')
        self.assertEqual((end['instances'], end['warnings'], end['attempt']), (SLICES, 0, 1))
        self.assert_sent(pacs, series)
        self.assertEqual(pacs.associations, 1)
        self.assertEqual(tool.show()[:4], ('done', SLICES, 0, 1))

    def test_a_peer_of_implicit_vr_gets_the_same_values(self):
        pacs, series = self.pacs(syntaxes=[ImplicitVRLittleEndian]), self.series()
        tool = self.tool(self.destination(pacs.port))
        tool.job('a', series)
        tool.wait_for('delivery', result='stored')
        self.assert_sent(pacs, series)
        self.assertEqual({d.file_meta.TransferSyntaxUID for d in pacs.stored}, {ImplicitVRLittleEndian})

    @unittest.skipUnless(shutil.which('storescp'), 'no storescp')
    def test_storescp_has_every_instance(self):
        port, series, out = free_port(), self.series(), self.work / 'out'
        out.mkdir()
        with subprocess.Popen(['storescp', '-aet', 'PACS', '-od', out, str(port)]) as scp:
            try:
                tool = self.tool(self.destination(port))
                tool.job('a', series)
                tool.wait_state('done', wake=True)
            finally:
                scp.terminate()
        got = {d.SOPInstanceUID: d for d in map(pydicom.dcmread, out.iterdir())}
        self.assertEqual(got, {d.SOPInstanceUID: d for d in series})

    def test_warnings_and_what_the_peer_had_already_count_as_stored(self):
        said = [0xB000, 0xB006, 0xB007, 0x0111]
        pacs = self.pacs(lambda n, event: said[n] if n < 4 else 0)
        tool = self.tool(self.destination(pacs.port))
        tool.job('a', self.series())
        self.assertEqual(tool.wait_for('delivery', result='stored')['warnings'], 4)
        self.assertEqual(tool.show()[:2], ('done', SLICES))

    def test_a_host_name_is_looked_up_and_one_that_nobody_knows_is_said(self):
        pacs = self.pacs()
        far = 'a-host-name.of-more-than-63-characters.that-nobody-knows.anywhere.invalid'
        long = '0' * 70 + '177.0.0.1'  # 127.0.0.1 to who keeps all of it
        tool = self.tool(self.destination(pacs.port, host='localhost'), self.destination(pacs.port, 'far', host=far),
                         self.destination(pacs.port, 'long', host=long))
        tool.job('a', self.series(), ['pacs', 'far', 'long'])
        self.assertIn(far, tool.wait_for('delivery', destination='far', result='unreachable')['reason'])
        tool.wait_state('done')
        tool.wait_state('done', 'long')


class Refuses(Case):
    def test_a_peer_without_room_gets_the_rest_later(self):
        pacs, series = self.pacs(lambda n, event: 0xA700 if n == 5 else 0), self.series()
        tool = self.tool(self.destination(pacs.port))
        tool.job('a', series)
        self.assertIn('0xA700', tool.wait_for('delivery', result='failed')['reason'])
        self.assertEqual(tool.show()[:2], ('retry', 5))
        tool.wait_state('done', wake=True)
        self.assert_sent(pacs, series)
        self.assertEqual((pacs.asked, pacs.associations), (SLICES + 1, 2))

    def test_an_instance_that_is_refused_for_good_does_not_keep_the_others(self):
        for status in (0xA900, 0xC000):
            with self.subTest(status=hex(status)):
                self.setUp()
                pacs = self.pacs(lambda n, event, s=status: s if n == 2 else 0)
                tool = self.tool(self.destination(pacs.port))
                tool.job('a', self.series())
                self.assertIn(f'0x{status:04X}', tool.wait_for('delivery', result='refused')['reason'])
                self.assertEqual(tool.show()[:2], ('failed', SLICES - 1))
                self.assertEqual(pacs.asked, SLICES)

    def test_a_class_that_the_peer_does_not_take_is_said(self):
        pacs = self.pacs(sop_class=MRImageStorage)
        tool = self.tool(self.destination(pacs.port))
        tool.job('a', self.series())
        self.assertIn(CTImageStorage, tool.wait_for('delivery')['reason'])

    def test_a_page_that_the_peer_does_not_take_does_not_keep_the_slices(self):
        pacs, series = self.pacs(), self.series()
        page = self.series(tag=3, n=1)
        page[0].SOPClassUID = SecondaryCaptureImageStorage
        tool = self.tool(self.destination(pacs.port))
        tool.job('a', series + page)
        self.assertIn(SecondaryCaptureImageStorage, tool.wait_for('delivery', result='refused')['reason'])
        self.assertEqual(tool.show()[:2], ('failed', SLICES))
        self.assert_sent(pacs, series)

    def test_a_rejected_association_is_tried_again(self):
        pacs, series = self.pacs(title='OTHER'), self.series()
        tool = self.tool(self.destination(pacs.port))
        tool.job('a', series)
        self.assertIn('PACS rejects', tool.wait_for('delivery', result='unreachable')['reason'])
        self.assertEqual(tool.show()[0], 'queued')
        pacs.ae.require_called_aet = False
        tool.wait_state('done', wake=True)
        self.assert_sent(pacs, series)

    def test_a_new_configuration_mends_it(self):
        pacs, series = self.pacs(), self.series()
        tool = self.tool(self.destination(free_port()))
        tool.job('a', series)
        tool.wait_for('delivery', result='unreachable')
        tool.configure([self.destination(pacs.port)])
        tool.ask('config')
        tool.wait_state('done', wake=True)
        self.assert_sent(pacs, series)


class Commits(Case):
    def test_a_report_on_the_same_association_ends_it(self):
        pacs, series = self.pacs(commitment=lambda n, uids: []), self.series()
        tool = self.tool(self.destination(pacs.port))
        tool.job('a', series, commitment=True)
        tool.wait_for('delivery', result='committed')
        self.assertEqual(tool.show()[:4], ('done', SLICES, SLICES, 1))
        self.assertEqual(pacs.requests[0][1], [d.SOPInstanceUID for d in series])
        self.assert_sent(pacs, series)

    def test_a_report_before_the_answer_counts(self):
        pacs = self.pacs(commitment=lambda n, uids: [], hasty=True)
        tool = self.tool(self.destination(pacs.port))
        tool.job('a', self.series(), commitment=True)
        tool.wait_for('delivery', result='committed')
        self.assertEqual(tool.show()[:4], ('done', SLICES, SLICES, 1))

    def test_what_the_peer_has_lost_is_stored_again_and_nothing_else(self):
        pacs = self.pacs(commitment=lambda n, uids: uids[2:4] if n == 0 else [])
        series = self.series()
        tool = self.tool(self.destination(pacs.port))
        tool.job('a', series, commitment=True)
        report = tool.wait_for('storage-commitment')
        self.assertEqual((report['committed'], report['failed']), (SLICES - 2, 2))
        self.assertIn('0x0112', report['reason'])
        self.assertEqual(tool.wait_state('done', wake=True)[:4], ('done', SLICES, SLICES, 2))
        uids = [d.SOPInstanceUID for d in series]
        self.assertEqual(pacs.uids, uids + uids[2:4])
        self.assertNotEqual(pacs.requests[0][0], pacs.requests[1][0])

    def test_a_report_that_comes_later_ends_it_and_a_strangers_does_not(self):
        pacs, series = self.pacs(commitment=lambda n, uids: None), self.series()
        tool = self.tool(self.destination(pacs.port))
        tool.job('a', series, commitment=True)
        tool.wait_for('delivery', result='asked for commitment')
        transaction, uids = pacs.requests[0]
        self.assertEqual(tool.show()[0], 'committing')
        self.assertNotEqual(tool.ask('report', 'STRANGER', transaction, *uids), ['0'])
        self.assertNotEqual(tool.ask('report', 'PACS', '1.2.3', *uids), ['0'])
        self.assertEqual(tool.show()[0], 'committing')
        self.assertEqual(tool.ask('report', 'PACS', transaction, *uids), ['0'])
        self.assertEqual(tool.show()[:3], ('done', SLICES, SLICES))
        self.assertEqual(tool.ask('report', 'PACS', transaction, *uids), ['0']) # once more is no harm

    def test_a_peer_that_never_reports_is_asked_again_and_an_old_report_still_counts(self):
        pacs, series = self.pacs(commitment=lambda n, uids: None), self.series()
        tool = self.tool(self.destination(pacs.port), commitment_ms=1500)
        tool.job('a', series, commitment=True)
        end = time.monotonic() + 20
        while len(pacs.requests) < 2:
            self.assertLess(time.monotonic(), end)
            if tool.show()[0] == 'retry':
                tool.ask('wake', 'pacs')
            time.sleep(0.05)
        self.assert_sent(pacs, series) # not stored again
        transaction, uids = pacs.requests[0]
        tool.ask('report', 'PACS', transaction, *uids)
        self.assertEqual(tool.show()[:3], ('done', SLICES, SLICES))

    def test_a_peer_without_commitment_has_all_and_the_mend_is_said(self):
        pacs, series = self.pacs(), self.series()
        tool = self.tool(self.destination(pacs.port))
        tool.job('a', series, commitment=True)
        self.assertIn('no_storage_commitment', tool.wait_for('delivery', result='stored, not committed')['reason'])
        self.assert_sent(pacs, series)


if __name__ == '__main__':
    delivering.SCTD = os.path.abspath(sys.argv.pop(1))
    unittest.main()
