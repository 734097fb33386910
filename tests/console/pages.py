"""The admin's pages, as the tests name them."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.urls import URLPattern, URLResolver
from django.utils import timezone

from gateway.audit import log
from gateway.audit.models import Call
from gateway.jobs.models import Chunk, Failure, Job
from tests.audit.rows import new_call, new_outcome

CALLS = "/admin/audit/call/"
ACTIONS = "/admin/audit/action/"
KEYS = "/admin/access/apikey/"
CLIENTS = "/admin/access/client/"
JOBS = "/admin/jobs/job/"
SECRET = '{"userId": "a-person@example.com"}'
"""The text of an event, which no page may show."""


def paths(patterns: Any = None, prefix: str = "/admin/") -> Iterator[str]:
    """Every path of the admin; 1 stands for any part that varies."""
    for pattern in admin.site.get_urls() if patterns is None else patterns:
        route = str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from paths(pattern.url_patterns, prefix + route)
        elif isinstance(pattern, URLPattern) and not route.startswith("^"):
            yield prefix + re.sub(r"<[^>]+>", "1", route)


def cells(answer: Any) -> list[list[str]]:
    """The texts of a list's rows."""
    table = re.search(r'<table id="result_list".*?</table>', answer.content.decode(), re.DOTALL)
    rows = re.findall(r"<tr\b.*?</tr>", table[0] if table else "", re.DOTALL)
    found = [[" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in re.findall(r"<t[dh]\b[^>]*>(.*?)</t[dh]>", row, re.DOTALL)] for row in rows]
    return [row for row in found[1:] if row]


def listed(answer: Any) -> list[Any]:
    """The ids of a list's rows."""
    assert answer.status_code == 200
    return [row.pk for row in answer.context["cl"].result_list]


def a_job(**fields: Any) -> Job:
    """A row of a job, as if somebody had made it."""
    now = timezone.now()
    usual: dict[str, Any] = {"operation": "replay", "client": "", "actor": "ann", "channel": "cli", "request_id": "r-1", "source": "rep-1"}
    usual |= {"format": "ndjson", "input": "uploads/none", "due_at": now, "created_at": now}
    return Job.objects.create(**{**usual, **fields})


def a_failure(job: Job, line: int, **fields: Any) -> Failure:
    """An event of the job that was not taken."""
    usual = {"reason": "missing_user", "pointer": "/userId", "detail": "It has no user.", "event": SECRET}
    return Failure.objects.create(job=job, at=timezone.now(), line=line, **{**usual, **fields})


def a_call(job: Job, ago: float, events: int = 100, ms: int | None = 20, now: datetime | None = None) -> Call:
    """A call of the job, and what came of it, so many seconds ago."""
    at = (now or timezone.now()) - timedelta(seconds=ago)
    call = new_call(at=at, job=job.id, chunk=1, channel="job", events=events)
    call.id = UUID(int=Call.lowest_id(at).int + (7 << 76) + Call.objects.count())
    log.intend(call)
    if ms is not None:
        log.close(new_outcome("accepted", call=call, upstream_ms=ms))
    return call


def a_chunk(job: Job, number: int, first: int, events: int, **fields: Any) -> None:
    """A chunk of the job."""
    Chunk.objects.create(job=job, number=number, segment=0, offset=0, bytes=1, first_event=first, events=events, **fields)
