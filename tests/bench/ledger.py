"""What the databases hold, read beside the server that writes: the gateway's log, and DRF-API-Logger's table."""

import sqlite3
from contextlib import closing
from typing import Any, Final

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


def _connect(database: str) -> Any:
    if database.startswith("sqlite:///"):
        return sqlite3.connect(f"file:{database.removeprefix('sqlite:///')}?mode=ro", uri=True)
    return psycopg.connect(database, autocommit=True)
