"""Jobs while their workers are killed with -9 and stopped: every event arrives, and nothing is doubled that is not counted."""

import json
import os
import signal
from collections import Counter
from random import Random, randrange
from time import sleep

import pytest

from tests.processes import Gateway
from tests.tree import kill_tree, tree
from tests.waiting import wait_for

EVENTS = 20_000
CHUNK = 100
KILLS = 5
LEASE = 2.0
IDS = [f"m-{number}" for number in range(EVENTS)]
_MAKE = "from tests.jobs.making import *; print(make_job(events({events}), segment_events=3000, {fields}).id)"
_READ = "from gateway.jobs.models import Job; from django.core.serializers import serialize; print(serialize('json', [Job.objects.get(id='{id}')]))"


def make(gateway: Gateway, events: int = EVENTS, **fields: object) -> str:
    text = ", ".join(f"{name}={value!r}" for name, value in fields.items())
    return gateway.manage("shell", "--verbosity", "0", "-c", _MAKE.format(events=events, fields=text)).split()[-1]


def read(gateway: Gateway, job: str) -> dict[str, object]:
    return json.loads(gateway.manage("shell", "--verbosity", "0", "-c", _READ.format(id=job)).splitlines()[-1])[0]["fields"]


def ended(gateway: Gateway, job: str) -> dict[str, object]:
    """The job once it has ended by itself."""
    return wait_for(lambda: (row := read(gateway, job))["ended_at"] and row, 120)


def arrived(sandbox) -> list[list[str]]:
    """The messageIds of each request that was stored, in order."""
    batches, page = [], sandbox.page(0)
    while page:
        batches += [[row["messageId"] for row in json.loads(one["body"])["batch"]] for one in page if one["stored"]]
        page = sandbox.page(page[-1]["number"])
    return batches


def without_repeats(batches: list[list[str]]) -> list[str]:
    """All ids in order, of a chunk sent again at once the first sending alone."""
    return [one for before, batch in zip([None, *batches], batches, strict=False) if batch != before for one in batch]


@pytest.mark.parametrize(
    ("database", "ordered"),
    [
        ("sqlite", True),
        ("postgresql", False),
        pytest.param("sqlite", False, marks=pytest.mark.chaos),
        pytest.param("postgresql", True, marks=pytest.mark.chaos),
    ],
    indirect=["database"],
)
def test_killed_at_random(gateway_with, database, sandbox, ordered):
    seed = randrange(10**6)
    print(f"seed {seed}")
    random = Random(seed)
    gateway = gateway_with(database, start=False, GATEWAY_LEASE_SECONDS=str(LEASE))
    sandbox.trouble("delay", seconds=0.04)
    job = make(gateway, chunk_events=CHUNK, ordered=ordered, rate=None if ordered else 2500)
    worker = gateway.start_worker()
    for kill in range(1, KILLS + 1):
        at = (kill - 1) * EVENTS // (KILLS + 1) + random.randrange(EVENTS // (KILLS + 1))
        wait_for(lambda at=at: sandbox.count()["events"] >= at, 60)
        sleep(random.uniform(0, 0.1))
        kill_tree(worker.pid)
        worker.wait()
        worker = gateway.start_worker()
    row = ended(gateway, job)
    batches = arrived(sandbox)
    seen = Counter(one for batch in batches for one in batch)
    assert seen.keys() == set(IDS)
    assert (row["state"], row["accepted"], row["failed"]) == ("succeeded", EVENTS, 0)
    assert seen.total() - EVENTS <= row["possible_duplicates"] <= CHUNK * (1 if ordered else 16) * KILLS
    if ordered:
        assert without_repeats(batches) == IDS


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
    assert without_repeats(batches) == IDS[:3000]
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
    assert without_repeats(batches) == IDS[:5000]
    assert sum(map(len, batches)) - 5000 <= row["possible_duplicates"] <= 2 * CHUNK
