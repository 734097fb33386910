"""The bell, and what clears up."""

from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone
from kombu.exceptions import OperationalError

from gateway.audit.log import LogUnavailableError
from gateway.jobs import tasks
from gateway.jobs.models import Failure, Format, Job, Segment, State
from rudderproxy.celery import app
from tests.jobs.making import arrived, event, events, ids, make_job

pytestmark = pytest.mark.usefixtures("client_key")


@pytest.fixture
def rung(monkeypatch):
    """How often it was rung, and after how many seconds."""
    found = []
    monkeypatch.setattr(tasks, "wake", found.append)
    return found


def test_the_bell_gets_a_job_done_and_is_silent_then(sandbox, rung):
    job = make_job(events(30))
    tasks.ring()
    job.refresh_from_db()
    assert job.state == State.SUCCEEDED
    assert arrived(sandbox) == ids(30)
    assert rung == []


def test_it_rings_again_for_the_next(rung):
    make_job([])
    make_job([], due_at=timezone.now() - timedelta(seconds=1))
    tasks.ring()
    assert len(rung) == 1
    assert rung[0] <= 0
    assert Job.objects.filter(state=State.SUCCEEDED).count() == 1


def test_it_rings_later_for_what_is_due_soon_and_not_for_what_is_due_late(rung):
    make_job([])
    make_job([], due_at=timezone.now() + timedelta(seconds=100))
    tasks.ring()
    assert rung == []
    make_job([])
    make_job([], due_at=timezone.now() + timedelta(seconds=9))
    tasks.ring()
    assert 0 < rung[0] <= 9


def test_where_nothing_is_due_it_is_silent(rung):
    make_job([], due_at=timezone.now() + timedelta(seconds=5))
    tasks.ring()
    assert rung == []


def test_one_slice_at_a_time(rung):
    job = make_job([])
    with tasks._at_work:
        tasks.ring()
    job.refresh_from_db()
    assert job.state == State.QUEUED
    tasks.ring()
    job.refresh_from_db()
    assert job.state == State.SUCCEEDED


def test_without_the_database_it_waits_for_the_next_ring(monkeypatch):
    def away():
        raise LogUnavailableError("away")

    monkeypatch.setattr(tasks, "claim", away)
    tasks.ring()
    assert not tasks._at_work.locked()


def test_beat_rings_without_anybody_else():
    app.loader.import_default_modules()
    entries = {entry["task"]: entry for entry in app.conf.beat_schedule.values()}
    assert entries[tasks.ring.name]["schedule"] == tasks.SWEEP_SECONDS
    assert entries[tasks.ring.name]["options"]["expires"] <= tasks.SWEEP_SECONDS
    assert entries[tasks.notify.name]["schedule"] == 10
    assert entries[tasks.notify.name]["options"]["expires"] <= 10
    assert entries[tasks.clear.name]["schedule"] <= 3600
    assert {tasks.ring.name, tasks.notify.name, tasks.clear.name} <= app.tasks.keys()


def ended(days, **fields):
    job = make_job([event(0), event(1, userId="")], state=State.SUCCEEDED, segments_until=timezone.now() - timedelta(days=days), **fields)
    Failure.objects.create(job=job, at=timezone.now(), line=2, reason="missing_user", detail="d", event='{"userId": ""}')
    return job


def upload(content=b"{}"):
    return default_storage.save("upload", ContentFile(content))


def test_the_events_of_a_job_go_after_their_time_and_the_reasons_stay():
    old, new = ended(1, input=upload()), ended(-1, input=upload())
    tasks.clear()
    assert not default_storage.exists(f"{old.id}/0.ndjson")
    assert default_storage.exists(f"{new.id}/0.ndjson")
    assert [default_storage.exists(job.input) for job in (old, new)] == [False, True]
    assert [segment.path for segment in Segment.objects.filter(job=old)] == [None]
    assert [(row.event, row.reason) for row in Failure.objects.filter(job=old)] == [("", "missing_user")]
    assert Failure.objects.get(job=new).event != ""
    assert Job.objects.get(id=old.id).segments_until is None


def test_an_archive_is_nobodys_to_remove(tmp_path):
    kept = tmp_path / "archive"
    kept.mkdir()
    ended(1, input=str(kept), format=Format.ARCHIVE)
    ended(1, input="s3://bucket/archive", format=Format.NDJSON)
    tasks.clear()
    assert kept.exists()
    assert not Job.objects.exclude(segments_until=None).exists()


def test_a_file_that_cannot_be_removed_is_tried_again(monkeypatch):
    old = ended(1)

    def refuses(name):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(default_storage, "delete", refuses)
        tasks.clear()
    assert Failure.objects.get(job=old).event != ""
    tasks.clear()
    assert Failure.objects.get(job=old).event == ""


def test_a_bell_that_cannot_be_rung_is_no_error(monkeypatch, caplog):
    def away(**_):
        raise OperationalError("away")

    monkeypatch.setattr(tasks.ring, "apply_async", away)
    tasks.wake()
    assert "the bell cannot be rung" in caplog.text


def test_the_bell_is_rung_later_and_its_message_does_not_outlive_its_use(monkeypatch):
    sent = []
    monkeypatch.setattr(tasks.ring, "apply_async", lambda **options: sent.append(options))
    tasks.wake(-3)
    tasks.wake(4)
    assert [(options["countdown"], options["expires"]) for options in sent] == [(0, 10), (4, 14)]
