"""What processes that were killed have left is taken away: files that came in, and inputs without a job. Personal data has its end."""

import os
from datetime import timedelta
from time import time
from uuid import UUID

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from gateway.audit.models import Call
from gateway.jobs import housekeeping
from tests.console.pages import a_job

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    return settings.MEDIA_ROOT


def made(hours: float) -> UUID:
    """An id of a job that was made so many hours ago."""
    return Call.lowest_id(timezone.now() - timedelta(hours=hours))


def test_what_came_in_and_was_left_lying_goes_after_a_day(media):
    media.mkdir()
    for name, hours in (("incoming-old", 25), ("incoming-new", 23), ("other", 99)):
        (media / name).write_text("personal data")
        os.utime(media / name, (time() - hours * 3600,) * 2)
    housekeeping.clear()
    assert sorted(os.listdir(media)) == ["incoming-new", "other"]


def test_an_input_without_a_job_goes_after_a_day(media, monkeypatch):
    monkeypatch.setattr(housekeeping, "_AT_A_TIME", 2)
    lost = [made(hours) for hours in (30, 29, 28, 23)]
    kept = a_job(id=made(27))
    for name in (*lost, kept.id, "no-id"):
        default_storage.save(f"uploads/{name}", ContentFile(b"personal data"))
    housekeeping.clear()
    assert sorted(os.listdir(media / "uploads")) == sorted([str(lost[-1]), str(kept.id), "no-id"])


def test_where_nothing_ever_came_there_is_nothing_to_take_away(media):
    housekeeping.clear()
    assert not media.exists()


def test_a_storage_that_does_not_answer_is_told_without_more(media, monkeypatch, caplog):
    def broken(name):
        raise OSError(5, "S3 says SlowDown")

    monkeypatch.setattr(default_storage, "listdir", broken)
    housekeeping.clear()
    assert "abandoned uploads cannot be removed: S3 says SlowDown" in caplog.text
