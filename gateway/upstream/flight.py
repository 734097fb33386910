"""One request on its way: how long it may take, and whether bytes of it may have left. The connection classes report here."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic
from typing import Final


class CancelledError(OSError):
    """Nobody waits for the answer any more."""


class Cancellation:
    """Whether somebody still waits for an answer. From any thread; what waits for RudderStack then stops at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.asked = False

    def ask(self) -> None:
        """Nobody does any more."""
        with self._lock:
            self.asked = True
            if self._socket is not None:
                _shut_down(self._socket)

    def watch(self, sock: socket.socket | None) -> None:
        """Shut this socket down when asked; None: no socket any more. Raises CancelledError if asked before."""
        with self._lock:
            self._socket = sock
            if self.asked and sock is not None:
                raise CancelledError


def _shut_down(sock: socket.socket) -> None:
    with suppress(OSError):
        # Not SSLSocket's own, which takes the encryption away under the thread that reads.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


@dataclass(slots=True)
class Flight:
    """Seconds are of `time.monotonic`. `attempts` counts connections tried; on a pooled one, the one attempt is the request itself."""

    deadline: float
    connect_seconds: float
    read_seconds: float
    attempts: int = 0
    sent: bool = False
    timed_out: bool = False
    cancellation: Cancellation | None = None

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

    def uses(self, sock: socket.socket | None) -> None:
        """The socket that it goes by from now on, if by any. Raises CancelledError."""
        if self.cancellation is not None:
            self.cancellation.watch(sock)

    @property
    def cancelled(self) -> bool:
        """Whether it ended because nobody waited any more."""
        return self.cancellation is not None and self.cancellation.asked

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
