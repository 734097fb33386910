"""Processes that belong together: none runs on without the one that started it."""

import pytest

from tests.processes import wait_for
from tests.tree import children, kill, runs

pytestmark = pytest.mark.alone


@pytest.mark.parametrize("database", ["sqlite"], indirect=True, scope="module")
def test_a_killed_worker_takes_its_clock_along_and_a_killed_clock_its_worker(supervisor_with, database):
    supervisor = supervisor_with()
    wait_for(lambda: "beat: Starting" in supervisor.gateway.log)
    clocks = children(supervisor.worker.pid)
    assert clocks
    supervisor.restart_worker()
    wait_for(lambda: not any(map(runs, clocks)), 10)

    wait_for(lambda: kill(*children(supervisor.worker.pid)) or supervisor.worker.poll() is not None)
    assert supervisor.worker.returncode == 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True, scope="module")
def test_a_web_process_whose_first_one_is_killed_stops_and_makes_room_for_the_next(supervisor_with, database):
    supervisor = supervisor_with()
    serving = children(supervisor.web.pid)
    kill(supervisor.web.pid)
    supervisor.web.wait()
    wait_for(lambda: not any(map(runs, serving)), 15)
    supervisor.start_web()
    assert supervisor.gateway.get("/healthz").status_code == 200
