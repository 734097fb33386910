"""A job's failures as they are given out: counted by reason, and as lines with their events."""

import json
from collections.abc import Iterable
from typing import Any, Final

from django.db.models import Count, QuerySet
from django.db.models.functions import Length

from gateway.audit.database import using_log
from gateway.audit.log import available
from gateway.jobs.models import Failure, Job

MOST_ROWS: Final = 10_000
"""Of one page, as lines."""
MOST_CHARACTERS: Final = 32 * 1024 * 1024
"""Of a page's events, about: one can be as large as a body."""
_FIELDS: Final = ("id", "file", "line", "reason", "pointer", "detail", "event", "retried_by")
_SECONDS: Final = 5.0


def find(job: Job, reason: str = "", after: int = 0) -> QuerySet[Failure]:
    """Those of this reason, or all, after the one with this id, in the order of their ids."""
    found = Failure.objects.filter(job=job, id__gt=after).order_by("id")
    return found.filter(reason=reason) if reason else found


def by_reason(job: Job) -> list[dict[str, Any]]:
    """How many there are of each reason: [{"reason": …, "failures": …}], most first. Raises LogUnavailableError."""
    with available(), using_log(_SECONDS):
        counts = Failure.objects.filter(job=job).values_list("reason").annotate(failures=Count("id")).order_by("-failures", "reason")
        return [{"reason": reason, "failures": failures} for reason, failures in counts]


def lines(job: Job, reason: str = "", after: int = 0) -> str:
    """A page of them as NDJSON, each with its event as it was, personal data and all; "" after the last. Raises LogUnavailableError."""
    found = find(job, reason, after)
    with available(), using_log(_SECONDS):
        last = _last_of_page(found.values_list("id", Length("event"))[:MOST_ROWS])
        return as_lines(found.filter(id__lte=last).values(*_FIELDS))


def as_lines(rows: Iterable[dict[str, Any]]) -> str:
    """NDJSON."""
    return "".join(f"{json.dumps(row, ensure_ascii=False, default=str)}\n" for row in rows)


def _last_of_page(failures: Iterable[tuple[int, int]]) -> int:
    """Up to where their events fit into one page: one at least."""
    last = total = 0
    for id_, characters in failures:
        total += characters
        if last and total > MOST_CHARACTERS:
            break
        last = id_
    return last
