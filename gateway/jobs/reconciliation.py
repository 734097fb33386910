"""What RudderStack says became of a job's events, by its job status."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings

from gateway.forwarding.admission import basic
from gateway.jobs.models import Job
from gateway.jobs.sending import source_of
from gateway.upstream import client

TRIES: Final = 15
"""Looks at a status that is not complete, together over ten minutes; then the job ends with what was reported."""
_LONGEST_WAIT: Final = 60.0


@dataclass(frozen=True, slots=True)
class Report:
    """Events delivered to destinations, and given up, each counted once for each destination; None where RudderStack does not say."""

    complete: bool
    delivered: int | None = None
    undelivered: int | None = None


def ask(job: Job) -> Report:
    """The job run's status now. Nothing of it is complete where no answer came."""
    headers = {"Authorization": basic(settings.RUDDERSTACK_USER, settings.RUDDERSTACK_PASS)} if settings.RUDDERSTACK_USER else {}
    try:
        reply = client.job_status(job.job_run_id, headers)
        sources = list(_sources(json.loads(reply.content), source_of(job))) if reply.status == 200 else []
        if not sources:
            return Report(complete=False)
        stats = [sink["stats"] for source in sources for sink in source.get("destinations") or ()]
        complete = all(source["completed"] is True for source in sources)
        if not stats:
            return Report(complete)
        return Report(complete, sum(int(one["out"]) for one in stats), sum(int(one["failed"]) for one in stats))
    except (client.SendError, ValueError, LookupError, TypeError, AttributeError):
        return Report(complete=False)


def delay(tries: int) -> float:
    """Seconds until the next look, after so many."""
    return min(_LONGEST_WAIT, 2.0 ** (tries + 1))


def _sources(status: Any, source: str) -> Iterator[dict[str, Any]]:
    """The status of the source, or of all where there is no one source."""
    for task in status["tasks"]:
        for one in task["sources"]:
            if not source or one["id"] == source:
                yield one
