"""The broker away or frozen: callers are answered all the same, and the work goes on by itself when it is back."""

import os
import signal
from time import monotonic, sleep

import pytest

from tests.system.jobs import ended, lines, post, submit
from tests.tree import tree
from tests.waiting import wait_for

pytestmark = pytest.mark.alone


def freeze(broker):
    for pid in tree(broker.pid):
        os.kill(pid, signal.SIGSTOP)


def thaw(broker):
    for pid in tree(broker.pid):
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"], indirect=True)
@pytest.mark.parametrize("outage", [3, pytest.param(60, marks=pytest.mark.chaos)])
def test_a_job_submitted_meanwhile_is_taken_at_once_and_begins_when_it_is_back(gateway_with, broker, sandbox, outage):
    gateway = gateway_with(**broker.settings)
    worker = gateway.start_worker()
    # Both have had their connections.
    submit(gateway, lines(1))
    wait_for(lambda: sandbox.count()["events"] == 1, 30)
    broker.kill()
    try:
        job, seconds = submit(gateway, lines(10))
        _, paused = post(gateway, f"/{job}/pause")
        _, resumed = post(gateway, f"/{job}/resume")
        sleep(outage)
        assert sandbox.count()["events"] == 1
    finally:
        broker.start()
    back = monotonic()
    wait_for(lambda: sandbox.count()["events"] == 11, 30)
    begun = monotonic() - back
    ended(gateway, job)
    # And as it was before from then on.
    job, again = submit(gateway, lines(20))
    asked = monotonic()
    wait_for(lambda: sandbox.count()["events"] == 31, 15)
    heard = monotonic() - asked
    freeze(broker)
    try:
        frozen = max(submit(gateway, lines(1))[1] for _ in range(2))
    finally:
        thaw(broker)
    wait_for(lambda: sandbox.count()["events"] == 33, 30)
    print(
        f"away {outage} s: answered in {seconds:.2f} s, {paused:.2f} s, {resumed:.2f} s; begun {begun:.1f} s after the return; the next: {again:.2f} s, {heard:.1f} s; frozen: {frozen:.2f} s"
    )
    assert max(seconds, paused, resumed, again) < 1.5
    assert frozen < 3.5
    assert worker.poll() is None, gateway.log
