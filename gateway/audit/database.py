"""What the log needs of each database, in one place: how Django opens it, and what surrounds a write."""

import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final

import psycopg
from django.db import DatabaseError, OperationalError, connection
from psycopg import errors

SQLITE_WAIT: Final = 2.5
"""Seconds that a write waits for SQLite, for our own lock and for other processes together."""
POSTGRESQL_WAIT: Final = 1.0
"""Seconds that one visit to the log may take; measured on this side, as a frozen server keeps no time."""
_POOL_WAIT: Final = 0.8
"""Seconds of them that may go into waiting for a connection."""

_sqlite_writer: Final = threading.RLock()
_visit: Final = threading.local()


class NoAnswerError(psycopg.OperationalError):
    """The server did not answer in time, or the connection was lost: it may carry the statement out all the same."""


class DeadlineConnection(psycopg.Connection[Any]):
    """A connection that gives up by this machine's clock. A server that is stopped as a process answers no time-out of libpq's."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Like psycopg's, until the visit's end. Raises NoAnswerError; the connection is closed then, as it is of no use any more."""
        ends = getattr(_visit, "ends", None)
        if timeout is None and ends is not None:
            timeout = max(0.0, ends - monotonic())
        try:
            return super().wait(gen, interval=interval, timeout=timeout)
        except errors._WaitTimeout:
            self.pgconn.finish()
            raise NoAnswerError("the database did not answer in time") from None
        except psycopg.OperationalError as error:
            if error.sqlstate is not None:
                raise
            raise NoAnswerError("the connection to the database was lost") from None

    def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        """Like psycopg's. The pool's check of a connection, an empty query, is a look at the socket: a way to the server and back costs more."""
        if query:
            return super().execute(query, *arguments, **options)
        if select.select([self.fileno()], [], [], 0)[0]:
            # A resting server says nothing but that it ends.
            raise psycopg.OperationalError("the server has closed the connection")
        return self.cursor()


def is_doubtful(error: BaseException) -> bool:
    """Whether what failed with this error may be in the database all the same."""
    cause = error.__cause__
    return isinstance(cause, NoAnswerError) or str(getattr(cause, "sqlite_errorname", "")).startswith("SQLITE_IOERR")


def configure(database: dict[str, Any], threads: int) -> dict[str, Any]:
    """Django's settings for a parsed DATABASE_URL. SQLite: WAL and FULL, so a committed row survives a power cut. PostgreSQL: a pool."""
    if database["ENGINE"].endswith("sqlite3"):
        options = {
            "transaction_mode": "IMMEDIATE",
            "timeout": SQLITE_WAIT,
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;",
        }
        # Opening the file costs more than a row: each thread keeps its connection.
        return {**database, "OPTIONS": options, "CONN_MAX_AGE": None}
    pool = {"min_size": 2, "max_size": min(threads, 32), "timeout": _POOL_WAIT, "reconnect_timeout": 2.0, "connection_class": DeadlineConnection}
    options = {**database.get("OPTIONS", {}), "pool": pool, "connect_timeout": 2}
    # Checked when taken, or after a restart each dead one would cost a caller a 503.
    return {**database, "OPTIONS": options, "CONN_HEALTH_CHECKS": True}


@contextmanager
def using_log(seconds: float = POSTGRESQL_WAIT) -> Iterator[None]:
    """Round the statements of one visit to the log: together they take no longer, and no connection is held on to afterwards."""
    before = getattr(_visit, "ends", None)
    _visit.ends = before or monotonic() + seconds
    try:
        yield
    except DatabaseError:
        # A file opened while it could only be read stays so.
        if connection.vendor == "sqlite" and not connection.in_atomic_block:
            connection.close()
        raise
    finally:
        _visit.ends = before
        release()


@contextmanager
def writing_log() -> Iterator[None]:
    """`using_log` for writes. On SQLite one thread at a time writes: twice as fast as threads that wait for each other in SQLite."""
    with using_log():
        if connection.vendor != "sqlite":
            yield
            return
        started = monotonic()
        if not _sqlite_writer.acquire(timeout=SQLITE_WAIT):
            raise OperationalError("the log is busy")
        try:
            connection.ensure_connection()
            left = max(0.0, SQLITE_WAIT - (monotonic() - started))
            connection.connection.execute(f"PRAGMA busy_timeout={int(left * 1000)}")
            yield
        finally:
            _sqlite_writer.release()


def release() -> None:
    """Give a pooled connection back, so that none is held while RudderStack is waited for."""
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()
