"""What a crash left without a job goes, what a job has stays; and no row of the log waits for very many failures."""

import os
import time
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from gateway.audit.log import LogUnavailableError
from gateway.audit.models import Call
from gateway.ingress.form_file import FormFile
from gateway.jobs import housekeeping
from gateway.jobs.models import Failure, Job, State
from gateway.jobs.retrying import _scratch
from tests.jobs.making import make_job

pytestmark = pytest.mark.usefixtures("client_key")


def id_of(**ago):
    return uuid.UUID(int=Call.lowest_id(timezone.now() - timedelta(**ago)).int + 1)


def upload(name):
    return default_storage.save(f"uploads/{name}", ContentFile(b"{}"))


def test_an_upload_without_a_job_goes_after_a_day():
    orphan, fresh, other = upload(id_of(hours=25)), upload(id_of(hours=23)), upload("by-hand")
    jobs = [id_of(days=2), id_of(days=3)]
    for job in jobs:
        make_job([], id=job, input=upload(job))
    housekeeping.clear()
    assert not default_storage.exists(orphan)
    assert all(default_storage.exists(path) for path in (fresh, other, *(f"uploads/{job}" for job in jobs)))


def test_a_file_that_was_on_its_way_goes_after_a_day(settings):
    with _scratch() as scratch, FormFile("f", "text/plain", 0, None, None) as form:
        for days, left in ((2, False), (0.9, True)):
            for name in (scratch.name, form.temporary_file_path()):
                Path(name).touch()
                os.utime(name, (time.time() - days * 86_400,) * 2)
            other = Path(settings.MEDIA_ROOT) / "other"
            other.touch()
            os.utime(other, (0, 0))
            housekeeping.clear()
            assert [os.path.exists(name) for name in (scratch.name, form.temporary_file_path(), other)] == [left, left, True]


def test_without_storage_there_is_nothing_to_clear(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "nowhere"
    housekeeping.clear()


def test_uploads_that_cannot_be_removed_are_told_and_tried_again(monkeypatch, caplog):
    orphan = upload(id_of(hours=25))

    def refuses(name):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(default_storage, "delete", refuses)
        housekeeping.clear()
    assert "what was left of uploads cannot be removed: Permission denied" in caplog.text
    housekeeping.clear()
    assert not default_storage.exists(orphan)


def over(failures):
    job = make_job([], state=State.SUCCEEDED, segments_until=timezone.now() - timedelta(days=1))
    Failure.objects.bulk_create(
        Failure(job=job, at=timezone.now(), line=line, reason="r", detail="d", event='{"userId": "anna"}') for line in range(failures)
    )
    return job


def test_very_many_failures_are_emptied_a_few_at_a_time_and_from_where_it_was_interrupted(monkeypatch):
    over(25)
    monkeypatch.setattr(housekeeping, "_ROWS", 10)
    monkeypatch.setattr(housekeeping, "_LOOK", 20)
    naps = []

    def interrupted(seconds):
        naps.append(seconds)
        if len(naps) == 2:
            raise LogUnavailableError("OperationalError")

    monkeypatch.setattr(housekeeping, "sleep", interrupted)
    with pytest.raises(LogUnavailableError):
        housekeeping.clear()
    assert Failure.objects.exclude(event="").count() == 5
    assert Job.objects.get().segments_until is not None
    housekeeping.clear()
    assert len(naps) == 3
    assert not Failure.objects.exclude(event="").exists()
    assert Job.objects.get().segments_until is None


def test_jobs_whose_files_cannot_be_removed_do_not_keep_others_from_it(monkeypatch):
    stuck, other = over(1), over(1)
    Job.objects.filter(id=stuck.id).update(segments_until=timezone.now() - timedelta(days=2))
    monkeypatch.setattr(housekeeping, "_AT_A_TIME", 1)
    remove_all = housekeeping.remove_all

    def refuses(job):
        if job.id == stuck.id:
            raise PermissionError(13, "Permission denied")
        remove_all(job)

    monkeypatch.setattr(housekeeping, "remove_all", refuses)
    housekeeping.clear()
    assert [Failure.objects.get(job=job).event == "" for job in (stuck, other)] == [False, True]
