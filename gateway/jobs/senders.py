"""Threads that send, so that whoever holds the lease can go on holding it, and look whether the job is still wanted."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final, Generic, TypeVar

from django.db import connections

MOST_SENDERS: Final = 16
_T = TypeVar("_T")


class Senders(Generic[_T]):
    """Up to `most` threads, started as they are needed. The work given to them must not raise."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._work: Final[SimpleQueue[Callable[[], _T] | None]] = SimpleQueue()
        self._done: Final[SimpleQueue[_T]] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy = 0

    def start(self, work: Callable[[], _T]) -> None:
        """Have it done."""
        self._busy += 1
        if len(self._threads) < min(self._most, self._busy):
            self._threads.append(threading.Thread(target=self._run, name="sender", daemon=True))
            self._threads[-1].start()
        self._work.put(work)

    def done(self, seconds: float) -> list[_T]:
        """What is done, after at most so long; all of it that is there."""
        found: list[_T] = []
        try:
            while self._busy:
                found.append(self._done.get(timeout=0 if found else seconds))
                self._busy -= 1
        except Empty:
            pass
        return found

    def close(self) -> None:
        """Wait until the threads have ended."""
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        try:
            while (work := self._work.get()) is not None:
                self._done.put(work())
        finally:
            connections.close_all()
