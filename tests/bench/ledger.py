"""What the databases hold, read beside the server that writes: the gateway's log, and DRF-API-Logger's table."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import psycopg

CALLS: Final = "SELECT count(*) FROM audit_call"
OUTCOMES: Final = "SELECT count(*) FROM audit_outcome"
ACCEPTED: Final = "SELECT count(*) FROM audit_outcome WHERE result = 'accepted'"
UNKNOWN: Final = "SELECT count(*) FROM audit_outcome WHERE result = 'unknown'"
LOGGED: Final = "SELECT count(*) FROM drf_api_logs"


def counts(database: str, *queries: str) -> list[int]:
    """The queries' numbers, all of one moment."""
    with closing(_connect(database)) as connection:
        cursor = connection.cursor()
        cursor.execute(f"SELECT {', '.join(f'({query})' for query in queries)}")
        return [int(number) for number in cursor.fetchone()]


def calls_of(database: str, job: str) -> tuple[float, int, int]:
    """Of a job's calls: when the first began, in seconds since 1970, how many there are, and how many outcomes."""
    place, value = ("?", UUID(job).hex) if database.startswith("sqlite") else ("%s", job)
    # Without the call that made it, which has no chunk.
    calls = "FROM audit_call WHERE job = {0} AND chunk IS NOT NULL"
    outcomes = f"SELECT count(*) FROM audit_outcome WHERE call_id IN (SELECT id {calls})"
    with closing(_connect(database)) as connection:
        cursor = connection.cursor()
        cursor.execute(f"SELECT min(at), count(*), ({outcomes}) {calls}".format(place), (value, value))
        at, calls, outcomes = cursor.fetchone()
    began = datetime.fromisoformat(at).replace(tzinfo=UTC) if isinstance(at, str) else at
    return began.timestamp() if began else 0.0, int(calls), int(outcomes)


def _connect(database: str) -> Any:
    if database.startswith("sqlite:///"):
        return sqlite3.connect(f"file:{database.removeprefix('sqlite:///')}?mode=ro", uri=True)
    return psycopg.connect(database, autocommit=True)
