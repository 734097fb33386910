"""What is kept of a job's events after its end goes after a time: they are personal data."""

import logging
import uuid
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core.files.storage import default_storage
from django.utils import timezone

from gateway.audit.database import using_log
from gateway.audit.log import available
from gateway.audit.models import Call
from gateway.jobs.making import UPLOADS
from gateway.jobs.models import TERMINAL, Failure, Format, Job
from gateway.jobs.segments import remove_all

_AT_A_TIME: Final = 100
_SECONDS: Final = 30.0
"""For a job with very many failures."""
_ABANDONED: Final = timedelta(days=1)
"""Older than this is no upload that is still on its way, and no job that is still being made."""
_logger = logging.getLogger(__name__)


def clear() -> None:
    """Remove uploads, segments, and the texts of failed events, of jobs whose time is over; counts and reasons stay. Raises LogUnavailableError."""
    over = Job.objects.filter(state__in=TERMINAL, segments_until__lte=timezone.now()).order_by("segments_until")
    with available(), using_log():
        jobs = list(over[:_AT_A_TIME])
    for job in jobs:
        try:
            _clear(job)
        except OSError as error:
            _logger.error("segments of job %s cannot be removed: %s", job.id, error.strerror)
    try:
        _clear_abandoned()
    except OSError as error:
        _logger.error("abandoned uploads cannot be removed: %s", error.strerror)


def _clear(job: Job) -> None:
    if job.format not in (Format.ARCHIVE, Format.CALLS) and "://" not in job.input:
        default_storage.delete(job.input)
    with available(), using_log(_SECONDS):
        remove_all(job)
        Failure.objects.filter(job=job).exclude(event="").update(event="")
        Job.objects.filter(id=job.id).update(segments_until=None)


def _clear_abandoned() -> None:
    """What a process that was killed while it took something in, or made a job, has left."""
    before = timezone.now() - _ABANDONED
    for path in Path(settings.MEDIA_ROOT).glob("incoming-*"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < before.timestamp():
                path.unlink()
    names: list[str] = []
    with suppress(FileNotFoundError):
        names = default_storage.listdir(UPLOADS)[1]
    # Named by their jobs, whose ids tell when they were made.
    made = {identity: name for name in names if (identity := _identity(name)) and identity < Call.lowest_id(before)}
    old = sorted(made)
    for start in range(0, len(old), _AT_A_TIME):
        identities = old[start : start + _AT_A_TIME]
        with available(), using_log():
            kept = set(Job.objects.filter(id__in=identities).values_list("id", flat=True))
        for identity in set(identities) - kept:
            default_storage.delete(f"{UPLOADS}/{made[identity]}")


def _identity(name: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(name)
    except ValueError:
        return None
