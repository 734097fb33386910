"""What the log needs of each database, in one place: how Django opens it, and what surrounds a write."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from time import monotonic
from typing import Any, Final

from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.models import AutoField, Model

from gateway.audit.postgresql.base import DeadlineConnection, NoAnswerError, visit

SQLITE_WAIT: Final = 2.5
"""Seconds that a write waits for SQLite, for our own lock and for other processes together."""
POSTGRESQL_WAIT: Final = 1.0
"""Seconds that one visit to the log may take; measured on this side, as a frozen server keeps no time."""
_POOL_WAIT: Final = 0.8
"""Seconds of them that may go into waiting for a connection."""
_LANES: Final = 4
"""Threads that write to PostgreSQL at once, each for all that wait."""


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
def writing_log(ends: float) -> Iterator[None]:
    """`using_log` for writes that began to wait before: they take until `ends`, by `time.monotonic`."""
    left = ends - monotonic()
    if left < 0:
        raise OperationalError("the log is busy")
    with using_log(left):
        if connection.vendor == "sqlite":
            connection.ensure_connection()
            connection.connection.execute(f"PRAGMA busy_timeout={int(left * 1000)}")
        yield


def insert(rows: Sequence[Model], ends: float) -> None:
    """Commit rows, all or none, by `ends`; those of one model in one statement, models in the order of their first row."""
    models: dict[type[Model], list[Model]] = {}
    for row in rows:
        models.setdefault(type(row), []).append(row)
    # One statement is its own transaction: two ways to the server less.
    one = len(models) == 1 and not connection.in_atomic_block
    with writing_log(ends), nullcontext() if one else transaction.atomic():
        for model, of_model in models.items():
            _insert(model, of_model)
    for row in rows:
        row._state.adding = False


def _insert(model: type[Model], rows: list[Model]) -> None:
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, AutoField)]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in fields)
    places = ", ".join([f"({', '.join(['%s'] * len(fields))})"] * len(rows))
    values = [field.get_db_prep_save(getattr(row, field.attname), connection) for row in rows for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES {places}", values)  # noqa: S608 - names are ours


def writer() -> tuple[int, float]:
    """How many threads may write at once, and how many seconds a write may take with all its waiting."""
    return (1, SQLITE_WAIT) if connection.vendor == "sqlite" else (_LANES, POSTGRESQL_WAIT)


def write_through() -> None:
    """A write that reaches the disk and leaves no row. A row that is rolled back does on PostgreSQL, on SQLite it never leaves memory."""
    if connection.vendor == "sqlite":
        connection.cursor().execute("PRAGMA user_version = 0")


def release() -> None:
    """Give a pooled connection back, so that none is held while RudderStack is waited for."""
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()
