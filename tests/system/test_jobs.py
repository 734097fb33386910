"""Jobs while a worker or the database stands still."""

import os
import signal
from time import sleep

from tests.jobs.making import ids
from tests.system.jobs import arrived, ended, make, without_repeats
from tests.tree import kill_tree, tree
from tests.waiting import wait_for

CHUNK = 100
LEASE = 2.0


def test_a_stopped_worker_that_goes_on_past_its_lease_sends_only_what_it_had_in_flight(gateway_with, database, sandbox):
    gateway = gateway_with(database, start=False, GATEWAY_LEASE_SECONDS=str(LEASE))
    # Stopped while it waits for an answer: in the middle of a write it would hold the database's lock, on SQLite against everybody.
    sandbox.trouble("delay", seconds=1)
    job = make(gateway, 3000, chunk_events=CHUNK)
    worker = gateway.start_worker()
    wait_for(lambda: sandbox.count()["calls"] >= 3, 60)
    stopped = tree(worker.pid)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    sandbox.trouble("delay", seconds=0)
    sleep(LEASE)
    other = gateway.start_worker()
    row = ended(gateway, job)
    kill_tree(other.pid)
    other.wait()
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    # It is at work again once it has done another job.
    again = ended(gateway, make(gateway, 1))
    assert (row["state"], again["state"], row["accepted"]) == ("succeeded", "succeeded", 3000)
    batches = arrived(sandbox)
    assert batches.pop() == ["m-0"]
    assert without_repeats(batches) == ids(3000)
    assert sum(map(len, batches)) - 3000 == row["possible_duplicates"] == CHUNK


def test_while_the_database_is_frozen_nothing_goes_out_and_nothing_is_lost(gateway_with, postgresql, sandbox):
    gateway = gateway_with(postgresql.database(), start=False, GATEWAY_LEASE_SECONDS=str(LEASE))
    sandbox.trouble("delay", seconds=0.04)
    job = make(gateway, 5000, chunk_events=CHUNK)
    gateway.start_worker()
    for at in (500, 2500):
        wait_for(lambda at=at: sandbox.count()["events"] >= at, 60)
        postgresql.freeze()
        try:
            sleep(LEASE)
            frozen = sandbox.count()
            sleep(LEASE)
            assert sandbox.count() == frozen
        finally:
            postgresql.thaw()
    row = ended(gateway, job)
    batches = arrived(sandbox)
    assert (row["state"], row["accepted"]) == ("succeeded", 5000)
    assert without_repeats(batches) == ids(5000)
    assert sum(map(len, batches)) - 5000 <= row["possible_duplicates"] <= 2 * CHUNK
