"""Earlier calls as a job's input: which, by a filter, in the order in which they were made."""

from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db.models import Exists, OuterRef
from msgspec.structs import replace

from gateway.audit.database import using_log
from gateway.audit.log import available
from gateway.audit.models import Call, Outcome, Result
from gateway.audit.view import DEFAULT_SPAN, with_outcomes
from gateway.jobs.formats import read
from gateway.jobs.models import Format
from gateway.operations import OPERATIONS, Shape

RESULTS: Final = (Result.ACCEPTED, Result.REJECTED, Result.FAILED, Result.REFUSED, Result.UNKNOWN)
"""What can have come of the calls: a dry run was none, and what is in flight is not over."""
ANY: Final = "any"
_PAGE: Final = 200
_SECONDS: Final = 5.0


class Filter(msgspec.Struct, frozen=True, omit_defaults=True):
    """Calls of [since, until) with this result (None: any of `RESULTS`), of one source, destination, job, or reason; "" for any.

    `operation` and `client` are those of the job itself; client None: of all.
    """

    since: datetime | None = None
    until: datetime | None = None
    result: str | None = None
    source: str = ""
    destination: str = ""
    job: str = ""
    reason: str = ""
    operation: str = ""
    client: str | None = None

    def closed(self, now: datetime) -> "Filter":
        """With both ends: what is made from now on is none of it. Without a beginning it is a week."""
        until = min(self.until or now, now)
        return replace(self, until=until, since=self.since or until - DEFAULT_SPAN)

    def text(self) -> str:
        """As JSON."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def of(cls, text: str) -> "Filter":
        """From its JSON."""
        return msgspec.json.decode(text, type=cls)


def find(filter_: Filter, since: datetime, until: datetime, first: UUID | None = None) -> Iterator[Call | None]:
    """The calls, oldest first, from one on; None after each page that was looked through, so that nobody waits long. Raises LogUnavailableError."""
    after, end = Call.lowest_id(since), Call.lowest_id(until)
    if first is not None:
        # Whatever became of it meanwhile.
        with available(), using_log(_SECONDS):
            call = Call.objects.filter(id=first).first()
        if call is not None:  # else it was pruned meanwhile
            yield call
        after = first
    while True:
        with available(), using_log(_SECONDS):
            page = _with_result(filter_, after, end) if filter_.result else _any(filter_, after, end)
            records = [record for record in with_outcomes(page) if record.outcome is not None and _fits(filter_, record.outcome)]
        yield from (record.call for record in records)
        if len(page) < _PAGE:
            return
        after = page[-1].id
        yield None


def _equal(filter_: Filter) -> dict[str, Any]:
    names = ("source", "destination", "job", "operation")
    equal = {name: getattr(filter_, name) for name in names if getattr(filter_, name)}
    return equal | ({"client": filter_.client} if filter_.client is not None else {})


def elements(call: Call, body: bytes, limit: int) -> Iterator[tuple[int, bytes]]:
    """The events of its body, as `formats.read` gives them."""
    shape = OPERATIONS[call.operation].shape
    return iter([(1, body)]) if shape is Shape.EVENT else read(BytesIO(body), Format.BATCH if shape is Shape.BATCH else Format.ARRAY, limit)


def _any(filter_: Filter, after: UUID, end: UUID) -> list[Call]:
    calls = Call.objects.filter(**_equal(filter_), id__gt=after, id__lt=end)
    return list(calls.order_by("id")[:_PAGE])


def _with_result(filter_: Filter, after: UUID, end: UUID) -> list[Call]:
    """By the outcome's index: among many calls the few that failed are found at once."""
    later = Outcome.objects.filter(call=OuterRef("call"), number__gt=OuterRef("number"))
    last = Outcome.objects.filter(~Exists(later), result=filter_.result, call_id__gt=after, call_id__lt=end)
    last = last.filter(**{f"call__{name}": value for name, value in _equal(filter_).items()})
    return [outcome.call for outcome in last.select_related("call").order_by("call_id")[:_PAGE]]


def _fits(filter_: Filter, outcome: Outcome) -> bool:
    results = (filter_.result,) if filter_.result else RESULTS
    return outcome.result in results and filter_.reason in ("", outcome.reason)
