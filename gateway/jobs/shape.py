"""A job as programs see it, by any door."""

import json
from typing import Any

from gateway.jobs import window
from gateway.jobs.models import Job, WebhookState
from gateway.webhooks.address import without_query


def shape(job: Job) -> dict[str, Any]:
    """Times are UTC, `rate` is events a second. None where it is not known, or RudderStack has not reported it.

    `submitted` counts events that were gone through, `refused` those that were not taken, faulty lines of the input included;
    `delivered` and `failed` are RudderStack's own numbers. At `kept_until` its events go, and the texts of its failures; None: not yet, or gone.
    """
    return {
        "id": str(job.id),
        "state": job.state,
        "reason": job.reason or None,
        "retry_of": str(job.retry_of) if job.retry_of else None,
        "format": job.format,
        "operation": job.operation,
        "source": job.source or None,
        "client": job.client,
        "actor": job.actor,
        "dry_run": job.dry_run,
        "dry_run_report": json.loads(job.dry_run_report) if job.dry_run_report else None,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "kept_until": job.segments_until,
        "rate": job.rate,
        "window": window.shown(job),
        "ordered": job.ordered,
        "priority": job.priority,
        "events": job.events,
        "bytes": job.bytes,
        "lines": job.lines,
        "taken_in": job.taken_in,
        "without_message_id": job.without_message_id,
        "submitted": job.next_event,
        "accepted": job.accepted,
        "refused": job.failed + job.faulty,
        "delivered": job.delivered,
        "failed": job.undelivered,
        "possible_duplicates": job.possible_duplicates,
        "job_run_id": job.job_run_id or None,
        "webhook": _webhook(job) if job.webhook else None,
    }


def _webhook(job: Job) -> dict[str, Any]:
    """The address without its query, which can hold a secret."""
    state, _, note = job.webhook_note.partition(": ")
    return {"url": without_query(job.webhook), "state": state or WebhookState.WAITING.value, "tries": job.webhook_tries, "note": note or None}
