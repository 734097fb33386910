"""The worker with beat: calls left open by a crash are closed, with the embedded broker and with Redis."""

import sqlite3
import time

import pytest

from tests.conftest import GOOD
from tests.waiting import wait_for


@pytest.mark.parametrize("broker", ["embedded", "redis"], indirect=True)
def test_a_call_whose_process_died_is_written_down_as_unknown(gateway_with, sandbox, broker):
    gateway = gateway_with(
        None, GATEWAY_DEADLINE_SECONDS="1", GATEWAY_CONNECT_SECONDS="1", GATEWAY_READ_SECONDS="1", **(broker.settings if broker else {})
    )
    gateway.start_worker()
    accepted = gateway.send("replay", GOOD["replay"])
    # As a process leaves it that dies between intent and outcome.
    database = sqlite3.connect(gateway.folder / "var" / "gateway.sqlite3", timeout=5)
    database.execute("DELETE FROM audit_outcome")
    database.commit()
    read = lambda: gateway.get(f"/v1/calls/{accepted.headers['X-Audit-Id']}").json()  # noqa: E731
    assert read()["result"] in ("in_flight", "unknown")
    wait_for(lambda: read()["result"] == "unknown", 10)
    rows = lambda: database.execute("SELECT number, result, reason FROM audit_outcome").fetchall()  # noqa: E731
    assert wait_for(rows, 30) == [(1, "unknown", "deadline_passed")]
    time.sleep(1)
    assert len(rows()) == 1
    database.close()
