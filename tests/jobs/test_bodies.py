"""Bodies of earlier calls: of a job's chunks, found again in its segments and proved by their digest."""

import json
from hashlib import sha256

import pytest

from gateway.audit.models import Call
from gateway.jobs import engine, segments
from gateway.jobs.bodies import kept_body
from gateway.jobs.models import Chunk, State
from tests.conftest import MESSAGE
from tests.jobs.making import event, events, make_job, run

pytestmark = pytest.mark.usefixtures("client_key")


def all_kept(job):
    """Every call of the job has its body."""
    calls = list(Call.objects.filter(job=job.id).order_by("id"))
    for call in calls:
        body = kept_body(call)
        assert body is not None, call.events
        assert (sha256(body).hexdigest(), len(body)) == (call.sha256, call.bytes)
    return calls


def message(number):
    return {**MESSAGE, "payload": {**MESSAGE["payload"], "messageId": f"m-{number}"}}


@pytest.mark.parametrize(
    ("operation", "content", "calls"),
    [
        ("replay", events(25), 3),
        ("internalbatch", [message(number) for number in range(25)], 3),
        ("audiencelist", events(25), 25),
        ("extract", events(25), 25),
    ],
)
def test_each_call_of_a_job_has_its_body(sandbox, operation, content, calls):
    job = run(make_job(content, operation=operation, chunk_events=10, segment_events=17))
    assert job.state == State.SUCCEEDED
    kept = [kept_body(call) for call in all_kept(job)]
    assert len(kept) >= calls
    assert kept == [request["body"].encode() for request in sandbox.received()]


def test_what_was_sent_again_without_the_refused(sandbox):
    content = events(40)
    for number in (3, 4, 19, 33):
        content[number] = event(number, userId="")
    job = run(make_job(content, first_line=101))
    assert (job.accepted, job.failed) == (36, 4)
    assert len(all_kept(job)) > 1


def test_the_halves_of_a_refused_chunk(sandbox, monkeypatch):
    send = engine.sending.send

    def refusing(job, chunk, principal, lines):
        if any(b'"m-5"' in line for line in lines):
            sandbox.trouble("answer", times=1, status=400, body="no")
        return send(job, chunk, principal, lines)

    monkeypatch.setattr(engine.sending, "send", refusing)
    job = run(make_job(events(16)))
    assert (job.accepted, job.failed) == (15, 1)
    assert len({call.events for call in all_kept(job)}) > 2


def test_what_is_not_there_or_not_the_same_is_not_kept(rest):
    rest.send("replay", {"batch": events(1)})
    assert kept_body(Call.objects.get()) is None
    job = run(make_job(events(10), chunk_events=5))
    first, second = all_kept(job)
    second.sha256 = "0" * 64
    assert kept_body(second) is None
    second.chunk = 9
    assert kept_body(second) is None
    segment = job.segments.get()
    segments.default_storage.delete(segment.path)
    assert kept_body(first) is None
    segments.remove_all(job)
    assert kept_body(first) is None
    Chunk.objects.all().delete()
    assert kept_body(first) is None


def test_a_call_that_was_cut_short_of_its_events_is_not_kept():
    job = run(make_job(events(3)))
    [call] = all_kept(job)
    for field, value in (("events", 4), ("bytes", 1), ("events", None)):
        call.refresh_from_db()
        setattr(call, field, value)
        assert kept_body(call) is None
    assert json.loads(kept_body(Call.objects.get()))["batch"][2]["messageId"] == "m-2"
