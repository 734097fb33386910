"""Fixtures: a sandbox to send to, keys, and the REST client. Nothing is mocked: the sandbox answers over HTTP."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import uvloop
from django.db import connections
from django.test import Client

from gateway.access import keys
from gateway.access.keys import create
from gateway.api.health import readiness
from gateway.audit import late
from gateway.audit.models import Channel
from gateway.sandbox.server import Sandbox, serve
from gateway.sandbox.sources import RECORDED
from gateway.upstream import client as upstream_client
from tests.environment import VAR
from tests.webhooks.receiver import inside, receiver  # noqa: F401 - fixtures of every door to jobs


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked chaos runs only where `-m` names it, whatever else `-m` says."""
    if "chaos" not in config.option.markexpr:
        chaos = [item for item in items if item.get_closest_marker("chaos")]
        config.hook.pytest_deselected(items=chaos)
        items[:] = [item for item in items if item not in chaos]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """SQLite in a file, as in service: one in memory has no WAL and no other connections. Each process has its own folder for it."""
    if connections["default"].vendor == "sqlite":
        connections["default"].settings_dict["TEST"]["NAME"] = f"{VAR}/test.sqlite3"


class RunningSandbox:
    """A sandbox in a thread of its own, spoken to over HTTP."""

    def __init__(self) -> None:
        self.sandbox = Sandbox(RECORDED)
        self.port = 0
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._http = requests.Session()
        self._http.trust_env = False

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(10)

    def _run(self) -> None:
        loop = uvloop.new_event_loop()
        self._loop = loop
        self._task = loop.create_task(serve(self.sandbox, "127.0.0.1", 0, self._listens))
        try:
            loop.run_until_complete(self._task)
        except BaseException:
            loop.close()

    def _listens(self, port: int) -> None:
        self.port = port
        self._started.set()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(5)
        self._http.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def received(self) -> list[dict[str, Any]]:
        """The requests that were read whole, in order; the first thousand."""
        return self.page(0)

    def page(self, after: int) -> list[dict[str, Any]]:
        """Up to a thousand requests from number `after` on."""
        return self._http.get(f"{self.url}/received?after={after}&limit=1000", timeout=30).json()["results"]

    def count(self) -> dict[str, int]:
        return self._http.get(f"{self.url}/received/count", timeout=10).json()

    def trouble(self, kind: str, **order: Any) -> None:
        """Misbehave with the next requests."""
        answer = self._http.post(f"{self.url}/faults", data=json.dumps({"kind": kind, **order}), timeout=10)
        assert answer.status_code == 200, answer.text

    def reset(self) -> None:
        self._http.delete(f"{self.url}/faults", timeout=10)
        self._http.delete(f"{self.url}/received", timeout=10)


@pytest.fixture(scope="session")
def _running_sandbox() -> Iterator[RunningSandbox]:
    running = RunningSandbox()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def sandbox(_running_sandbox: RunningSandbox, settings: Any) -> Iterator[RunningSandbox]:
    """An empty sandbox that the gateway sends to."""
    _running_sandbox.reset()
    settings.RUDDERSTACK_BASE_URL = _running_sandbox.url
    upstream_client.close()
    yield _running_sandbox
    upstream_client.close()


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    keys.forget()
    readiness.forget()
    late._outcomes_wait.clear()
    shutil.rmtree(f"{VAR}/pending", ignore_errors=True)
    yield
    keys.forget()


@pytest.fixture
def make_key(db: None) -> Callable[..., str]:
    """Makes an API key: `make_key("name", operations=…, sources=…, scopes=…)`."""

    def make(name: str = "tester", **rights: str) -> str:
        return create(name, **rights, actor="tests", channel=Channel.CLI)

    return make


class Rest:
    """The REST door in this process, with a key."""

    def __init__(self, key: str | None) -> None:
        self.key = key
        self._client = Client(raise_request_exception=False)

    def _headers(self, headers: dict[str, str] | None) -> dict[str, str]:
        return {**({"Authorization": f"Bearer {self.key}"} if self.key else {}), **(headers or {})}

    def send(self, route: str, body: Any, headers: dict[str, str] | None = None, query: str = "") -> Any:
        """POST to one of the five routes; what is not bytes is sent as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._client.post(f"/v1/internal/v1/{route}{query}", data=content, content_type="application/json", headers=self._headers(headers))

    def get(self, path: str, headers: dict[str, str] | None = None) -> Any:
        return self._client.get(path, headers=self._headers(headers))

    def post(self, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Any:
        return self._client.post(path, data=body, content_type="application/x-ndjson", headers=self._headers(headers))

    def request(self, method: str, path: str, body: bytes = b"") -> Any:
        return self._client.generic(method, path, body, headers=self._headers(None))


@pytest.fixture
def rest(make_key: Callable[..., str], sandbox: RunningSandbox) -> Rest:
    """REST with a key that may do everything but see others' calls."""
    return Rest(make_key())


EVENT = {"type": "track", "event": "Order Completed", "userId": "u-1", "messageId": "m-1"}
MESSAGE = {
    "properties": {
        "requestType": "track",
        "routingKey": "u-1",
        "workspaceID": "ws-1",
        "sourceID": "src-1",
        "receivedAt": "2026-01-02T03:04:05.678Z",
        "requestIP": "192.0.2.7",
    },
    "payload": {**EVENT, "receivedAt": "2026-01-02T03:04:05.678Z", "request_ip": "192.0.2.7", "rudderId": "r-1"},
}
GOOD = {
    "audiencelist": {"userId": "u-1", "properties": {"listData": {}}},
    "batch": [MESSAGE],
    "extract": {"recordId": "1", "event": "users"},
    "replay": {"batch": [EVENT]},
    "retl": {"batch": [{"type": "record", "recordId": "1", "messageId": "m-1"}]},
}
"""A good body for each route."""
