"""Full load for minutes: memory stays flat, nothing is left over, and the log is complete."""

import json
import os
import sqlite3
import threading
import time
import uuid
from contextlib import closing
from pathlib import Path
from statistics import median

import psycopg
import pytest

from tests.processes import ROOT, wait_for
from tests.system.mixture import Mixture
from tests.tree import children

pytestmark = pytest.mark.alone

SECONDS = float(os.environ.get("SOAK_SECONDS") or 300)
FAULTS = (("delay", {"seconds": 0.3}), ("half_answer", {}), ("reset_after", {}), ("500", {}), ("429", {"retry_after": 1}), ("html", {}))


class Usage:
    """What the web process and its children hold now."""

    def __init__(self, pid):
        pids = [pid, *children(pid)]
        folders = [Path(f"/proc/{each}") for each in pids]
        rollups = [line for folder in folders for line in (folder / "smaps_rollup").read_text().splitlines()]
        self.megabytes = sum(int(line.split()[1]) for line in rollups if line.startswith("Pss:")) / 1024
        self.threads = sum(len(list((folder / "task").iterdir())) for folder in folders)
        self.files = sum(len(list((folder / "fd").iterdir())) for folder in folders)


@pytest.mark.parametrize("seconds", [10, pytest.param(SECONDS, marks=pytest.mark.chaos)])
def test_minutes_of_everything_at_full_load(gateway, sandbox, seconds):
    # Threads, pools and caches are there after this.
    Mixture(gateway.port, gateway.key, 1).run(min(seconds, 30))
    mixture, samples, ended = Mixture(gateway.port, gateway.key, 2), [], threading.Event()
    before = rows(gateway)

    def watch():
        while not ended.wait(min(5, seconds / 20)):
            samples.append(Usage(gateway.web.pid))
            kind, order = FAULTS[len(samples) % len(FAULTS)]
            sandbox.trouble(kind, times=3, **order)

    watching = threading.Thread(target=watch)
    watching.start()
    started = time.monotonic()
    try:
        mixture.run(seconds)
    finally:
        ended.set()
        watching.join()
    took = time.monotonic() - started
    wait_for(lambda: gateway.get("/v1/calls?result=in_flight").json()["results"] == [], 40)
    time.sleep(2)
    after, third = Usage(gateway.web.pid), max(1, len(samples) // 3)
    first, last = (median(sample.megabytes for sample in part) for part in (samples[:third], samples[-third:]))
    calls = sum(times for (kind, _), times in mixture.answered.items() if kind not in ("read", "stranger"))
    report = {
        "database": "postgresql" if "DATABASE_URL" in gateway.env else "sqlite",
        "seconds": round(took),
        "requests": sum(mixture.answered.values()),
        "recorded": len(mixture.recorded),
        "answers": {f"{kind} {status}": times for (kind, status), times in sorted(mixture.answered.items())},
        "megabytes": [round(first), round(last), round(max(sample.megabytes for sample in samples))],
        "threads": [samples[0].threads, after.threads],
        "files": [samples[0].files, after.files],
    }
    print(json.dumps(report))
    if seconds > 60:
        (ROOT / "var").mkdir(exist_ok=True)
        with (ROOT / "var" / "soak.jsonl").open("a") as results:
            results.write(json.dumps(report) + "\n")

    # Every answer to a known key names its row, unknown keys have none; what was cut on its way in may have one.
    strangers = {status for kind, status in mixture.answered if kind == "stranger"}
    cut = sum(times for (kind, _), times in mixture.answered.items() if kind == "cut")
    new = rows(gateway) - before
    assert strangers <= {401}
    assert mixture.without_id == 0
    assert mixture.recorded - rows(gateway) == set()
    assert len(new) <= len(mixture.recorded - before) + cut
    assert calls - cut >= len(mixture.recorded)
    assert last < first * 1.1 + 10
    assert after.threads <= max(sample.threads for sample in samples)
    assert after.files <= max(sample.files for sample in samples)
    assert gateway.web.poll() is None


def rows(gateway):
    """The ids of all calls."""
    if url := gateway.env.get("DATABASE_URL"):
        with psycopg.connect(url) as connection:
            return {row[0] for row in connection.execute("SELECT id FROM audit_call")}
    with closing(sqlite3.connect(gateway.folder / "var" / "gateway.sqlite3", timeout=10)) as connection:
        return {uuid.UUID(row[0]) for row in connection.execute("SELECT id FROM audit_call")}
