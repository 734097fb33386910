"""Fixtures: the tools with a key, and the ASGI application."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections

from gateway.mcp_server.front import Front
from tests.conftest import RunningSandbox
from tests.mcp_server.door import Asgi, Tools


@pytest.fixture
def tools(make_key: Callable[..., str], sandbox: RunningSandbox) -> Tools:
    """The tools with a key that may do everything but see others' calls."""
    return Tools(make_key())


@pytest.fixture
def front(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    """The application; its threads leave no connection open."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    application = Front()
    yield application
    application._threads.close()


@pytest.fixture
def asgi(front: Front, make_key: Callable[..., str], sandbox: RunningSandbox, settings: Any) -> Asgi:
    """The application with a key that may do everything but see others' calls."""
    return Asgi(front, make_key())
