"""Processes of all kinds killed at random under load: whatever was interrupted, no promise is broken.

CHAOS_SEED repeats a run's choices.
"""

import json
import os
import platform
import sqlite3
import time
from collections import Counter
from importlib.metadata import version
from random import Random

import pytest

from tests.chaos.arrivals import Arrivals
from tests.chaos.database import ServedPostgreSQL
from tests.chaos.ledger import Ledger
from tests.chaos.load import Load
from tests.processes import ROOT, wait_for

UPSTREAM_SECONDS = 3
LONGEST_OPEN = 5 + UPSTREAM_SECONDS
"""From an intent to its deadline."""
REPEATED = 100
"""Answered keys that are asked for once more when all is quiet."""


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.chaos)])
def test_random_kills_break_no_promise(supervisor_with, database, upstream, kills):
    seed = int(os.environ.get("CHAOS_SEED") or time.time_ns() % 1_000_000)
    print(f"CHAOS_SEED={seed}")
    random = Random(seed)
    upstream.sandbox.received = arrivals = Arrivals()
    supervisor = supervisor_with(GATEWAY_DEADLINE_SECONDS=str(UPSTREAM_SECONDS), GATEWAY_WEB_PROCESSES="1" if database.url is None else "2")
    kinds = {"web child": lambda: supervisor.restart_child(random), "web": supervisor.restart_web, "worker": supervisor.restart_worker}
    if isinstance(database, ServedPostgreSQL):
        kinds |= {"database backend": lambda: database.kill_backend(random), "database": database.kill_cluster}
    order = [list(kinds)[number % len(kinds)] for number in range(kills)]
    random.shuffle(order)
    started = time.monotonic()
    load = Load(supervisor.gateway, upstream, seed)
    load.start()
    try:
        for kind in order:
            time.sleep(random.uniform(0.0, 0.8))
            kinds[kind]()
    finally:
        load.stop()
    loaded = time.monotonic() - started
    load.finish(LONGEST_OPEN + 10)
    wait_for(lambda: not database.open_calls(), LONGEST_OPEN + 30)

    answered = [request for request in load.requests if request.key and any(request.has(200))]
    for request in random.sample(answered, min(REPEATED, len(answered))):
        load.repeat(request)
    ledger = Ledger(database)
    broken = list(ledger.broken_promises(load.requests, arrivals.digests))
    assert not broken, "\n".join(broken[:20])
    assert not database.faults()
    for id_ in (id_ for id_ in ledger.calls if ledger.last(id_) == "unknown"):
        assert supervisor.gateway.get(f"/v1/calls/{id_}").json()["result"] == "unknown"
    assert supervisor.gateway.get("/v1/calls?result=in_flight").json()["results"] == []
    wait_for(lambda: not supervisor.orphans(), 20)
    assert "locked" not in supervisor.gateway.log
    report = {
        "database": database.name,
        "kills": dict(Counter(order)),
        "seed": seed,
        "calls": len(load.requests),
        "arrived": arrivals.calls,
        "rows": len(ledger.calls),
        "results": dict(ledger.results()),
        "told": {str(status): times for status, times in sorted(Counter(told.status for r in load.requests for told in r.told).items())},
        "broken promises": 0,
        "longest until unknown is written": round(ledger.longest_wait(), 1),
        "seconds of load": round(loaded),
        "seconds": round(time.monotonic() - started),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{package: version(package) for package in ("django", "granian", "celery", "psycopg")},
    }
    print(json.dumps(report))
    assert arrivals.calls > 10 * kills
    if kills > 20:
        (ROOT / "var").mkdir(exist_ok=True)
        with (ROOT / "var" / "chaos.jsonl").open("a") as results:
            results.write(json.dumps(report) + "\n")
