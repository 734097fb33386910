"""The hours of each day, in UTC, in which a job sends."""

import re
from datetime import UTC, datetime, time, timedelta
from typing import Final

from gateway.jobs.models import Job

FORM: Final = "must be two times of day in UTC that differ, such as 22:00-06:00 (it may pass midnight)."
_TIME: Final = r"(?:[01]\d|2[0-3]):[0-5]\d"
_WINDOW: Final = re.compile(f"({_TIME})-({_TIME})", re.ASCII)


def read(text: str) -> tuple[time, time]:
    """From when to when. Raises ValueError, whose text says how a window is written."""
    match = _WINDOW.fullmatch(text)
    if match is None or match[1] == match[2]:
        raise ValueError(FORM)
    return time.fromisoformat(match[1]), time.fromisoformat(match[2])


def shown(job: Job) -> str | None:
    """As `read` reads it; None where the job sends at any time."""
    return f"{job.window_from:%H:%M}-{job.window_to:%H:%M}" if job.window_from and job.window_to else None


def opening(job: Job, now: datetime) -> datetime | None:
    """When the job's window opens next; None while it is open."""
    start, end = job.window_from, job.window_to
    if start is None or end is None:
        return None
    now = now.astimezone(UTC)
    at = now.time()
    if start <= at < end if start < end else (at >= start or at < end):
        return None
    return datetime.combine(now.date() + timedelta(days=at >= start), start, UTC)


def length(job: Job) -> timedelta:
    """How long it is open each day."""
    if job.window_from is None or job.window_to is None:
        return timedelta(days=1)
    start, end = (timedelta(hours=at.hour, minutes=at.minute) for at in (job.window_from, job.window_to))
    return (end - start) % timedelta(days=1)
