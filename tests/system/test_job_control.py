"""What people ask of a running job: in force within a second, also while the workers are restarted; and what is over stays over."""

from datetime import datetime
from time import sleep, time

import pytest

from tests.jobs.making import ids
from tests.system.jobs import arrived, ended, lines, post, read, submit, without_repeats
from tests.tree import kill_tree
from tests.waiting import wait_for

pytestmark = pytest.mark.alone

EVENTS = 10_000
FORCE = 2.0
"""Seconds that a machine with other things to do has; a second is what is promised."""


def calls(sandbox):
    """When each call came, and how many events it had."""
    found, page = [], sandbox.page(0)
    while page:
        found += [(datetime.fromisoformat(one["at"]).timestamp(), len(one["body"].split('"messageId"')) - 1) for one in page]
        page = sandbox.page(page[-1]["number"])
    return found


def restarted(gateway, worker):
    kill_tree(worker.pid)
    worker.wait()
    return gateway.start_worker()


@pytest.mark.parametrize(
    ("database", "broker"),
    [("sqlite", "embedded"), *(pytest.param("postgresql", kind, marks=pytest.mark.chaos) for kind in ("redis", "rabbitmq"))],
    indirect=True,
)
def test_pause_resume_and_cancel_are_in_force_within_a_second_whoever_is_restarted(gateway_with, database, broker, sandbox):
    gateway = gateway_with(database, GATEWAY_LEASE_SECONDS="2", **(broker.settings if broker else {}))
    worker = gateway.start_worker()
    sandbox.trouble("delay", seconds=0.02)
    job, _ = submit(gateway, lines(EVENTS), chunk_events=20)
    for verb, restart in (("pause", False), ("pause", True), ("cancel", True)):
        before = len(calls(sandbox))
        wait_for(lambda before=before: sandbox.count()["calls"] > before + 3, 15)
        asked = time()
        assert post(gateway, f"/{job}/{verb}")[0]["status"] == 200
        if restart:
            starts = gateway.log.count(" ready.")
            worker = restarted(gateway, worker)
            wait_for(lambda starts=starts: gateway.log.count(" ready.") > starts, 30)
        sleep(2.5)
        stopped, resumed = max(0.0, calls(sandbox)[-1][0] - asked), 0.0
        if verb == "pause":
            row = read(gateway, job)
            assert (row["state"], row["reason"]) == ("paused", "paused: Paused by tester.")
            before, asked = len(calls(sandbox)), time()
            assert post(gateway, f"/{job}/resume")[0]["status"] == 200
            wait_for(lambda before=before: sandbox.count()["calls"] > before, 15)
            resumed = calls(sandbox)[before][0] - asked
        print(f"{verb}{', worker restarted' if restart else ''}: the last call after {stopped:.2f} s; resumed, the first after {resumed:.2f} s")
        assert max(stopped, resumed) < FORCE
    assert ended(gateway, job)["state"] == "cancelled"
    sent = without_repeats(arrived(sandbox))
    assert sent == ids(len(sent))
    assert len(sent) < EVENTS


def test_another_rate_is_in_force_within_a_second_and_outlives_a_restart(gateway_with, sandbox):
    gateway = gateway_with(GATEWAY_LEASE_SECONDS="2")
    worker = gateway.start_worker()
    job, _ = submit(gateway, lines(EVENTS), chunk_events=50, rate=100)
    wait_for(lambda: sandbox.count()["events"] >= 100, 30)
    for rate, restart in ((1000, False), (300, True)):
        assert post(gateway, f"/{job}/rate", rate=rate)[0]["status"] == 200
        asked = time()
        if restart:
            worker = restarted(gateway, worker)
            before = sandbox.count()["events"]
            wait_for(lambda before=before: sandbox.count()["events"] > before + 100, 20)
            asked = time()
        sleep(4)
        sent = sum(events for at, events in calls(sandbox) if asked + 1 <= at < asked + 4)
        print(f"{sent / 3:.0f} events a second, of {rate}")
        assert 0.7 * rate <= sent / 3 <= 1.1 * rate
    assert worker.poll() is None


def test_a_client_that_is_disabled_pauses_its_jobs_and_they_go_on_once_it_may_again(gateway_with, sandbox):
    gateway = gateway_with()
    gateway.start_worker()
    sandbox.trouble("delay", seconds=0.02)
    job, _ = submit(gateway, lines(EVENTS), chunk_events=50)
    wait_for(lambda: sandbox.count()["events"] >= 1000, 30)
    change = "from gateway.access.models import Client; Client.objects.filter(name='tester').update(disabled={})"
    gateway.manage("shell", "--verbosity", "0", "-c", change.format(True))
    disabled = time()
    sleep(2)
    row = read(gateway, job)
    assert calls(sandbox)[-1][0] < disabled + FORCE
    assert (row["state"], row["reason"]) == ("paused", "client_disabled: The client tester is disabled.")
    gateway.manage("shell", "--verbosity", "0", "-c", change.format(False))
    # The web process remembers a key for seconds.
    wait_for(lambda: post(gateway, f"/{job}/resume")[0]["status"] == 200, 10)
    sandbox.trouble("delay", seconds=0)
    row = ended(gateway, job)
    assert (row["state"], row["accepted"], row["possible_duplicates"]) == ("succeeded", EVENTS, 0)
    assert without_repeats(arrived(sandbox)) == ids(EVENTS)


@pytest.mark.parametrize(("database", "broker"), [("postgresql", "redis")], indirect=True)
def test_what_is_over_stays_over_whatever_is_restarted(gateway_with, postgresql, database, broker, sandbox):
    gateway = gateway_with(database, **broker.settings)
    worker = gateway.start_worker()
    done, failed, cancelled = (submit(gateway, content)[0] for content in (lines(10), b"[{", lines(10)))
    post(gateway, f"/{cancelled}/cancel")
    rows = {job: ended(gateway, job) for job in (done, failed, cancelled)}
    assert {row["state"] for row in rows.values()} <= {"succeeded", "failed", "cancelled"}
    assert [rows[job]["state"] for job in (done, failed)] == ["succeeded", "failed"]
    for one in (gateway.web, worker):
        kill_tree(one.pid)
        one.wait()
    before = sandbox.count()
    broker.kill()
    postgresql.stop()
    postgresql.start()
    broker.start()
    gateway.start_web()
    gateway.start_worker()
    # The new one is at work once it has done another job.
    ended(gateway, submit(gateway, lines(1))[0])
    for job, row in rows.items():
        assert [post(gateway, f"/{job}/{verb}")[0]["status"] for verb in ("pause", "resume", "cancel", "rate")] == [409] * 4
        assert read(gateway, job) == row
    assert sandbox.count()["events"] == before["events"] + 1
