"""What the log needs of each database, in one place: how Django opens it, and what surrounds a write."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from itertools import chain
from time import monotonic
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, DatabaseError, IntegrityError, OperationalError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import AutoField, CharField, Field, IntegerField, Model, TextField

from gateway.audit.postgresql.base import DeadlineConnection, NoAnswerError, visit

SQLITE_WAIT: Final = 2.5
"""Seconds that a write waits for SQLite, for our own lock and for other processes together."""
POSTGRESQL_WAIT: Final = 1.0
"""Seconds that one visit to the log may take; measured on this side, as a frozen server keeps no time."""
_POOL_WAIT: Final = 0.8
"""Seconds of them that may go into waiting for a connection."""


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
    pool = {
        "min_size": min(2, threads),
        "max_size": min(threads, 32),
        "timeout": _POOL_WAIT,
        "reconnect_timeout": 2.0,
        "connection_class": DeadlineConnection,
    }
    options = {**database.get("OPTIONS", {}), "pool": pool, "connect_timeout": 2}
    return {**database, "ENGINE": "gateway.audit.postgresql", "OPTIONS": options}


@contextmanager
def using_log(seconds: float = POSTGRESQL_WAIT) -> Iterator[BaseDatabaseWrapper]:
    """Round the statements of one visit to the log: together they take no longer, and no connection is held on to afterwards."""
    # Not by Django's proxy, which looks for this thread's connection at each step.
    database = connections[DEFAULT_DB_ALIAS]
    before = getattr(visit, "ends", None)
    visit.ends = before or monotonic() + seconds
    try:
        yield database
    except IntegrityError:
        raise
    except DatabaseError:
        # A file opened while it could only be read stays so.
        if database.vendor == "sqlite" and not database.in_atomic_block:
            database.close()
        raise
    finally:
        visit.ends = before
        if database.vendor == "postgresql" and not database.in_atomic_block:
            # Back to the pool, so that none is held while RudderStack is waited for.
            database.close()


@contextmanager
def writing_log(ends: float) -> Iterator[BaseDatabaseWrapper]:
    """`using_log` for writes that began to wait before: they take until `ends`, by `time.monotonic`."""
    left = ends - monotonic()
    if left < 0:
        raise OperationalError("the log is busy")
    with using_log(left) as database:
        if database.vendor != "sqlite":
            yield database
            return
        database.ensure_connection()
        file = database.connection
        file.execute(f"PRAGMA busy_timeout={int(left * 1000)}")
        try:
            yield database
        finally:
            if database.connection is file:
                file.execute(f"PRAGMA busy_timeout={int(SQLITE_WAIT * 1000)}")


def insert(rows: Sequence[Model], ends: float) -> None:
    """Commit rows, all or none, by `ends`; those of one model in one statement, models in the order of their first row."""
    models: dict[type[Model], list[Model]] = {}
    for row in rows:
        models.setdefault(type(row), []).append(row)
    # One statement is its own transaction: two ways to the server less.
    with writing_log(ends) as database:
        one = len(models) == 1 and not database.in_atomic_block
        with nullcontext() if one else transaction.atomic():
            for model, of_model in models.items():
                _insert(database, model, of_model)
    for row in rows:
        row._state.adding = False


def _insert(database: BaseDatabaseWrapper, model: type[Model], rows: list[Model]) -> None:
    statement, places, fields = _statement(model, database.vendor)
    values = [[prepare(getattr(row, name), database) if prepare else getattr(row, name) for name, prepare in fields] for row in rows]
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            # Row by row, since psycopg remembers where the places of a short text are, and of a long one looks for them each time.
            cursor.execute(statement + ", ".join([cursor.mogrify(places, row) for row in values]))
        else:
            cursor.execute(statement + ", ".join([places] * len(rows)), list(chain.from_iterable(values)))


@lru_cache
def _statement(model: type[Model], vendor: str) -> tuple[str, str, list[tuple[str, Callable[..., Any] | None]]]:
    """INSERT up to its values, the places of one row, and the fields' names, each with what makes its values fit for the database."""
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, AutoField)]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in fields)
    fit = (CharField, TextField, IntegerField) if vendor == "sqlite" else Field
    named = [(field.attname, None if isinstance(field, fit) else field.get_db_prep_save) for field in fields]
    statement = f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES "  # noqa: S608 - the names are ours
    return statement, f"({', '.join(['%s'] * len(fields))})", named


def seconds_to_write() -> float:
    """How long a write may take with all its waiting."""
    return SQLITE_WAIT if connection.vendor == "sqlite" else POSTGRESQL_WAIT


def write_through() -> None:
    """A write that reaches the disk and leaves no row. A row that is rolled back does on PostgreSQL, on SQLite it never leaves memory."""
    if connection.vendor == "sqlite":
        connection.cursor().execute("PRAGMA user_version = 0")
