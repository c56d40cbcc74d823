# SPDX-License-Identifier: Apache-2.0
"""Results that need review, put into a running daemon's job store as a worker's report would."""
import contextlib
import json
import sqlite3

REPORT = {'verdict': 'review', 'checks': [
    {'check': 'air-outside', 'what': '', 'verdict': 'passed', 'value': 0.4, 'unit': '%', 'low': None, 'high': 2, 'z_mm': None,
     'text': 'outside the body 0.4 % is no air (at most 2)'},
    {'check': 'outline', 'what': '', 'verdict': 'failed', 'value': 23.1, 'unit': 'mm', 'low': None, 'high': 15, 'z_mm': -37.5,
     'text': 'the outline of the sCT is up to 23.1 mm off that of the source (at most 15), worst at z -37.5 mm'},
    {'check': 'tissue', 'what': 'bone', 'verdict': 'failed', 'value': None, 'unit': 'HU', 'low': 200, 'high': 900, 'z_mm': None,
     'text': 'bone could not be measured: there is none'},
    {'check': 'intensity', 'what': '50', 'verdict': 'measured', 'value': 0.31, 'unit': '1', 'low': None, 'high': None, 'z_mm': None,
     'text': 'percentile 50 of the source is 0.31'}]}


def need_review(daemon, job, hold=True):
    """A job that is delivering and nowhere yet, or is done: as if its checks had failed."""
    with contextlib.closing(sqlite3.connect(daemon.state / 'jobs.db', timeout=10, isolation_level=None)) as db:
        db.execute('BEGIN IMMEDIATE')
        db.execute("UPDATE job SET review = 2, hold = ?, review_ms = changed_ms, reason = 'written, held for review: outline 23.1 mm "
                   "(at most 15)' WHERE id = ?", (int(hold), job))
        db.execute('INSERT OR REPLACE INTO quality VALUES (?, ?)', (job, json.dumps(REPORT)))
        if hold:
            db.execute('UPDATE delivery SET state = 0, due_ms = 0 WHERE job_id = ? AND state IN (1, 2)', (job,))
            db.execute('UPDATE destination SET failures = 0, due_ms = 0')
        db.execute('COMMIT')
