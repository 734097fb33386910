"""Reading the log: calls with what came of them, by pages that cost the same wherever they are. No COUNT, no OFFSET."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from gateway.audit.models import IN_FLIGHT, Action, Call, Outcome, Result

DEFAULT_SPAN: Final = timedelta(days=7)
STATES: Final = [*Result.choices, (IN_FLIGHT, "In flight")]
"""Every way that a call can read, with its label."""
_LONGEST_OPEN: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Record:
    """A call and its last outcome, if there is one yet."""

    call: Call
    outcome: Outcome | None

    @property
    def result(self) -> str:
        """One of `Result`, or in_flight: a call without an outcome is unknown once its deadline has passed."""
        if self.outcome is not None:
            return self.outcome.result
        return IN_FLIGHT if timezone.now() <= self.call.deadline_at else Result.UNKNOWN.value


@dataclass(frozen=True, slots=True)
class Query:
    """Which calls. `equal` maps fields of Call to values; `before` is the last id of the page before; times are UTC."""

    equal: dict[str, str] = field(default_factory=dict)
    result: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: uuid.UUID | None = None
    limit: int = 50

    @property
    def start(self) -> datetime:
        """From when on: as asked for, else a span before the end."""
        try:
            return self.since or (self.until or timezone.now()) - DEFAULT_SPAN
        except OverflowError:
            return datetime.min.replace(tzinfo=UTC)


def find(query: Query) -> tuple[list[Record], bool]:
    """A page of records, newest first, and whether there are more."""
    calls = _calls(query)
    if query.result is None:
        found = list(calls.order_by("-id")[: query.limit + 1])
    else:
        found = _with_result(calls, query)
    return with_outcomes(found[: query.limit]), len(found) > query.limit


def get(call_id: uuid.UUID, client: str | None = None) -> Record | None:
    """One record; with `client`, only if it is that client's."""
    call = Call.objects.filter(id=call_id, **({"client": client} if client is not None else {})).first()
    return with_outcomes([call])[0] if call else None


def with_outcomes(calls: Sequence[Call]) -> list[Record]:
    """The calls with their last outcomes: one query."""
    last: dict[uuid.UUID, Outcome] = {}
    for outcome in Outcome.objects.filter(call_id__in=[call.id for call in calls]).order_by("number"):
        last[outcome.call_id] = outcome
    return [Record(call, last.get(call.id)) for call in calls]


def outcomes(call: Call) -> list[Outcome]:
    """All that was ever recorded of what came of a call, in order."""
    return list(Outcome.objects.filter(call=call).order_by("number"))


def actions(subject: str) -> list[Action]:
    """What was done to something, newest first; the last hundred."""
    return list(Action.objects.filter(subject=subject).order_by("-id")[:100])


def _calls(query: Query) -> QuerySet[Call]:
    calls = Call.objects.filter(**query.equal)
    calls = calls.filter(id__gte=Call.lowest_id(query.start))
    if query.until is not None:
        calls = calls.filter(id__lt=Call.lowest_id(query.until))
    return calls.filter(id__lt=query.before) if query.before else calls


def _with_result(calls: QuerySet[Call], query: Query) -> list[Call]:
    """Ordered by the outcome's call, which its index serves; ordered by the call's own id it takes seconds on a large SQLite log."""
    found: list[Call] = []
    if query.result != IN_FLIGHT:
        later = Outcome.objects.filter(call=OuterRef("call"), number__gt=OuterRef("number"))
        last = Outcome.objects.filter(~Exists(later), result=query.result).filter(**{f"call__{k}": v for k, v in query.equal.items()})
        last = last.filter(call_id__gte=Call.lowest_id(query.start))
        if query.until is not None:
            last = last.filter(call_id__lt=Call.lowest_id(query.until))
        if query.before is not None:
            last = last.filter(call_id__lt=query.before)
        found = [outcome.call for outcome in last.select_related("call").order_by("-call_id")[: query.limit + 1]]
    if query.result in (IN_FLIGHT, Result.UNKNOWN):
        found += _without_outcome(calls, query)
    return sorted(found, key=lambda call: call.id, reverse=True)[: query.limit + 1]


def _without_outcome(calls: QuerySet[Call], query: Query) -> Iterable[Call]:
    """Calls on their way, or overdue and not yet written down: all of the last day, which keeps the look for a missing row short."""
    now = timezone.now()
    young = calls.filter(id__gte=Call.lowest_id(now - _LONGEST_OPEN)).filter(~Exists(Outcome.objects.filter(call=OuterRef("pk"))))
    late = young.filter(deadline_at__lt=now) if query.result == Result.UNKNOWN else young.filter(deadline_at__gte=now)
    return late.order_by("-id")[: query.limit + 1]
