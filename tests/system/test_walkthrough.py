"""The README's replay of a sample archive, from start to end, with the worker killed in the middle."""

import json
import subprocess
import sys
from collections import Counter

from tests.processes import ROOT
from tests.tree import kill_tree
from tests.waiting import wait_for

EVENTS = 12_000


def test_an_archive_is_replayed_although_the_worker_is_killed(gateway_with, sandbox, tmp_path):
    gateway = gateway_with(start=False, GATEWAY_LEASE_SECONDS="2")
    archive = str(tmp_path / "archive")
    assert f"{EVENTS:,} events from" in gateway.manage("write_sample_archive", archive, "--events", str(EVENTS))
    worker = gateway.start_worker()
    job = gateway.manage("submit_job", "--archive", archive, "--operation", "replay", "--source", "rep-1", "--rate", "5000").split()[-1]
    wait_for(lambda: sandbox.count()["events"] >= EVENTS // 4, 60)
    kill_tree(worker.pid)
    worker.wait()
    stopped = sandbox.count()["events"]
    assert stopped < EVENTS
    gateway.start_worker()
    command = [sys.executable, "manage.py", "follow_job", job]
    followed = subprocess.run(command, cwd=ROOT, env=gateway.env, capture_output=True, text=True, timeout=120)
    assert followed.returncode == 0, followed.stderr
    assert f"succeeded: {EVENTS:,} of {EVENTS:,} events accepted, 0 refused" in followed.stderr
    arrived: Counter[str] = Counter()
    page = sandbox.page(0)
    while page:
        arrived.update(event["messageId"] for one in page if one["stored"] for event in json.loads(one["body"])["batch"])
        page = sandbox.page(page[-1]["number"])
    assert arrived.keys() == {f"sample-{number}" for number in range(EVENTS)}
    assert arrived.total() - EVENTS <= 500
