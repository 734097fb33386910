"""What people ask of a job: done and recorded, or refused with the reason."""

import json

import pytest

from gateway.audit import log
from gateway.audit.models import Action, Channel
from gateway.jobs import control
from gateway.jobs.control import TransitionError
from gateway.jobs.models import Job, State
from tests.jobs.making import make_job

pytestmark = pytest.mark.usefixtures("client_key")

WHO = {"actor": "anna", "channel": Channel.ADMIN, "reason": "the source is down"}


@pytest.mark.parametrize(
    ("ask", "before", "after", "verb"),
    [
        (control.pause, State.QUEUED, State.PAUSED, "job_paused"),
        (control.pause, State.RUNNING, State.PAUSED, "job_paused"),
        (control.resume, State.PAUSED, State.QUEUED, "job_resumed"),
        (control.cancel, State.QUEUED, State.CANCELLING, "job_cancelled"),
        (control.cancel, State.RUNNING, State.CANCELLING, "job_cancelled"),
        (control.cancel, State.PAUSED, State.CANCELLING, "job_cancelled"),
    ],
)
def test_what_is_allowed_is_done_and_recorded(ask, before, after, verb):
    job = make_job([], state=before, reason="x: y", tries=9)
    assert ask(job.id, **WHO).state == after
    job.refresh_from_db()
    assert job.state == after
    assert job.reason == {State.QUEUED: "", State.PAUSED: "paused: Paused by anna: the source is down."}.get(
        after, "cancelled: Cancelled by anna: the source is down."
    )
    row = Action.objects.get(subject=str(job.id))
    assert (row.verb, row.actor, row.channel, row.reason) == (verb, "anna", "admin", "the source is down")


ALLOWED = {
    control.pause: {State.QUEUED, State.RUNNING},
    control.resume: {State.PAUSED},
    control.cancel: {State.QUEUED, State.RUNNING, State.PAUSED},
}


@pytest.mark.parametrize(("ask", "state"), [(ask, state) for ask, allowed in ALLOWED.items() for state in State if state not in allowed])
def test_what_is_not_is_refused_and_changes_nothing(ask, state):
    job = make_job([], state=state)
    with pytest.raises(TransitionError, match=r"This job cannot be \w+: it "):
        ask(job.id, **WHO)
    job.refresh_from_db()
    assert job.state == state
    assert not Action.objects.filter(subject=str(job.id)).exists()


@pytest.mark.parametrize("rate", [50, None])
def test_the_rate_is_changed(rate):
    job = make_job([], rate=10)
    assert control.set_rate(job.id, rate, **WHO).rate == rate
    row = Action.objects.get(subject=str(job.id))
    assert (row.verb, json.loads(row.detail)) == ("job_rate_changed", [{"rate": "none" if rate is None else "50"}])


@pytest.mark.parametrize(("rate", "state"), [(0, State.RUNNING), (-1, State.RUNNING), (2_000_000, State.RUNNING), (5, State.SUCCEEDED)])
def test_a_rate_that_cannot_be(rate, state):
    job = make_job([], rate=10, state=state)
    with pytest.raises(TransitionError):
        control.set_rate(job.id, rate, **WHO)
    job.refresh_from_db()
    assert job.rate == 10


def test_a_resumed_job_is_due_at_once_and_begins_its_tries_anew():
    job = make_job([], state=State.PAUSED, tries=9)
    before = job.due_at
    control.resume(job.id, **WHO)
    job.refresh_from_db()
    assert job.due_at > before
    assert job.tries == 0


def test_what_cannot_be_recorded_is_not_done(monkeypatch):
    job = make_job([], state=State.RUNNING)

    def away(action):
        raise log.LogUnavailableError("away")

    monkeypatch.setattr(log, "act", away)
    with pytest.raises(log.LogUnavailableError):
        control.pause(job.id, **WHO)
    job.refresh_from_db()
    assert job.state == State.RUNNING


def test_a_job_that_is_not_there():
    job = make_job([])
    job.delete()
    with pytest.raises(Job.DoesNotExist):
        control.pause(job.id or "00000000-0000-0000-0000-000000000000", **WHO)
