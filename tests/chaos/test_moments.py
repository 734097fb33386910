"""The web server killed at each moment of a call that matters, brought about from outside: by the database, or by what the gateway sends to."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.chaos.interrupted import Interrupted
from tests.chaos.ports import deaf, sipping
from tests.conftest import RunningSandbox
from tests.processes import wait_for

UNKNOWN_WITHIN = 30.0
"""Seconds after the restart."""


def before_the_intent(call: Interrupted, sandbox: RunningSandbox) -> None:
    with call.database.held("audit_call"):
        call.send()
        call.database.wait_until_blocked()
        call.kill()


def before_the_socket(call: Interrupted, sandbox: RunningSandbox) -> None:
    with deaf() as upstream:
        call.restart(upstream)
        call.send()
        call.wait_for_intent()
        call.kill()


def half_sent(call: Interrupted, sandbox: RunningSandbox) -> None:
    with sipping() as (upstream, sipped):
        call.restart(upstream)
        call.bytes = 3_000_000
        call.send()
        assert sipped.wait(10)
        call.kill()


def half_answered(call: Interrupted, sandbox: RunningSandbox) -> None:
    sandbox.trouble("dripped_answer")
    call.send()
    wait_for(lambda: sandbox.count()["calls"])
    time.sleep(0.5)
    call.kill()


def before_the_outcome(call: Interrupted, sandbox: RunningSandbox) -> None:
    sandbox.trouble("delay", seconds=1)
    call.send()
    call.wait_for_intent()
    with call.database.held("audit_outcome"):
        time.sleep(1.2)
        call.database.wait_until_blocked()
        call.kill()


@dataclass(frozen=True)
class Expected:
    """What has to be true of a call that was killed at a moment. `results`: what may be written first."""

    intents: tuple[int, ...]
    arrived: int
    results: tuple[str, ...] = ("unknown",)


MOMENTS: dict[Callable[..., None], Expected] = {
    # A PostgreSQL that was waited for may commit the row after all.
    before_the_intent: Expected((0, 1), 0, ("unknown", "refused")),
    before_the_socket: Expected((1,), 0),
    half_sent: Expected((1,), 0),
    half_answered: Expected((1,), 1),
    before_the_outcome: Expected((1,), 1, ("unknown", "accepted")),
}


@pytest.fixture(scope="module")
def interrupted(supervisor_with, database, upstream) -> dict[Callable[..., None], Interrupted]:
    """A call killed at each moment, one after the other."""
    supervisor = supervisor_with(GATEWAY_DEADLINE_SECONDS="3")
    calls = {moment: Interrupted(moment.__name__, supervisor, database) for moment in MOMENTS}
    for moment, call in calls.items():
        upstream.reset()
        moment(call, upstream)
        call.restart(upstream.url)
        call.arrived = upstream.count()["calls"]
    upstream.reset()
    return calls


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
def test_a_call_killed_there_reads_unknown_and_is_not_sent_again(interrupted, upstream, moment):
    call, expected = interrupted[moment], MOMENTS[moment]
    assert call.answers == []
    assert call.arrived == expected.arrived
    tries = call.tries()
    assert len(tries) in expected.intents
    for one in tries:
        read = lambda: call.supervisor.gateway.get(f"/v1/calls/{one.id}").json()["result"]  # noqa: E731, B023
        wait_for(lambda: read() in expected.results, max(1.0, call.restarted + UNKNOWN_WITHIN - time.monotonic()))  # noqa: B023
    outcomes = wait_for(lambda: len(rows := call.outcomes()) == len(tries) and [rows], 30)[0]
    assert all(outcome.result in expected.results for outcome in outcomes)

    answer = call.retry()
    got = (answer.status_code, answer.json().get("reason"), answer.headers.get("Idempotency-Replayed"), upstream.count()["calls"])
    upstream.reset()
    if not tries or outcomes[0].result == "refused":
        assert got == (200, None, None, 1)
    elif outcomes[0].result == "accepted":
        assert got == (200, None, "true", 0)
    else:
        assert got == (409, "outcome_unknown", None, 0)
    assert call.outcomes()[: len(outcomes)] == outcomes
