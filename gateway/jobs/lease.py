"""Who works on a job: whoever holds its lease. All that is written about its progress goes through it, or not at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from gateway.audit.database import using_log
from gateway.audit.log import available
from gateway.jobs.models import Job, State, due, free

_DATABASE_SECONDS: Final = 5.0


class LeaseLostError(Exception):
    """Somebody else holds the lease, or may: nothing was written."""


@dataclass(slots=True)
class Lease:
    """A hold on one job. `job` is as it was last read."""

    job: Job
    token: int

    def reload(self) -> Job:
        """The job as it is now: what people asked for meanwhile is there. Raises LeaseLostError, LogUnavailableError."""
        with _database():
            job = Job.objects.get(id=self.job.id)
        if job.lease_token != self.token:
            raise LeaseLostError
        self.job = job
        return job

    def commit(self, write: Callable[[], None] = lambda: None, **changes: Any) -> None:
        """Change fields of the job and `write` what belongs with them, both or neither, and hold it for another lease.

        Values may be expressions. Raises LeaseLostError, LogUnavailableError.
        """
        with _database(), transaction.atomic():
            self._change(lease_until=_until(), **changes)
            write()
        for name, value in changes.items():
            if not isinstance(value, models.expressions.Combinable):
                setattr(self.job, name, value)

    def release(self, **changes: Any) -> None:
        """Let go, for anybody to take. The changes hold unless somebody asked for another state meanwhile: a cancel waits for nothing."""
        with _database(), transaction.atomic():
            self._change(lease_until=None)
            if changes:
                Job.objects.filter(id=self.job.id, state=self.job.state).update(**changes)

    def _change(self, **changes: Any) -> None:
        now = timezone.now()
        held = Job.objects.filter(id=self.job.id, lease_token=self.token, lease_until__gt=now)
        if not held.update(**changes):
            raise LeaseLostError


def claim() -> Lease | None:
    """The most urgent job that is due and free, taken; None where there is none. Raises LogUnavailableError."""
    now = timezone.now()
    with _database():
        if not due(now).exists():
            return None
        with transaction.atomic():
            # A process that is stopped in the middle of a write must not hold up the jobs of others.
            job = due(now).select_for_update(skip_locked=True).first()
            if job is None:
                return None
            job.lease_token += 1
            job.lease_until = _until()
            if job.state == State.QUEUED:
                job.state, job.started_at, job.reason = State.RUNNING, job.started_at or now, ""
            job.save(update_fields=["lease_token", "lease_until", "state", "started_at", "reason"])
    return Lease(job, job.lease_token)


def next_due() -> datetime | None:
    """When the next job that nobody holds is due, perhaps long ago; None where there is none. Raises LogUnavailableError."""
    with _database():
        at: datetime | None = free(timezone.now()).aggregate(at=models.Min("due_at"))["at"]
    return at


def _until() -> Any:
    return timezone.now() + timedelta(seconds=settings.GATEWAY_LEASE_SECONDS)


@contextmanager
def _database() -> Iterator[None]:
    with available(), using_log(_DATABASE_SECONDS):
        yield
