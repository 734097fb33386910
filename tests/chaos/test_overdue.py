"""The worker killed, and stopped, while it writes down what is unknown of many calls."""

import signal
from datetime import timedelta

import pytest
from django.utils import timezone

from gateway.audit.models import Call, new_id
from tests.chaos.ledger import Ledger
from tests.chaos.supervisor import Supervisor
from tests.processes import wait_for

pytestmark = pytest.mark.alone

OVERDUE = 10_000
"""As many as one look takes."""


@pytest.fixture(scope="module")
def supervisor(supervisor_with) -> Supervisor:
    return supervisor_with()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_no_call_is_left_out_or_written_down_twice(supervisor, database, end):
    supervisor.kill_worker()
    # A refused call is over at once, and so are its copies.
    database.copy_call(supervisor.gateway.send("replay", b"{").headers["X-Audit-Id"], (new_id() for _ in range(OVERDUE)))
    assert database.open_calls() == OVERDUE
    supervisor.start_worker()
    wait_for(lambda: database.open_calls() < OVERDUE)
    supervisor.worker.send_signal(end)
    code = supervisor.worker.wait(30)
    left = database.open_calls()
    assert (code, left > 0) == ((-end, True) if end is signal.SIGKILL else (0, False))
    supervisor.start_worker()
    wait_for(lambda: not database.open_calls(), 30)
    assert all([outcome.number for outcome in outcomes] == [1] for outcomes in Ledger(database).outcomes.values())
    assert not database.faults()
    wait_for(lambda: not supervisor.orphans(), 5)


def test_a_worker_that_starts_before_the_log_is_there_still_looks_through_all_of_it(supervisor, database):
    supervisor.kill_worker()
    # Of the day before yesterday: no later look goes so far back.
    database.copy_call(supervisor.gateway.send("replay", b"{").headers["X-Audit-Id"], [Call.lowest_id(timezone.now() - timedelta(days=2))])
    with database.held("audit_outcome"):
        refused = supervisor.gateway.log.count("LogUnavailableError")
        supervisor.start_worker()
        wait_for(lambda: supervisor.gateway.log.count("LogUnavailableError") > refused)
    wait_for(lambda: not database.open_calls(), 15)
