"""The bell. A message says that there may be something to do; what it is stands in the database, so that none need arrive."""

import logging
import threading
from datetime import timedelta
from typing import Final

from celery import Task, shared_task
from celery.signals import worker_ready
from django.conf import settings
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from gateway.audit.log import LogUnavailableError
from gateway.jobs import engine, housekeeping, notifying
from gateway.jobs.lease import claim, next_due

SLICE_SECONDS: Final = 10.0
"""So long one job keeps others of its priority waiting."""
SWEEP_SECONDS: Final = 10.0
"""Beat rings as often, for what no message told."""
_logger = logging.getLogger(__name__)
_at_work: Final = threading.Lock()
_telling: Final = threading.Lock()


@shared_task(name="gateway.jobs.tasks.ring", ignore_result=True)
def ring() -> None:
    """Work for a while on the most urgent job that is due, and ring again where one is due soon. One at a time in each process."""
    if not _at_work.acquire(blocking=False):
        return
    try:
        lease = claim()
        if lease is None:
            return
        engine.work(lease, SLICE_SECONDS)
        if lease.job.webhook:
            _send(notify)
        at = next_due()
    except LogUnavailableError:
        return
    finally:
        _at_work.release()
    now = timezone.now()
    if at is not None and at < now + timedelta(seconds=SWEEP_SECONDS):
        wake((at - now).total_seconds())


def wake(seconds: float = 0.0) -> None:
    """Ring, after so many seconds. Where no message can be sent, beat's next one will do."""
    _send(ring, max(0.0, seconds))


@shared_task(name="gateway.jobs.tasks.notify", ignore_result=True)
def notify() -> None:
    """Tell the ends of jobs that are due to be told. One at a time in each process, beside `ring`."""
    if not _telling.acquire(blocking=False):
        return
    try:
        more = notifying.notify()
    except LogUnavailableError:
        return
    finally:
        _telling.release()
    if more:
        _send(notify)


@shared_task(name="gateway.jobs.tasks.clear", ignore_result=True)
def clear() -> None:
    """Remove what is kept of jobs that ended long enough ago."""
    housekeeping.clear()


def _send(task: Task[[], None], seconds: float = 0.0) -> None:
    try:
        task.apply_async(countdown=seconds, expires=seconds + SWEEP_SECONDS, retry=False)
    except (BrokerError, OSError) as error:
        _logger.warning("the bell cannot be rung: %s", type(error).__name__)


@worker_ready.connect
def _ring_first(**_: object) -> None:
    """And once more when the leases of a worker that died just before are over."""
    wake()
    wake(settings.GATEWAY_LEASE_SECONDS)
