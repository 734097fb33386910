"""Dry runs: what they tell is what a real run of the same input does."""

import json
from datetime import time
from io import BytesIO
from itertools import count

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from gateway.audit.models import Call, Outcome
from gateway.jobs import chunks, dry_run, intake
from gateway.jobs.intake import take_in
from gateway.jobs.models import Chunk, Job, State
from gateway.jobs.shape import shape
from tests.conftest import MESSAGE
from tests.jobs.conftest import forget, hold
from tests.jobs.making import event, make_job, run


@pytest.fixture(autouse=True)
def _key(client_key):
    """Threads send."""


def content(number, size=lambda index: 0):
    """NDJSON; of ten events one is faulty and one has no messageId."""
    rows = [event(index, pad="x" * size(index)) for index in range(number)]
    for index, row in enumerate(rows):
        if index % 10 == 3:
            row["userId"] = ""
        if index % 10 == 7:
            del row["messageId"]
    return b"\n".join(json.dumps(row).encode() for row in rows)


def made(body, **fields):
    return make_job([], input=default_storage.save("in", BytesIO(body)), taken_in=False, **fields)


@pytest.mark.parametrize(
    ("number", "size", "fields"),
    [
        (250, lambda index: 0, {}),
        (250, lambda index: 0, {"chunk_events": 7}),
        (250, lambda index: 0, {"chunk_events": 50, "rate": 40}),
        (50, lambda index: 30_000 * (index % 9), {}),
        (50, lambda index: 300_000 * (index % 3), {}),
        (130, lambda index: 0, {"operation": "audiencelist", "ordered": False}),
        (1, lambda index: 0, {}),
        (0, lambda index: 0, {}),
    ],
)
@pytest.mark.parametrize("segment_events", [20_000, 60])
def test_it_counts_the_calls_that_a_real_run_makes(sandbox, monkeypatch, number, size, fields, segment_events):
    monkeypatch.setattr(intake, "SEGMENT_EVENTS", segment_events)
    monkeypatch.setattr(intake, "BLOCK_LINES", 20)
    monkeypatch.setattr(chunks, "BODY_BYTES", 400_000)
    monkeypatch.setattr(dry_run, "BODY_BYTES", 400_000)
    body = content(number, size) or b"\n"
    dry = run(made(body, dry_run=True, **fields))
    assert (dry.state, sandbox.count()["calls"], Chunk.objects.count()) == (State.SUCCEEDED, 0, 0)
    real = made(body, **fields)
    while real.state != State.SUCCEEDED:
        Job.objects.filter(id=real.id).update(due_at=timezone.now())
        run(real)
    report = shape(dry)["dry_run_report"]
    assert report["calls"] == sandbox.count()["calls"] == Call.objects.filter(job=real.id).count()
    counted = {name: report[name] for name in ("events", "bytes", "without_message_id", "faulty")}
    assert counted == {name: getattr(real, name) for name in counted}
    assert shape(real)["dry_run_report"] is None


def test_however_it_is_interrupted_it_counts_the_same(monkeypatch):
    monkeypatch.setattr(intake, "SEGMENT_EVENTS", 60)
    monkeypatch.setattr(intake, "BLOCK_LINES", 20)
    body = content(500)
    whole = run(made(body, dry_run=True, chunk_events=7))
    parts = made(body, dry_run=True, chunk_events=7)
    clock = count()
    monkeypatch.setattr(intake, "monotonic", clock.__next__)
    while not take_in(hold(parts), next(clock) + 30):
        forget()
    parts.refresh_from_db()
    assert (parts.chunks, parts.events) == (whole.chunks, 450)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"job_run_id": "run-1"}, "With the job run id"),
        ({"job_run_id": ""}, "Without a job run id"),
        ({"operation": "internalbatch"}, "The messages of an internal batch"),
    ],
)
def test_it_says_what_the_job_run_id_changes(fields, says):
    body = json.dumps(MESSAGE if "operation" in fields else event(0)).encode()
    report = shape(run(made(body, dry_run=True, **fields)))["dry_run_report"]
    assert report["job_run_id"].startswith(says)
    assert (report["calls"], report["bodies_not_kept"]) == (1, None)


def accepted(ms, operation="replay", result="accepted"):
    now = timezone.now()
    call = Call.objects.create(at=now, deadline_at=now, operation=operation, channel="rest", actor="a", request_id="r")
    Outcome.objects.create(call=call, at=now, result=result, upstream_ms=ms)


def estimate(**fields):
    report = json.loads(dry_run.report(Job(operation="replay", **fields)))
    return report["upstream_ms"], report["seconds"]["low"], report["seconds"]["high"]


def test_how_long_it_would_take():
    assert estimate(chunks=1000) == (None, 16, 32)
    assert estimate(chunks=1000, ordered=False) == (None, 1, 2)
    assert estimate(chunks=1000, events=5000, rate=50) == (None, 100, 100)
    for ms in (100, 500, 900):
        accepted(ms)
    accepted(7, operation="retl")
    accepted(7, result="rejected")
    assert estimate(chunks=1000) == (500, 500, 1000)


def test_how_long_it_would_take_within_a_window():
    window = {"window_from": time(22), "window_to": time(2)}
    assert estimate(chunks=0, **window) == (None, 0, 20 * 3600)
    assert estimate(events=5 * 3600, rate=1, **window) == (None, 25 * 3600, 45 * 3600)
    assert estimate(events=4 * 3600, rate=1, **window) == (None, 4 * 3600, 24 * 3600)


def test_the_log_is_asked_about_its_last_calls_alone(monkeypatch):
    monkeypatch.setattr(dry_run, "_RECENT", 2)
    for ms in (100, 5, 7):
        accepted(ms)
    assert estimate(chunks=1000)[0] == 6


def test_a_dry_run_that_fails_has_no_report():
    job = run(made(b"\x1f\x8bx", dry_run=True))
    assert (job.state, shape(job)["dry_run_report"]) == (State.FAILED, None)
