"""The worker killed, and stopped, while it writes down what is unknown of many calls."""

import signal

import pytest

from tests.chaos.ledger import Ledger
from tests.chaos.supervisor import Supervisor
from tests.processes import wait_for

OVERDUE = 10_000
"""As many as one look takes."""


@pytest.fixture(scope="module")
def supervisor(supervisor_with) -> Supervisor:
    return supervisor_with()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_no_call_is_left_out_or_written_down_twice(supervisor, database, end):
    supervisor.kill_worker()
    # A refused call is over at once, and so are its copies.
    database.copy_call(supervisor.gateway.send("replay", b"{").headers["X-Audit-Id"], OVERDUE)
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
