"""The log's database as somebody beside the gateway has it: read, held so that nobody else can write, killed."""

import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import psycopg

from tests.processes import PostgreSQL, wait_for
from tests.tree import kill, kill_tree

UNTIL_BLOCKED = 0.5
"""Seconds in which a writer surely has come to the lock of SQLite, where nobody can see it wait."""


class Database(ABC):
    """`url` is None where the gateway's own setting serves; `folder` is the gateway's."""

    name: str
    url: str | None = None
    folder: Path

    @abstractmethod
    def connected(self) -> AbstractContextManager[Any]:
        """A connection in autocommit."""

    @abstractmethod
    def held(self, table: str) -> AbstractContextManager[None]:
        """Nobody else writes to the table meanwhile."""

    @abstractmethod
    def wait_until_blocked(self) -> None:
        """Until a writer waits for what is held."""

    @abstractmethod
    def copy_call(self, id_: str, ids: Iterable[UUID]) -> None:
        """More calls like this one, without outcomes."""

    @abstractmethod
    def faults(self) -> list[str]:
        """What is wrong with the stored bytes."""

    def open_calls(self) -> int:
        """How many have no outcome."""
        statement = "SELECT count(*) FROM audit_call WHERE NOT EXISTS (SELECT 1 FROM audit_outcome WHERE call_id = audit_call.id)"
        with self.connected() as connection:
            return int(connection.execute(statement).fetchone()[0])


class SQLite(Database):
    """The file."""

    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "var" / "gateway.sqlite3"

    @contextmanager
    def connected(self) -> Iterator[Any]:
        with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as connection:
            yield connection

    @contextmanager
    def held(self, table: str) -> Iterator[None]:
        with self.connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield

    def wait_until_blocked(self) -> None:
        time.sleep(UNTIL_BLOCKED)

    def copy_call(self, id_: str, ids: Iterable[UUID]) -> None:
        with self.connected() as connection:
            row = _row(connection, id_.replace("-", ""))
            connection.execute("BEGIN")
            connection.executemany(_insertion(row, "?"), [[*({**row, "id": new.hex}).values()] for new in ids])
            connection.execute("COMMIT")

    def faults(self) -> list[str]:
        with self.connected() as connection:
            return [text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]


class ServedPostgreSQL(Database):
    """One database of a cluster."""

    name = "postgresql"

    def __init__(self, cluster: PostgreSQL, folder: Path) -> None:
        self.folder = folder
        self._cluster = cluster
        self.url = cluster.database()

    @contextmanager
    def connected(self) -> Iterator[Any]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            yield connection

    @contextmanager
    def held(self, table: str) -> Iterator[None]:
        with self.connected() as connection, connection.transaction():
            connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
            yield

    def wait_until_blocked(self) -> None:
        statement = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        with self.connected() as connection:
            wait_for(lambda: connection.execute(statement).fetchall())

    def copy_call(self, id_: str, ids: Iterable[UUID]) -> None:
        with self.connected() as connection, connection.cursor() as cursor:
            row = _row(connection, id_)
            cursor.executemany(_insertion(row, "%s"), [[*({**row, "id": new}).values()] for new in ids])

    def faults(self) -> list[str]:
        with self.connected() as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
            indexes = connection.execute("SELECT indexrelid::regclass FROM pg_index WHERE indrelid::regclass::text LIKE 'audit_%'").fetchall()
            for (index,) in indexes:
                try:
                    connection.execute(f"SELECT bt_index_check('{index}', true)")
                except psycopg.Error as error:
                    return [str(error)]
            return []

    def kill_backend(self, random: Random) -> None:
        """SIGKILL to a process that serves the gateway: the cluster throws all out and recovers."""
        statement = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        with suppress(psycopg.OperationalError), self.connected() as connection:
            kill(random.choice(sorted(wait_for(lambda: connection.execute(statement).fetchall())))[0])
        wait_for(self._answers)

    def kill_cluster(self) -> None:
        """SIGKILL to all its processes, and a start as after a crash of the machine."""
        folder = self._cluster.folder
        lock = folder / "data" / "postmaster.pid"
        kill_tree(int(lock.read_text().split()[0]))
        # PostgreSQL takes one that only waits to be reaped for one that runs.
        lock.unlink()
        (folder / f".s.PGSQL.{self._cluster.port}.lock").unlink(missing_ok=True)
        self._cluster.start()

    def _answers(self) -> bool:
        try:
            with self.connected():
                return True
        except psycopg.OperationalError:
            return False


def _row(connection: Any, id_: str) -> dict[str, Any]:
    found = connection.execute(f"SELECT * FROM audit_call WHERE id = '{id_}'")
    return dict(zip([column[0] for column in found.description], found.fetchone(), strict=True))


def _insertion(row: dict[str, Any], mark: str) -> str:
    return f"INSERT INTO audit_call ({', '.join(row)}) VALUES ({', '.join([mark] * len(row))})"
