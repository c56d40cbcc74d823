# SPDX-License-Identifier: Apache-2.0
"""pynetdicom 3.0.4 as a requester that hears every answer.

Between two of its requests the association's own thread runs on.  On a busy machine it may still be on its way out of the
first pause when the second request is sent, and take the answer for a request of the peer's: the requester then waits
until its time is over.  Importing this makes a request wait until that thread has really stopped."""
import threading

from pynetdicom.association import Association


class Checkpoint:
    """What holds the thread, as threading.Event, but that clear() returns only when it is held."""

    def __init__(self, association):
        self._association = association
        self._condition = threading.Condition()
        self._is_set, self._is_holding = True, False

    def is_set(self):
        return self._is_set

    def set(self):
        with self._condition:
            self._is_set = True
            self._condition.notify_all()

    def clear(self):
        with self._condition:
            self._is_set = False
            while (self._association.is_alive() and threading.current_thread() is not self._association and
                   not self._is_holding):
                self._condition.wait(0.05)

    def wait(self):
        with self._condition:
            self._is_holding = True
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._is_set)
            self._is_holding = False


def _init(self, *args, _original=Association.__init__, **words):
    _original(self, *args, **words)
    self._reactor_checkpoint = Checkpoint(self)


Association.__init__ = _init
