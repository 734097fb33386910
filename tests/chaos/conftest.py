"""A gateway with its supervisor, on each database; PostgreSQL keeps what it was told to keep, also where it is killed."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.database import Database, ServedPostgreSQL, SQLite
from tests.chaos.supervisor import Supervisor
from tests.conftest import RunningSandbox
from tests.processes import Gateway, PostgreSQL


@pytest.fixture(scope="package")
def cluster() -> Iterator[PostgreSQL]:
    folder = Path(tempfile.mkdtemp(prefix="gateway-chaos-"))
    cluster = PostgreSQL(folder, fsync="on")
    yield cluster
    cluster.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Database:
    if request.param == "sqlite":
        return SQLite(tmp_path_factory.mktemp("chaos"))
    return ServedPostgreSQL(request.getfixturevalue("cluster"), tmp_path_factory.mktemp("chaos"))


@pytest.fixture(scope="module")
def upstream() -> Iterator[RunningSandbox]:
    """A sandbox for the module, beside the one that every test empties."""
    running = RunningSandbox()
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def supervisor_with(database: Database, upstream: RunningSandbox) -> Iterator[Callable[..., Supervisor]]:
    """Starts a gateway with settings: `supervisor_with(NAME="value")`."""
    made: list[Gateway] = []

    def make(**settings: Any) -> Supervisor:
        made.append(Gateway(database.folder, upstream.url, database.url, **settings))
        return Supervisor(made[-1])

    yield make
    for gateway in made:
        gateway.stop()
