"""What is kept of a job's events after its end goes after a time, and what a crash left without a job: they are personal data."""

import logging
import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Final
from uuid import UUID

from django.conf import settings
from django.core.files.storage import default_storage
from django.utils import timezone

from gateway.audit.database import using_log
from gateway.audit.log import available
from gateway.audit.models import Call
from gateway.jobs.incoming import PREFIX
from gateway.jobs.making import UPLOADS
from gateway.jobs.models import TERMINAL, Failure, Format, Job
from gateway.jobs.segments import remove_all

_AT_A_TIME: Final = 100
_LOOK: Final = 20_000
"""Failures that are looked up at once."""
_ROWS: Final = 500
"""Failures in one commit: nobody else, who may have a caller waiting, waits long for it."""
_SECONDS: Final = 30.0
_UNCLAIMED: Final = timedelta(days=1)
"""What has no job after that never will."""
_logger = logging.getLogger(__name__)


def clear() -> None:
    """Remove uploads, segments, and the texts of failed events, of jobs whose time is over; counts and reasons stay.

    And uploads that no job has, a day after they were begun. Raises LogUnavailableError.
    """
    over = Job.objects.filter(state__in=TERMINAL, segments_until__lte=timezone.now()).order_by("segments_until")
    kept: list[UUID] = []
    while True:
        with available(), using_log():
            jobs = list(over.exclude(id__in=kept)[:_AT_A_TIME])
        if not jobs:
            break
        for job in jobs:
            try:
                _clear(job)
            except OSError as error:
                kept.append(job.id)
                _logger.error("segments of job %s cannot be removed: %s", job.id, error.strerror)
    try:
        _clear_uploads()
        _clear_incoming()
    except OSError as error:
        _logger.error("what was left of uploads cannot be removed: %s", error.strerror)


def _clear(job: Job) -> None:
    if job.format not in (Format.ARCHIVE, Format.CALLS) and "://" not in job.input:
        default_storage.delete(job.input)
    remove_all(job)
    _clear_failures(job)
    with available(), using_log():
        Job.objects.filter(id=job.id).update(segments_until=None)


def _clear_failures(job: Job) -> None:
    left = Failure.objects.filter(job=job).exclude(event="").values_list("id", flat=True)
    while True:
        with available(), using_log(_SECONDS):
            ids = list(left[:_LOOK])
        if not ids:
            return
        for start in range(0, len(ids), _ROWS):
            begun = monotonic()
            with available(), using_log(_SECONDS):
                Failure.objects.filter(id__in=ids[start : start + _ROWS]).update(event="")
            # Others take their turn: whoever waits for SQLite only looks now and then.
            sleep(monotonic() - begun)


def _clear_uploads() -> None:
    """Those whose job was never committed: the process was killed, or nobody knew whether the database has it."""
    with suppress(FileNotFoundError):
        first = Call.lowest_id(timezone.now() - _UNCLAIMED)
        old = [name for name in default_storage.listdir(UPLOADS)[1] if (id_ := _id(name)) is not None and id_ < first]
        for start in range(0, len(old), _AT_A_TIME):
            page = old[start : start + _AT_A_TIME]
            with available(), using_log():
                jobs = set(Job.objects.filter(id__in=page).values_list("id", flat=True))
            for name in page:
                if UUID(name) not in jobs:
                    default_storage.delete(f"{UPLOADS}/{name}")


def _clear_incoming() -> None:
    """What was on its way into storage when its process was killed."""
    before = (timezone.now() - _UNCLAIMED).timestamp()
    with suppress(FileNotFoundError), os.scandir(settings.MEDIA_ROOT) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # it was moved just now
                if entry.name.startswith(PREFIX) and entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < before:
                    Path(entry.path).unlink()


def _id(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None
