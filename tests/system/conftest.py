"""The gateway in processes of its own, on both databases and with every broker."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.brokers import Broker, RabbitMQ, Redis
from tests.conftest import RunningSandbox
from tests.processes import Gateway, PostgreSQL


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL cluster for the session; in a folder that its own user can reach, which pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="gateway-postgresql-"))
    cluster = PostgreSQL(folder, "--wal-segsize=1")
    yield cluster
    cluster.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _brokers() -> Iterator[Callable[[type[Broker]], Broker]]:
    made: dict[type[Broker], Broker] = {}
    folder = Path(tempfile.mkdtemp(prefix="gateway-brokers-"))
    folder.chmod(0o755)

    def broker_of(kind: type[Broker]) -> Broker:
        if kind not in made:
            (folder / kind.__name__).mkdir()
            made[kind] = kind(folder / kind.__name__)
        return made[kind]

    yield broker_of
    for broker in made.values():
        broker.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["embedded", "redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest, _brokers: Callable[[type[Broker]], Broker]) -> Iterator[Broker | None]:
    """A broker that runs, its queue empty, of each kind; None is the embedded one. A test that stops it starts it again."""
    if request.param == "embedded":
        yield None
        return
    found = _brokers({"redis": Redis, "rabbitmq": RabbitMQ}[request.param])
    yield found
    found.empty()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    """A database's address, of each kind; None is the default SQLite."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgresql").database()


@pytest.fixture
def gateway_with(tmp_path: Path, sandbox: RunningSandbox) -> Iterator[Callable[..., Gateway]]:
    """Makes a gateway with settings: `gateway_with(database, NAME="value")`; its web process runs."""
    made: list[Gateway] = []

    def make(database: str | None = None, *, start: bool = True, **settings: Any) -> Gateway:
        folder = tmp_path / f"gateway-{len(made)}"
        folder.mkdir()
        gateway = Gateway(folder, settings.pop("upstream", sandbox.url), database, **settings)
        made.append(gateway)
        if start:
            gateway.start_web()
        return gateway

    yield make
    for gateway in made:
        gateway.stop()


@pytest.fixture
def gateway(gateway_with: Callable[..., Gateway], database: str | None) -> Gateway:
    """A gateway that runs, on each database."""
    return gateway_with(database)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, _running_sandbox: RunningSandbox) -> Iterator[Gateway]:
    """A gateway on SQLite whose MCP server runs, for all tests that neither stop it nor set anything."""
    gateway = Gateway(tmp_path_factory.mktemp("served"), _running_sandbox.url)
    gateway.start_mcp()
    yield gateway
    gateway.stop()
