# SPDX-License-Identifier: Apache-2.0
"""Results that need review, put into a running daemon's job store as a worker's report would."""
import contextlib
import json
import sqlite3

NONE = {'what': '', 'low': None, 'high': None, 'hu_low': None, 'hu_high': None, 'z_mm': None}
REPORT = {'verdict': 'review', 'checks': [
    NONE | {'check': 'air-outside', 'verdict': 'passed', 'value': 0.4, 'unit': '%', 'high': 2,
            'text': '0.4 % of what lies more than 10 mm outside the body is no air (most at z 12.5 mm)', 'z_mm': 12.5},
    NONE | {'check': 'outline', 'verdict': 'failed', 'value': 23.1, 'unit': 'mm', 'high': 15, 'z_mm': -37.5,
            'text': "the sCT's outline is up to 23.1 mm from the source's (95 %, worst at z -37.5 mm); at most 15 mm is expected"},
    NONE | {'check': 'tissue', 'what': 'bone', 'verdict': 'failed', 'value': None, 'unit': '%', 'low': 2, 'high': 30, 'hu_low': 150,
            'hu_high': 3071, 'text': 'not measured: the source shows no body; 2 to 30 % is expected'},
    NONE | {'check': 'intensity', 'what': '50', 'verdict': 'measured', 'value': 0.31, 'unit': '1',
            'text': "percentile 50 of the body's intensity is at 0.31 of the clip range"}]}


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
