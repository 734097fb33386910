"""The engine and what goes wrong: it waits, goes on, sets aside, or pauses and says why."""

import json

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from gateway.access import keys
from gateway.access.models import Client
from gateway.audit.models import Channel
from gateway.jobs import control, engine
from gateway.jobs.inputs import InputUnreachableError
from gateway.jobs.lease import claim
from gateway.jobs.models import Chunk, Failure, Job, State
from tests.conftest import MESSAGE
from tests.jobs.making import arrived, event, events, ids, make_job, run

pytestmark = pytest.mark.usefixtures("client_key")

PERSON = {"actor": "anna", "channel": Channel.CLI}


def counts(job):
    return job.accepted, job.failed, job.possible_duplicates


@pytest.mark.parametrize("kind", ["429", "500"])
def test_backing_off(sandbox, kind):
    job = make_job(events(10))
    sandbox.trouble(kind, times=1)
    run(job)
    assert (job.state, counts(job), job.tries, job.lease_until) == (State.RUNNING, (0, 0, 0), 1, None)
    assert job.reason.startswith(f"waiting: RudderStack answered {kind}: ")
    Job.objects.update(due_at=timezone.now())
    run(job)
    assert (job.state, counts(job), job.tries, job.reason) == (State.SUCCEEDED, (10, 0, 0), 0, "")


def test_why_it_waited_is_forgotten_once_it_goes_on(sandbox, slices):
    job = make_job(events(30), chunk_events=10)
    sandbox.trouble("500", times=1)
    run(job)
    Job.objects.update(due_at=timezone.now())
    slice_ = slices()
    slice_.step()
    job.refresh_from_db()
    assert (job.state, job.reason) == (State.RUNNING, "")


def test_why_it_waits_does_not_hide_that_it_was_cancelled(slices, monkeypatch):
    job = make_job([], taken_in=False)

    def unreachable(*_):
        control.cancel(job.id, **PERSON)
        raise InputUnreachableError("The input cannot be read: Oops.")

    monkeypatch.setattr(engine, "take_in", unreachable)
    run(job)
    assert (job.state, job.reason) == (State.CANCELLED, "cancelled: Cancelled by anna.")


def test_backing_off_for_as_long_as_asked(sandbox):
    job = make_job(events(10))
    sandbox.trouble("429", times=1, retry_after=600)
    run(job)
    assert 500 < (job.due_at - timezone.now()).total_seconds() <= 600
    assert claim() is None


def test_where_nothing_listens_it_backs_off(settings, sandbox):
    settings.RUDDERSTACK_BASE_URL = "http://127.0.0.1:9"
    job = run(make_job(events(10)))
    assert (job.state, counts(job), job.tries) == (State.RUNNING, (0, 0, 0), 1)
    assert job.reason.startswith("waiting: ")
    assert len(job.reason) > len("waiting: ")
    assert Chunk.objects.get().sending == 0


def test_of_an_unknown_outcome_the_events_are_sent_again_at_once_and_counted(sandbox):
    sandbox.trouble("reset_after", times=1)
    job = run(make_job(events(10)))
    assert (job.state, counts(job)) == (State.SUCCEEDED, (10, 0, 10))
    assert arrived(sandbox) == ids(10) * 2


def test_unknown_again_and_again_backs_off(sandbox):
    sandbox.trouble("reset_after")
    job = run(make_job(events(10)))
    assert (job.state, counts(job), job.tries, sandbox.count()["stored"]) == (State.RUNNING, (0, 0, 20), 1, 2)


def test_faulty_events_are_failures_and_the_rest_is_sent(sandbox):
    content = events(10)
    content[3] = event(3, userId="")
    content[7] = event(7, properties={"price": 1})
    content[7] = json.dumps(content[7]).replace('"price": 1', '"price": 1e999').encode()
    job = run(make_job(content, first_line=101))
    assert (job.state, counts(job)) == (State.SUCCEEDED, (8, 2, 0))
    assert arrived(sandbox) == [one for one in ids(10) if one not in ("m-3", "m-7")]
    rows = Failure.objects.order_by("line")
    assert [(row.line, row.reason, row.pointer) for row in rows] == [(104, "missing_user", "/userId"), (108, "number_overflow", "/properties/price")]
    assert json.loads(rows[0].event)["messageId"] == "m-3"
    assert "userId" in rows[0].detail
    assert Chunk.objects.get().failed == 2


@pytest.mark.parametrize("shape", ["messages", "events"])
def test_faulty_events_of_other_shapes(sandbox, shape):
    if shape == "messages":
        good = [{**MESSAGE, "payload": {**MESSAGE["payload"], "messageId": f"m-{index}"}} for index in range(5)]
        good[2] = {**good[2], "payload": {**good[2]["payload"], "messageId": ""}}
        job = run(make_job(good, operation="internalbatch"))
        expected = ("missing_field", "/payload/messageId")
    else:
        job = run(make_job([event(0), event(1), event(2, userId=None), event(3), event(4)], operation="audiencelist"))
        expected = ("missing_user", "")
    assert (job.state, counts(job)) == (State.SUCCEEDED, (4, 1, 0))
    assert arrived(sandbox) == ["m-0", "m-1", "m-3", "m-4"]
    row = Failure.objects.get()
    assert (row.line, row.reason, row.pointer) == (3, *expected)


def test_an_unexplained_refusal_is_halved_until_the_event_is_alone(sandbox, monkeypatch):
    calls = []
    send = engine.sending.send

    def refusing(job, chunk, principal, lines):
        """RudderStack with a rule of its own, that nobody here knows."""
        if any(b'"m-5"' in line or b'"m-6"' in line for line in lines):
            sandbox.trouble("answer", times=1, status=400, body="no")
        calls.append(len(lines))
        return send(job, chunk, principal, lines)

    monkeypatch.setattr(engine.sending, "send", refusing)
    job = run(make_job(events(16)))
    assert (job.state, counts(job)) == (State.SUCCEEDED, (14, 2, 0))
    assert [(row.line, row.reason, row.detail) for row in Failure.objects.order_by("line")] == [
        (6, "rejected_by_upstream", "no"),
        (7, "rejected_by_upstream", "no"),
    ]
    assert len(calls) <= 14


@pytest.mark.parametrize(
    ("status", "code"), [(401, "rejected_by_upstream"), (403, "rejected_by_upstream"), (404, "rejected_by_upstream"), (302, "redirect")]
)
def test_what_no_event_is_to_blame_for_pauses_the_job(sandbox, status, code):
    sandbox.trouble("answer", status=status, body="go away")
    job = run(make_job(events(10)))
    assert (job.state, counts(job), job.lease_until) == (State.PAUSED, (0, 0, 0), None)
    assert job.reason.startswith(f"{code}: ")
    assert str(status) in job.reason
    assert Chunk.objects.get().sending == 0


@pytest.mark.parametrize(
    ("rights", "disabled", "code"),
    [({"operations": "retl"}, False, "no_key"), ({"sources": "src-9"}, False, "no_key"), ({}, True, "client_disabled")],
)
def test_a_client_that_may_not_pauses_the_job(make_key, sandbox, rights, disabled, code):
    make_key("other", **rights)
    Client.objects.filter(name="other").update(disabled=disabled)
    job = run(make_job(events(10), client=str(Client.objects.get(name="other").id)))
    assert job.state == State.PAUSED
    assert job.reason.startswith(f"{code}: ")
    assert sandbox.count()["calls"] == 0


def test_a_key_revoked_in_the_middle_stops_it_before_the_next_chunk(client_key, sandbox, slices):
    job = make_job(events(30), chunk_events=10)
    slice_ = slices()
    slice_.step()
    keys.revoke(client_key[:12], actor="anna", channel=Channel.CLI)
    while slice_.step():
        pass
    job.refresh_from_db()
    assert (job.state, job.accepted) == (State.PAUSED, 10)


def test_when_most_are_refused_it_pauses():
    content = [event(index, userId="" if index % 3 else "u") for index in range(3000)]
    job = run(make_job(content, chunk_events=100))
    assert job.state == State.PAUSED
    assert job.reason.startswith("mostly_refused: ")
    assert job.failed < 700


def test_what_was_refused_before_it_was_resumed_is_forgiven():
    content = [event(index, userId="" if index < 700 or index % 3 == 0 else "u") for index in range(3000)]
    job = run(make_job(content, chunk_events=100))
    assert (job.state, job.failed) == (State.PAUSED, 700)
    control.resume(job.id, **PERSON)
    run(job)
    assert (job.state, job.failed + job.accepted, job.judged_from) == (State.SUCCEEDED, 3000, 7)


def test_when_most_are_refused_after_it_was_resumed_it_pauses_again():
    job = run(make_job([event(index, userId="") for index in range(3000)], chunk_events=100))
    control.resume(job.id, **PERSON)
    run(job)
    assert (job.state, job.failed, job.reason[:15]) == (State.PAUSED, 1400, "mostly_refused:")


def test_when_fewer_are_refused_it_goes_on():
    content = [event(index, userId="u" if index % 3 else "") for index in range(3000)]
    assert counts(run(make_job(content, chunk_events=100))) == (2000, 1000, 0)


def test_a_segment_that_is_gone_pauses_the_job():
    job = make_job(events(10))
    default_storage.delete(f"{job.id}/0.ndjson")
    run(job)
    assert (job.state, job.lease_until) == (State.PAUSED, None)
    assert job.reason.startswith("storage: ")


def test_a_full_disk_pauses_the_job(monkeypatch):
    def full(lease, until):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(engine, "take_in", full)
    job = run(make_job([], taken_in=False))
    assert job.state == State.PAUSED
    assert job.reason.startswith("disk_full: ")


def test_intake_comes_first(monkeypatch):
    told = iter([False, False, True])
    monkeypatch.setattr(engine, "take_in", lambda lease, until: lease.commit(taken_in=next(told)))
    job = run(make_job(events(10), taken_in=False))
    assert (job.state, job.taken_in, job.accepted) == (State.SUCCEEDED, True, 10)
    assert next(told, None) is None


def test_from_the_input_to_the_end(sandbox):
    content = "\n".join(json.dumps(one) for one in [event(0), event(1, userId=""), event(2)])
    name = default_storage.save("upload", ContentFile(content.encode()))
    job = run(make_job([], input=name, taken_in=False))
    assert (job.state, job.lines, job.faulty, job.events, job.accepted) == (State.SUCCEEDED, 3, 1, 2, 2)
    assert arrived(sandbox) == ["m-0", "m-2"]


def test_an_input_that_is_broken_fails_the_job(sandbox):
    job = run(make_job([], input="not there", taken_in=False))
    assert (job.state, job.lease_until) == (State.FAILED, None)
    assert job.ended_at is not None
    assert job.reason.startswith("input_missing: ")


def test_an_input_that_cannot_be_reached_is_tried_again(monkeypatch):
    def away(lease, until):
        raise InputUnreachableError("The bucket does not answer.")

    monkeypatch.setattr(engine, "take_in", away)
    job = run(make_job([], taken_in=False))
    assert (job.state, job.tries, job.lease_until) == (State.RUNNING, 1, None)
    assert job.reason == "input_unreachable: The bucket does not answer."
    monkeypatch.setattr(engine, "take_in", lambda lease, until: lease.commit(taken_in=True))
    Job.objects.update(due_at=timezone.now())
    run(job)
    assert (job.state, job.reason) == (State.SUCCEEDED, "")


def test_a_fault_of_ours_pauses_the_job(monkeypatch):
    monkeypatch.setattr(engine, "take_in", lambda lease, until: 1 / 0)
    job = run(make_job([], taken_in=False))
    assert (job.state, job.lease_until) == (State.PAUSED, None)
    assert job.reason.startswith("internal: ")
