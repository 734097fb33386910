"""What the log needs of each database, in one place: how Django opens it, and what surrounds a write."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final

from django.db import DatabaseError, OperationalError, connection

from gateway.audit.postgresql.base import DeadlineConnection, NoAnswerError, visit

SQLITE_WAIT: Final = 2.5
"""Seconds that a write waits for SQLite, for our own lock and for other processes together."""
POSTGRESQL_WAIT: Final = 1.0
"""Seconds that one visit to the log may take; measured on this side, as a frozen server keeps no time."""
_POOL_WAIT: Final = 0.8
"""Seconds of them that may go into waiting for a connection."""

_sqlite_writer: Final = threading.RLock()


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
    return {**database, "ENGINE": "gateway.audit.postgresql", "OPTIONS": options}


@contextmanager
def using_log(seconds: float = POSTGRESQL_WAIT) -> Iterator[None]:
    """Round the statements of one visit to the log: together they take no longer, and no connection is held on to afterwards."""
    before = getattr(visit, "ends", None)
    visit.ends = before or monotonic() + seconds
    try:
        yield
    except DatabaseError:
        # A file opened while it could only be read stays so.
        if connection.vendor == "sqlite" and not connection.in_atomic_block:
            connection.close()
        raise
    finally:
        visit.ends = before
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


def write_through() -> None:
    """A write that reaches the disk and leaves no row. A row that is rolled back does on PostgreSQL, on SQLite it never leaves memory."""
    if connection.vendor == "sqlite":
        connection.cursor().execute("PRAGMA user_version = 0")


def release() -> None:
    """Give a pooled connection back, so that none is held while RudderStack is waited for."""
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()
