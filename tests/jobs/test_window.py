"""The daily window: outside of it nothing is sent, and nothing else is held up."""

from datetime import UTC, datetime, time, timedelta
from io import BytesIO

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from gateway.audit.models import Channel
from gateway.jobs import control, window
from gateway.jobs.lease import claim
from gateway.jobs.models import Job, State
from gateway.jobs.retrying import wishes_of
from tests.jobs.making import arrived, events, ids, make_job, run

PERSON = {"actor": "anna", "channel": Channel.CLI}


def around(start, end):
    """A window that opens and closes so many minutes from now."""
    now = timezone.now()
    return {"window_from": (now + timedelta(minutes=start)).time(), "window_to": (now + timedelta(minutes=end)).time()}


@pytest.mark.parametrize(
    ("text", "start", "end", "hours"), [("22:00-06:30", time(22), time(6, 30), 8.5), ("00:00-23:59", time(0), time(23, 59), 23 + 59 / 60)]
)
def test_how_it_is_written(text, start, end, hours):
    assert window.read(text) == (start, end)
    job = Job(window_from=start, window_to=end)
    assert window.shown(job) == text
    assert window.length(job) == timedelta(hours=hours)


@pytest.mark.parametrize(
    "text", ["", "22:00", "22:00-", "22:00-22:00", "24:00-06:00", "22:60-23:00", "9:00-10:00", "22:00-06:00\n", "22:00 - 06:00", "٢٢:00-06:00"]
)
def test_what_is_none_says_how_one_is_written(text):
    with pytest.raises(ValueError, match="such as 22:00-06:00"):
        window.read(text)


@pytest.mark.parametrize(
    ("text", "now", "opens"),
    [
        ("08:00-20:00", "10 07:59:59", "10 08:00"),
        ("08:00-20:00", "10 08:00:00", None),
        ("08:00-20:00", "10 19:59:59", None),
        ("08:00-20:00", "10 20:00:00", "11 08:00"),
        ("22:00-06:00", "10 21:59:59", "10 22:00"),
        ("22:00-06:00", "10 22:00:00", None),
        ("22:00-06:00", "10 00:00:00", None),
        ("22:00-06:00", "10 05:59:59", None),
        ("22:00-06:00", "10 06:00:00", "10 22:00"),
        ("00:00-06:00", "31 06:00:00", "32 00:00"),
    ],
)
def test_when_it_opens(text, now, opens):
    start, end = window.read(text)
    day, _, clock = now.partition(" ")
    found = window.opening(Job(window_from=start, window_to=end), datetime(2026, 1, int(day), *map(int, clock.split(":")), tzinfo=UTC))
    if opens is None:
        assert found is None
    else:
        day, _, clock = opens.partition(" ")
        assert found == datetime(2026, 1, 1, *map(int, clock.split(":")), tzinfo=UTC) + timedelta(days=int(day) - 1)


def test_without_one_it_is_always_open():
    assert window.opening(Job(), timezone.now()) is None
    assert window.shown(Job()) is None
    assert window.length(Job()) == timedelta(days=1)


def test_within_it_everything_is_sent(client_key, sandbox):
    job = run(make_job(events(10), **around(-5, 5)))
    assert (job.state, job.accepted) == (State.SUCCEEDED, 10)


def test_outside_of_it_the_input_is_taken_in_and_the_job_waits_for_its_opening(client_key, sandbox):
    content = b'{"userId":"u","messageId":"m-0"}\n{"userId":"u","messageId":"m-1"}'
    job = run(make_job([], input=default_storage.save("in", BytesIO(content)), taken_in=False, **around(60, 120)))
    assert (job.state, job.taken_in, job.events, job.tries, job.lease_until) == (State.RUNNING, True, 2, 0, None)
    assert sandbox.count()["calls"] == 0
    assert abs((job.due_at - timezone.now()).total_seconds() - 3600) < 30
    assert job.reason == f"window: Sends again at {job.window_from:%H:%M} UTC."
    assert claim() is None
    Job.objects.update(due_at=timezone.now(), **around(-1, 60))
    run(job)
    assert (job.state, job.accepted, job.reason) == (State.SUCCEEDED, 2, "")
    assert arrived(sandbox) == ids(2)


def test_when_it_opens_the_reason_goes(client_key, slices):
    job = make_job(events(30), chunk_events=10, state=State.RUNNING, reason="window: Sends again at 22:00 UTC.", **around(-1, 60))
    slices().step()
    job.refresh_from_db()
    assert (job.state, job.reason, job.next_event) == (State.RUNNING, "", 10)


@pytest.mark.parametrize("operation", ["replay", "extract"])
def test_when_it_closes_what_is_on_the_wire_finishes_and_no_more_is_sent(client_key, sandbox, slices, operation):
    job = make_job(events(90), chunk_events=10, operation=operation, **around(-60, 60))
    sandbox.trouble("delay", seconds=0.2)
    slice_ = slices()
    slice_.step()
    Job.objects.update(**around(60, 120))
    while slice_.step():
        pass
    job.refresh_from_db()
    sent = len(arrived(sandbox))
    assert (job.state, job.reason[:8], job.accepted, job.lease_until) == (State.RUNNING, "window: ", sent, None)
    assert 0 < sent < 90
    sandbox.trouble("delay", seconds=0)
    Job.objects.update(due_at=timezone.now(), **around(-60, 60))
    run(job)
    assert (job.state, job.accepted, job.possible_duplicates) == (State.SUCCEEDED, 90, 0)
    assert arrived(sandbox) == ids(90)


def test_outside_of_it_a_cancel_ends_it_at_once(client_key):
    job = run(make_job(events(10), **around(60, 120)))
    control.cancel(job.id, **PERSON)
    assert run(job).state == State.CANCELLED


def test_a_cancel_just_as_it_is_let_go_is_not_put_off(client_key, slices):
    job = make_job(events(10), **around(60, 120))
    slice_ = slices()
    slice_._rest = lambda job, opening, rest=slice_._rest: (control.cancel(job.id, **PERSON), rest(job, opening))[1]
    assert not slice_.step()
    job.refresh_from_db()
    assert (job.state, job.reason) == (State.CANCELLING, "cancelled: Cancelled by anna.")
    assert run(job).state == State.CANCELLED


def test_outside_of_it_pausing_and_resuming_act_at_once_and_it_waits_again(client_key, sandbox):
    job = run(make_job(events(10), **around(60, 120)))
    assert control.pause(job.id, **PERSON).state == State.PAUSED
    control.resume(job.id, **PERSON)
    run(job)
    assert (job.state, job.reason[:8]) == (State.RUNNING, "window: ")
    assert sandbox.count()["calls"] == 0


def test_a_job_that_is_not_to_begin_yet_waits_for_that_first(client_key):
    job = make_job(events(10), due_at=timezone.now() + timedelta(hours=3), **around(60, 120))
    assert claim() is None
    assert wishes_of(job).window_to == job.window_to


def test_what_has_nothing_to_send_ends_outside_of_it(client_key):
    assert run(make_job([], **around(60, 120))).state == State.SUCCEEDED
    assert run(make_job(events(3), dry_run=True, **around(60, 120))).state == State.SUCCEEDED
