"""The backend that DATABASES names: pooled connections that are alive when they are taken, and give up by this machine's clock."""

import select
import threading
from time import monotonic
from typing import Any, Final

import psycopg
from django.db.backends.postgresql import base
from psycopg import errors

visit: Final = threading.local()
"""`ends`: until when, by `time.monotonic`, this thread's statements may take; none outside of a visit to the log."""
PAGE_SECONDS: Final = 10.0
"""For each statement outside of one, in threads named "page…": commands may take their time, but a page must not hold its thread for ever."""


class NoAnswerError(psycopg.OperationalError):
    """The server did not answer in time, or the connection was lost: it may carry the statement out all the same."""


class DeadlineConnection(psycopg.Connection[Any]):
    """A connection that gives up by this machine's clock. A server that is stopped as a process answers no time-out of libpq's."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Like psycopg's, until the visit's end. Raises NoAnswerError; the connection is closed then, as it is of no use any more."""
        if timeout is None and (ends := getattr(visit, "ends", None)) is not None:
            timeout = max(0.0, ends - monotonic())
        elif timeout is None and threading.current_thread().name.startswith("page"):
            timeout = PAGE_SECONDS
        try:
            return super().wait(gen, interval=interval, timeout=timeout)
        except errors._WaitTimeout:
            self.pgconn.finish()
            raise NoAnswerError("the database did not answer in time") from None
        except psycopg.OperationalError as error:
            if error.sqlstate is not None:
                raise
            raise NoAnswerError("the connection to the database was lost") from None

    @property
    def is_alive(self) -> bool:
        """Whether the server still holds the resting connection: it says nothing then but that it ends. Asks the socket, not the server."""
        look = select.poll()
        look.register(self.fileno(), select.POLLIN)
        return not look.poll(0)


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, but for dead connections: after a restart of the server each of them would cost a caller an error."""

    def get_new_connection(self, conn_params: Any) -> Any:
        """A connection of the pool that is alive."""
        while True:
            connection = super().get_new_connection(conn_params)
            if not self.pool or connection.is_alive:
                return connection
            connection.close()
            self.pool.putconn(connection)
