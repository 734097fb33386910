"""Group commit: rows that many threads want to write at once go into one transaction, written by one of them.

A disk takes the same time for one row and for fifty; so does the way to a server. Nobody returns before his rows are committed.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from django.db import DataError, IntegrityError, OperationalError

from gateway.audit.models import AppendOnlyModel

_MOST_ENTRIES: Final = 64
_LEAST_SECONDS: Final = 0.1


def _locked() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(eq=False, slots=True)
class _Entry:
    """What one thread wants to write, until when; no rows: it wants the database for itself. It is an error until it is written."""

    rows: Sequence[AppendOnlyModel]
    ends: float
    leads: bool = False
    error: Exception | None = field(default_factory=lambda: OperationalError("the log is busy"))
    woken: threading.Lock = field(default_factory=_locked)


class Writer:
    """`insert(rows, ends)` commits rows, all or none, by `ends` of `time.monotonic`; a write may take `seconds` with all its waiting."""

    def __init__(self, insert: Callable[[Sequence[AppendOnlyModel], float], None], seconds: float) -> None:
        self._insert = insert
        self._seconds = seconds
        self._mutex = threading.Lock()
        self._waiting: deque[_Entry] = deque()
        self._is_led = False
        self._mine = threading.local()

    def write(self, *rows: AppendOnlyModel) -> None:
        """Commit the rows, all or none. Raises what the database raises; OperationalError where others kept it busy for too long."""
        if getattr(self._mine, "ends", None):
            return self._insert(rows, self._mine.ends)
        entry = self._enter(rows)
        if entry.leads:
            self._lead(entry)
        if entry.error is not None:
            raise entry.error

    @contextmanager
    def alone(self) -> Iterator[float]:
        """The database for this thread alone, until the time given. What is written within needs no other turn. Raises OperationalError."""
        if getattr(self._mine, "ends", None):
            yield self._mine.ends
            return
        self._mine.ends = self._enter(()).ends
        try:
            yield self._mine.ends
        finally:
            self._mine.ends = None
            self._hand_over()

    def _enter(self, rows: Sequence[AppendOnlyModel]) -> _Entry:
        """Wait for others to write the rows, or for the lead."""
        entry = _Entry(rows, monotonic() + self._seconds)
        with self._mutex:
            if not self._is_led:
                self._is_led = entry.leads = True
                return entry
            self._waiting.append(entry)
        if not entry.woken.acquire(timeout=self._seconds):
            with self._mutex:
                if entry in self._waiting:
                    self._waiting.remove(entry)
                    raise OperationalError("the log is busy")
            # Somebody writes it just now, and will say what came of it.
            entry.woken.acquire()
        return entry

    def _lead(self, own: _Entry) -> None:
        """Write one's own rows and those of all who wait."""
        entries = [own]
        with self._mutex:
            while self._waiting and self._waiting[0].rows and len(entries) < _MOST_ENTRIES:
                entries.append(self._waiting.popleft())
        try:
            self._commit(entries)
        finally:
            for entry in entries[1:]:
                entry.woken.release()
            self._hand_over()

    def _commit(self, entries: Sequence[_Entry]) -> None:
        # Who has hardly any time left would take it from all.
        entries = [entry for entry in entries if entry.ends > monotonic() + _LEAST_SECONDS]
        if not entries:
            return
        try:
            self._insert([row for entry in entries for row in entry.rows], min(entry.ends for entry in entries))
            for entry in entries:
                entry.error = None
        except (IntegrityError, DataError) as error:
            # A fault of some of the rows: whose?
            if len(entries) == 1:
                entries[0].error = error
            else:
                for entry in entries:
                    self._commit([entry])
        except Exception as error:
            for entry in entries:
                entry.error = error

    def _hand_over(self) -> None:
        """Let the next who waits lead."""
        with self._mutex:
            if self._waiting:
                entry = self._waiting.popleft()
                entry.leads = True
                entry.woken.release()
            else:
                self._is_led = False
