"""One request on its way: how long it may take, and whether bytes of it may have left. The connection classes report here."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic
from typing import Final


@dataclass(slots=True)
class Flight:
    """Seconds are of `time.monotonic`. `attempts` counts connections tried; on a pooled one, the one attempt is the request itself."""

    deadline: float
    connect_seconds: float
    read_seconds: float
    attempts: int = 0
    sent: bool = False
    timed_out: bool = False

    def connect_timeout(self) -> float:
        """Seconds that the next connection may take."""
        return self._bounded(self.connect_seconds)

    def read_timeout(self) -> float:
        """Seconds that the next bytes may take."""
        return self._bounded(self.read_seconds)

    def _bounded(self, seconds: float) -> float:
        left = self.deadline - monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return min(seconds, left)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Round a read or a write: notes a time-out, which the layers above wrap in errors of many kinds."""
        try:
            yield
        except TimeoutError:
            self.timed_out = True
            raise


current: Final[ContextVar[Flight]] = ContextVar("current")
"""The flight of this thread."""
