"""What is kept of a job's events after its end goes after a time: they are personal data."""

import logging
from typing import Final

from django.core.files.storage import default_storage
from django.utils import timezone

from gateway.audit.database import using_log
from gateway.audit.log import available
from gateway.jobs.models import TERMINAL, Failure, Format, Job
from gateway.jobs.segments import remove_all

_AT_A_TIME: Final = 100
_SECONDS: Final = 30.0
"""For a job with very many failures."""
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


def _clear(job: Job) -> None:
    if job.format not in (Format.ARCHIVE, Format.CALLS) and "://" not in job.input:
        default_storage.delete(job.input)
    with available(), using_log(_SECONDS):
        remove_all(job)
        Failure.objects.filter(job=job).exclude(event="").update(event="")
        Job.objects.filter(id=job.id).update(segments_until=None)
