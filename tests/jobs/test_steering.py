"""The engine and what people ask of it: paused, cancelled, slowed between two chunks, and as fast again."""

from time import monotonic

import pytest

from gateway.audit.models import Channel
from gateway.jobs import control
from gateway.jobs.lease import claim
from gateway.jobs.models import Chunk, State
from tests.jobs.making import arrived, events, ids, make_job, run

pytestmark = pytest.mark.usefixtures("client_key")

PERSON = {"actor": "anna", "channel": Channel.CLI}


def test_a_pause_takes_hold_between_chunks_and_resuming_goes_on(sandbox, slices):
    job = make_job(events(30), chunk_events=10)
    slice_ = slices()
    slice_.step()
    control.pause(job.id, **PERSON)
    while slice_.step():
        pass
    job.refresh_from_db()
    assert (job.state, job.accepted, job.lease_until) == (State.PAUSED, 10, None)
    assert claim() is None
    control.resume(job.id, **PERSON)
    assert run(job).state == State.SUCCEEDED
    assert arrived(sandbox) == ids(30)


def test_paused_and_resumed_between_two_looks(sandbox, slices):
    job = make_job(events(30), chunk_events=10)
    slice_ = slices()
    slice_.step()
    control.pause(job.id, **PERSON)
    control.resume(job.id, **PERSON)
    while slice_.step():
        pass
    job.refresh_from_db()
    assert job.state == State.SUCCEEDED
    assert arrived(sandbox) == ids(30)


def test_a_cancelled_job_sends_nothing_more(sandbox, slices):
    job = make_job(events(30), chunk_events=10)
    slice_ = slices()
    slice_.step()
    control.cancel(job.id, **PERSON)
    while slice_.step():
        pass
    job.refresh_from_db()
    assert (job.state, job.accepted, job.reason) == (State.CANCELLED, 10, "cancelled: Cancelled by anna.")
    assert job.ended_at is not None
    assert arrived(sandbox) == ids(10)


def test_a_cancel_that_comes_with_the_last_answer_wins(slices):
    job = make_job(events(10))
    slice_ = slices()
    slice_.step()
    slice_._end = lambda job, end=slice_._end: (control.cancel(job.id, **PERSON), end(job))[1]
    while slice_.step():
        pass
    job.refresh_from_db()
    assert job.state == State.CANCELLING
    assert run(job).state == State.CANCELLED


def test_the_rate_bounds_a_chunk_and_the_time_between(slices):
    job = make_job(events(100), rate=7)
    slice_ = slices()
    started = monotonic()
    while job.accepted < 14:
        slice_.step()
        job.refresh_from_db()
    assert monotonic() - started >= 1
    assert list(Chunk.objects.values_list("events", flat=True)) == [7, 7]


def test_another_rate_holds_within_a_second(sandbox, slices):
    job = make_job(events(1000), rate=1)
    slice_ = slices()
    slice_.step()
    slice_.step()
    control.set_rate(job.id, None, **PERSON)
    while slice_.step():
        pass
    assert arrived(sandbox) == ids(1000)


def test_a_lower_rate_holds_from_the_next_chunk_on(slices):
    job = make_job(events(1000), chunk_events=100)
    slice_ = slices()
    slice_.step()
    control.set_rate(job.id, 5, **PERSON)
    slice_.step()
    slice_.step()
    assert list(Chunk.objects.order_by("number").values_list("events", flat=True)) == [100, 5]
