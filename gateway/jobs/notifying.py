"""Telling a job's end to the address that it was given, at least once: again and again until it is taken, for three days and a bit."""

import logging
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import timedelta
from typing import Final

from django.utils import timezone

from gateway.audit.database import using_log
from gateway.audit.failure import log_exception
from gateway.audit.log import available
from gateway.jobs.models import Job, WebhookState
from gateway.jobs.shape import shape
from gateway.webhooks import posting
from gateway.webhooks.posting import Delivery
from gateway.webhooks.signing import secrets_of

AT_ONCE: Final = 16
"""Webhooks that are tried at the same time; others wait for their turn."""
WAITS: Final = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds after each try that failed, as Standard Webhooks suggests them; when one more has failed it is given up."""
_CLAIM_SECONDS: Final = 60.0
"""So long nobody else tries it; whoever was at it has ended by then."""
_logger = logging.getLogger(__name__)


def notify() -> bool:
    """Try up to AT_ONCE of what is due, the longest due first. Returns whether more may be due. Takes little longer than one try may.

    Raises LogUnavailableError: what was delivered, and could not be noted, is then delivered once more.
    """
    with available(), using_log():
        due = list(Job.objects.filter(webhook_due_at__lte=timezone.now()).order_by("webhook_due_at")[:AT_ONCE])
        claimed = [job for job in due if _claim(job)]
    if claimed:
        with ThreadPoolExecutor(len(claimed), "webhook") as threads:
            tries = {threads.submit(_try, job): job for job in claimed}
            for done in as_completed(tries):
                _note(tries[done], done.result())
    return len(due) == AT_ONCE


def event_id(job: Job) -> str:
    """The `webhook-id`: the same with every try, so that a receiver knows what it has had."""
    return f"job_{job.id}"


def _claim(job: Job) -> bool:
    """Whether it is ours to try: of several that see it due, one moves the time on."""
    until = timezone.now() + timedelta(seconds=_CLAIM_SECONDS)
    due = Job.objects.filter(id=job.id, webhook_due_at=job.webhook_due_at)
    if not due.update(webhook_due_at=until, webhook_tries=job.webhook_tries + 1):
        return False
    job.webhook_due_at, job.webhook_tries = until, job.webhook_tries + 1
    return True


def _try(job: Job) -> Delivery:
    """In a thread of its own, without the database."""
    secrets = secrets_of(job.client)
    if not secrets:
        return Delivery(None, "Not sent: GATEWAY_WEBHOOK_SECRET is not set.")
    document = {"type": f"job.{job.state}", "timestamp": job.ended_at, "data": shape(job)}
    try:
        return posting.post(job.webhook, event_id(job), document, secrets)
    except Exception as error:
        log_exception(error)
        return Delivery(None, "Not sent: the gateway failed in a way that it should not. Its own log says how.")


def _note(job: Job, delivery: Delivery) -> None:
    state, due_at = WebhookState.WAITING, None
    if delivery.delivered:
        state = WebhookState.DELIVERED
    elif delivery.is_unwanted or job.webhook_tries > len(WAITS):
        state = WebhookState.GIVEN_UP
        _logger.warning("job %s: telling its end is given up after try %d: %s", job.id, job.webhook_tries, delivery.note)
    else:
        due_at = timezone.now() + timedelta(seconds=WAITS[job.webhook_tries - 1])
    with available(), using_log():
        # Unless this took so long that somebody else is at it.
        ours = Job.objects.filter(id=job.id, webhook_due_at=job.webhook_due_at)
        ours.update(webhook_due_at=due_at, webhook_note=f"{state}: {delivery.note}")
