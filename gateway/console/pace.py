"""How fast jobs go now, and how long they will take: from their last calls in the log, by the index of a job's calls. Nothing is counted."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db.models import Sum
from django.utils import timezone

from gateway.audit.models import Call
from gateway.console.states import MOVING
from gateway.jobs.models import Job

_SECONDS: Final = 10.0
"""So far back it looks."""
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Pace:
    """Events a second, and the seconds left; None where it cannot be told."""

    rate: float | None
    left: float | None

    @property
    def rate_text(self) -> str:
        """For people."""
        return "–" if self.rate is None else f"{self.rate:,.0f}/s" if self.rate >= 10 or not self.rate else f"{self.rate:.1f}/s"

    @property
    def left_text(self) -> str:
        """For people."""
        return "–" if self.left is None else duration(self.left)


def paces(jobs: Iterable[Job]) -> dict[uuid.UUID, Pace]:
    """The pace of each job, in one query; those that do not move have none."""
    now = timezone.now()
    moving = [job for job in jobs if job.state in MOVING and not job.dry_run and job.started_at]
    sent: dict[uuid.UUID, int] = {}
    if moving:
        since = Call.lowest_id(now - timedelta(seconds=_SECONDS))
        calls = Call.objects.filter(job__in=[job.id for job in moving], chunk__isnull=False, id__gte=since)
        sent = {job: events or 0 for job, events in calls.values_list("job").annotate(Sum("events")).order_by() if job}
    found = {}
    for job in moving:
        assert job.started_at is not None  # noqa: S101 - for mypy: see above
        seconds = min(_SECONDS, max(1.0, (now - job.started_at).total_seconds()))
        rate = sent.get(job.id, 0) / seconds
        # A chunk is a lump: over a short time the rate that was asked for may seem exceeded.
        rate = min(rate, job.rate) if job.rate else rate
        left = (job.events - job.next_event) / rate if rate and job.taken_in else None
        found[job.id] = Pace(rate, left)
    return found


def duration(seconds: float) -> str:
    """A length of time, as exact as anybody wants to know it."""
    whole = max(0, round(seconds))
    for size, name, below in ((_DAY, "d", 3600), (3600, "h", 60), (60, "min", 1)):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {name} {rest} {'h' if size == _DAY else 'min' if size == 3600 else 's'}" if rest else f"{whole // size} {name}"
    return f"{whole} s"
