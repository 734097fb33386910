"""SIGTERM to the web server while calls are on their way: each gets its answer, and its outcome."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chaos.ledger import Ledger
from tests.conftest import GOOD
from tests.processes import wait_for

pytestmark = pytest.mark.alone

CALLS = 20


def test_calls_on_their_way_are_answered_and_nobody_else_is_let_in(supervisor_with, database, upstream):
    supervisor = supervisor_with()
    gateway = supervisor.gateway
    upstream.reset()
    upstream.trouble("delay", seconds=2)
    with ThreadPoolExecutor(CALLS) as threads:
        answers = [threads.submit(gateway.send, "replay", GOOD["replay"]) for _ in range(CALLS)]
        wait_for(lambda: upstream.count()["calls"] == CALLS)
        supervisor.web.terminate()
        wait_for(lambda: _refused(gateway.port), 1.5)
        assert not any(answer.done() for answer in answers)
        told = [answer.result() for answer in answers]
    assert [answer.status_code for answer in told] == [200] * CALLS
    assert supervisor.web.wait(10) == 0
    ledger = Ledger(database)
    assert [ledger.last(answer.headers["X-Audit-Id"]) for answer in told] == ["accepted"] * CALLS
    assert "X-Audit-State" not in {name for answer in told for name in answer.headers}
    assert upstream.count()["calls"] == CALLS


def _refused(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) != 0
