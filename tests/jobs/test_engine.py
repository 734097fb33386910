"""The engine against the sandbox: every event arrives, in order, and whatever stops it is taken up again."""

from collections import Counter

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gateway.audit.models import Call, Channel
from gateway.jobs import control, engine
from gateway.jobs.models import Chunk, Job, State
from tests.jobs.making import arrived, batches, events, ids, make_job, run
from tests.waiting import wait_for

pytestmark = pytest.mark.usefixtures("client_key")

PERSON = {"actor": "anna", "channel": Channel.CLI}


def counts(job):
    return job.accepted, job.failed, job.possible_duplicates


def test_every_event_arrives_once_and_in_order(sandbox):
    job = run(make_job(events(2500), segment_events=900))
    assert (job.state, counts(job), job.next_event) == (State.SUCCEEDED, (2500, 0, 0), 2500)
    assert arrived(sandbox) == ids(2500)
    assert [len(batch) for batch in batches(sandbox)] == [500, 400, 500, 400, 500, 200]
    assert job.chunks == 6
    assert not Chunk.objects.exclude(parts="", sending=0).exists()
    assert job.started_at <= job.ended_at < job.segments_until
    assert job.lease_until is None


def test_the_calls_of_a_job_are_in_the_log(sandbox):
    job = run(make_job(events(3), job_run_id="run-1", address="192.0.2.9", chunk_events=2))
    rows = Call.objects.order_by("id").values_list("job", "chunk", "channel", "events", "client", "request_id", "job_run_id", "source", "address")
    assert list(rows) == [(job.id, number, "job", size, job.client, "r-1", "run-1", "rep-1", "192.0.2.9") for number, size in ((1, 2), (2, 1))]
    headers = dict(sandbox.received()[0]["headers"])
    assert headers["X-Rudder-Job-Run-Id"] == "run-1"
    assert headers["X-Rudder-Source-Id"] == "rep-1"


def test_without_order_as_much_arrives(sandbox):
    job = run(make_job(events(3000), ordered=False, chunk_events=100))
    assert (job.state, counts(job)) == (State.SUCCEEDED, (3000, 0, 0))
    assert Counter(arrived(sandbox)) == Counter(ids(3000))


def test_without_order_many_chunks_are_on_the_wire_at_once(sandbox, slices):
    make_job(events(3000), ordered=False, chunk_events=100)
    sandbox.trouble("delay", seconds=0.5)
    slices().step()
    assert Chunk.objects.filter(sending=100).count() == engine.MOST_SENDERS


def test_in_order_one_chunk_is_on_the_wire(slices):
    make_job(events(3000), chunk_events=100)
    slices().step()
    assert Chunk.objects.filter(sending=100).count() == Chunk.objects.count() == 1


def test_the_next_chunk_is_written_with_the_result_of_the_last(slices):
    job = make_job(events(30), chunk_events=10)
    slice_ = slices()
    slice_.step()
    with CaptureQueriesContext(connection) as queries:
        slice_.step()
    assert [query["sql"].partition(" ")[0] for query in queries if not query["sql"].startswith("SELECT")] == [
        "BEGIN", "UPDATE", "INSERT", "COMMIT",
    ]  # fmt: skip
    job.refresh_from_db()
    assert (job.accepted, job.next_event, job.chunks) == (10, 20, 2)
    assert list(Chunk.objects.order_by("number").values_list("parts", "sending")) == [("", 0), ("[[0, 10]]", 10)]


def test_a_slice_ends_and_the_next_goes_on(sandbox):
    job = make_job(events(30), chunk_events=10)
    run(job, seconds=0)
    assert (job.state, job.accepted, job.lease_until) == (State.RUNNING, 0, None)
    assert run(job).state == State.SUCCEEDED
    assert arrived(sandbox) == ids(30)


def test_a_dry_run_sends_nothing(sandbox):
    job = run(make_job(events(30), dry_run=True))
    assert (job.state, job.accepted) == (State.SUCCEEDED, 0)
    assert sandbox.count()["calls"] == 0


def test_a_job_without_events_ends():
    assert run(make_job([])).state == State.SUCCEEDED


# one event a call


def test_events_that_go_out_one_by_one(sandbox):
    job = run(make_job(events(250), operation="extract", ordered=False))
    assert (job.state, counts(job), job.chunks) == (State.SUCCEEDED, (250, 0, 0), 3)
    assert Counter(arrived(sandbox)) == Counter(ids(250))
    assert {len(batch) for batch in batches(sandbox)} == {1}


@pytest.mark.parametrize("ordered", [True, False])
def test_a_pause_among_events_that_go_out_one_by_one(sandbox, slices, ordered):
    """What is on the wire finishes; what waits for a connection does not go out."""
    job = make_job(events(90), operation="extract", ordered=ordered)
    sandbox.trouble("delay", seconds=0.2)
    slice_ = slices()
    slice_.step()
    wait_for(lambda: sandbox.count()["events"])
    control.pause(job.id, **PERSON)
    while slice_.step():
        pass
    job.refresh_from_db()
    assert job.state == State.PAUSED
    assert 0 < job.accepted == len(arrived(sandbox)) < 90
    sandbox.trouble("delay", seconds=0)
    control.resume(job.id, **PERSON)
    assert counts(run(job)) == (90, 0, 0)
    assert Counter(arrived(sandbox)) == Counter(ids(90))


def test_one_by_one_in_order(sandbox):
    job = make_job(events(120), operation="extract")
    sandbox.trouble("429", times=1)
    run(job)
    assert (job.state, job.accepted) == (State.RUNNING, 0)
    Job.objects.update(due_at=timezone.now())
    assert counts(run(job)) == (120, 0, 0)
    assert arrived(sandbox) == ids(120)


def test_one_by_one_a_lost_answer_does_not_change_the_order(sandbox):
    sandbox.trouble("reset_after", times=1)
    job = run(make_job(events(20), operation="extract"))
    assert counts(job) == (20, 0, 1)
    assert arrived(sandbox) == ["m-0", *ids(20)]
