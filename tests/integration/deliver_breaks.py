#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Deliveries to PACS that break off, stall, are slow or down, by senders and daemons that die (T17).
usage: deliver_breaks.py /path/to/sctd [unittest options]"""
import os
import signal
import socket
import sys
import threading
import time
import unittest

from kit import venv

venv.enter()
# pylint: disable=wrong-import-position
from kit.daemon import free_port  # noqa: E402
from kit.delivering import SLICES, Case, SlowLine  # noqa: E402
from kit import delivering  # noqa: E402


class Breaks(Case):
    def break_at(self, n, how):
        """A PACS that breaks off at the nth instance, once."""
        def answer(asked, event):
            if asked == n:
                how(event)
            return 0
        return answer

    def goes_on(self, how):
        pacs, series = self.pacs(self.break_at(3, how)), self.series()
        tool = self.tool(self.destination(pacs.port))
        tool.job('a', series)
        tool.wait_for('delivery', result='failed')
        self.assertEqual(tool.show()[1], 3)
        tool.wait_state('done', wake=True)
        uids = [d.SOPInstanceUID for d in series]
        self.assertEqual(pacs.uids, uids[:4] + uids[3:]) # the one in doubt again, the others not
        self.assertEqual(pacs.associations, 2)

    def test_an_aborted_transfer_goes_on_where_it_stopped(self):
        self.goes_on(lambda event: event.assoc.abort())

    def test_a_cut_connection_goes_on_where_it_stopped(self):
        self.goes_on(lambda event: event.assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR))

    def test_a_peer_that_stalls_is_left_and_holds_up_nobody(self):
        go = threading.Event()
        self.addCleanup(go.set)
        stuck = self.pacs(lambda n, event: 0 if n != 2 or go.wait(20) else 0)
        good, series = self.pacs(), self.series()
        tool = self.tool(self.destination(stuck.port), self.destination(good.port, 'good'))
        tool.job('a', series, ['pacs', 'good'])
        tool.wait_state('done', 'good')
        self.assertEqual(tool.find('delivery', destination='pacs'), [])
        self.assert_sent(good, series)
        self.assertIn('did not answer in time', tool.wait_for('delivery', destination='pacs')['reason'])
        self.assertEqual(tool.show()[1], 2)
        go.set()
        tool.wait_state('done', wake=True)
        self.assertEqual(set(stuck.uids), {d.SOPInstanceUID for d in series})

    def test_a_sender_that_hangs_or_dies_is_replaced(self):
        go = threading.Event()
        self.addCleanup(go.set)
        pacs, series = self.pacs(lambda n, event: 0 if n != 2 or go.wait(20) else 0), self.series()
        tool = self.tool(self.destination(pacs.port), answer_ms=3000)
        tool.job('a', series)
        for sig in (signal.SIGSTOP, signal.SIGKILL):
            end = time.monotonic() + 10
            while not tool.senders() or pacs.asked < 3:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.02)
            os.kill(tool.senders()[0], sig)
            died = tool.wait_for('delivery', attempt=tool.show()[3])
            self.assertIn('died or hung', died['reason'])
            if sig == signal.SIGSTOP:
                pacs.asked = 0
                pacs.answer = lambda n, event: 0 if n != 2 or go.wait(20) else 0
                tool.ask('wake', 'pacs')
        go.set()
        tool.wait_state('done', wake=True)
        self.assertEqual(set(pacs.uids), {d.SOPInstanceUID for d in series})

    def test_a_destination_that_is_down_gets_it_when_it_is_up(self):
        port, series = free_port(), self.series()
        tool = self.tool(self.destination(port))
        tool.job('a', series)
        tool.wait_for('delivery', result='unreachable')
        pacs = self.pacs(port=port)
        tool.wait_state('done') # by itself, within the first delays
        self.assert_sent(pacs, series)

    def test_a_large_instance_over_a_slow_line_outlasts_every_wait(self):
        pacs, series = self.pacs(), self.series(n=1, matrix=2048)
        line = SlowLine(pacs.port, 1_000_000)
        self.addCleanup(line.stop)
        tool = self.tool(self.destination(line.port), slack_ms=500, connect_ms=500)
        began = time.monotonic()
        tool.job('a', series)
        end = tool.wait_for('delivery', timeout=30)
        self.assertGreater(time.monotonic() - began, 5)
        self.assertEqual((end['result'], end['attempt']), ('stored', 1))
        self.assert_sent(pacs, series)

    def test_the_daemon_killed_in_mid_transfer_goes_on(self):
        pacs = self.pacs(lambda n, event: time.sleep(0.05) or 0)
        series = self.series(n=60, matrix=16)
        tool = self.tool(self.destination(pacs.port))
        tool.job('a', series)
        while tool.show()[1] < 32:
            time.sleep(0.02)
        tool.stop(signal.SIGKILL)
        asked = pacs.asked
        tool.start()
        tool.wait_state('done', wake=True)
        self.assertEqual(set(pacs.uids), {d.SOPInstanceUID for d in series})
        self.assertLessEqual(pacs.asked - asked, 60 - 32)

    def test_a_drain_breaks_off_what_takes_too_long_and_keeps_it(self):
        pacs = self.pacs(lambda n, event: time.sleep(0.1) or 0)
        tool = self.tool(self.destination(pacs.port))
        tool.job('a', self.series(n=60, matrix=16))
        while pacs.asked < 5:
            time.sleep(0.02)
        began = time.monotonic()
        tool.ask('drain', 500)
        self.assertEqual(tool.process.wait(10), 0)
        self.assertLess(time.monotonic() - began, 3)
        tool.stop()
        stored = len(pacs.stored)
        self.assertLess(stored, 20)
        pacs.answer = lambda n, event: 0
        tool.start()
        tool.wait_state('done')
        self.assertEqual(len(set(pacs.uids)), 60)
        self.assertLessEqual(len(pacs.uids), 61)


class Waits(Case):
    def test_what_waits_for_a_busy_or_a_missing_destination_wakes_nobody(self):
        go = threading.Event()
        self.addCleanup(go.set)
        pacs = self.pacs(lambda n, event: 0xA700 if n == 0 else go.wait(20) and 0)
        other = free_port()
        tool = self.tool(self.destination(pacs.port), self.destination(other, 'gone'), answer_ms=20000)
        tool.job('a', self.series(1), ['pacs', 'gone'])
        tool.wait_for('delivery', destination='pacs', result='failed')
        tool.wait_for('delivery', destination='gone', result='unreachable')
        tool.job('b', self.series(2))
        tool.configure([self.destination(pacs.port)])
        tool.ask('config')
        tool.ask('wake', 'pacs') # one of the two is due and waits for the other, which hangs
        time.sleep(6)            # and every first delay is over
        before = tool.switches()
        time.sleep(2)
        self.assertLess(tool.switches() - before, 20)
        go.set()
        for _ in range(100):
            if all(' done ' in line for line in tool.ask('show') if line.startswith('pacs')):
                break
            time.sleep(0.1)
        self.assertEqual(len(set(pacs.uids)), 2 * SLICES)

    def test_many_series_go_one_after_the_other(self):
        pacs = self.pacs()
        tool = self.tool(self.destination(pacs.port))
        series = [self.series(tag, 3) for tag in range(1, 6)]
        for k, instances in enumerate(series):
            tool.job(f'j{k}', instances)
        end = time.monotonic() + 20
        while not all(' done ' in line for line in tool.ask('show')):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        self.assert_sent(pacs, [d for instances in series for d in instances])
        self.assertEqual(pacs.associations, 5)


if __name__ == '__main__':
    delivering.SCTD = os.path.abspath(sys.argv.pop(1))
    unittest.main()
