"""The log in the admin: every forwarded call, read-only; and what people and clients did beside calls."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import TextFilter
from unfold.decorators import display

from gateway.audit import view
from gateway.audit.models import Action, Call, Channel
from gateway.audit.texts import storable
from gateway.audit.view import Query, Record
from gateway.console.keyset import PER_PAGE, KeysetChangeList, as_uuid
from gateway.operations import OPERATIONS

STATES: Final = dict(view.STATES)
COLOURS: Final = {
    "Accepted": "success",
    "Rejected": "warning",
    "Refused": "warning",
    "Failed": "danger",
    "Unknown": "danger",
    "Dry run": "info",
    "Made a job": "info",
    "In flight": "info",
}
ICONS: Final = {
    "accepted": "check_circle",
    "rejected": "block",
    "refused": "front_hand",
    "failed": "error",
    "unknown": "help",
    "dry_run": "science",
    "job": "schedule_send",
    "in_flight": "pending",
}
_SPANS: Final = {
    "15m": ("Last 15 minutes", timedelta(minutes=15)),
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(hours=24)),
    "30d": ("Last 30 days", timedelta(days=30)),
    "all": ("All time", None),
}
_BEGINNING: Final = datetime(2020, 1, 1, tzinfo=UTC)


class DeclaredFilter(admin.SimpleListFilter):
    """A filter whose choices are declared: Django's own would run DISTINCT over the log. `CallList` applies it."""

    choices_of: tuple[tuple[str, str], ...] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The choices."""
        return list(self.choices_of)

    def queryset(self, request: HttpRequest, queryset: Any) -> None:
        """Left to the list."""
        return


class ResultFilter(DeclaredFilter):
    """By result."""

    title, parameter_name, choices_of = "result", "result", tuple(view.STATES)


class OperationFilter(DeclaredFilter):
    """By operation."""

    title, parameter_name = "operation", "operation"
    choices_of = tuple((operation.name, operation.description) for operation in OPERATIONS.values())


class ChannelFilter(DeclaredFilter):
    """By door."""

    title, parameter_name, choices_of = "channel", "channel", tuple(Channel.choices)


class TimeFilter(DeclaredFilter):
    """By time; without one, the last 7 days."""

    title, parameter_name = "time", "time"
    choices_of = tuple((key, label) for key, (label, _) in _SPANS.items())


class SourceFilter(TextFilter):
    """By source, exactly."""

    title, parameter_name = "source", "source"

    def queryset(self, request: HttpRequest, queryset: Any) -> None:
        """Left to the list."""
        return


class ActorFilter(SourceFilter):
    """By actor, exactly."""

    title, parameter_name = "actor", "actor"


class JobFilter(SourceFilter):
    """By the job that a call is part of."""

    title, parameter_name = "job", "job"


class CallList(KeysetChangeList):
    """Calls, as `audit.view` finds them."""

    title = "Calls"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.title = "Calls"

    def rows(self, before: uuid.UUID | None) -> tuple[list[Any], bool]:
        """One page; each row with its record."""
        records, more = self._found(before)
        for record in records:
            record.call.record = record  # type: ignore[attr-defined]
        return [record.call for record in records], more

    def _found(self, before: uuid.UUID | None) -> tuple[list[Record], bool]:
        sought = self.query.strip()
        if sought:
            one = view.get(identity) if (identity := as_uuid(sought)) else None
            if one is not None:
                return [one], False
            return view.find(Query(equal={"request_id": storable(sought, 200)}, since=_BEGINNING, before=before, limit=PER_PAGE))
        given = {name: storable(self.params.get(name, ""), 1000) for name in ("operation", "channel", "source", "actor")}
        equal = {name: value for name, value in given.items() if value}
        if job := as_uuid(self.params.get("job", "")):
            equal["job"] = str(job)
        since = None
        if (span := self.params.get("time")) in _SPANS:
            length = _SPANS[span][1]
            since = timezone.now() - length if length else _BEGINNING
        result = self.params.get("result")
        return view.find(Query(equal=equal, result=result if result in STATES else None, since=since, before=before, limit=PER_PAGE))


class LogAdmin(ModelAdmin):
    """A page that only reads."""

    show_full_result_count = False
    actions = None
    list_per_page = PER_PAGE
    list_fullwidth = True
    sortable_by: tuple[str, ...] = ()

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


@admin.register(Call)
class CallAdmin(LogAdmin):
    """Every forwarded call, newest first."""

    list_display = ("result", "operation", "actor", "source", "events", "duration", "time", "short_id")
    list_display_links = ("result", "short_id")
    list_filter = (ResultFilter, OperationFilter, ChannelFilter, TimeFilter, SourceFilter, ActorFilter, JobFilter)
    list_filter_submit = True
    search_fields = ("id", "request_id")
    search_help_text = "An audit id or a request id, whole"

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[CallList]:
        """By keyset."""
        return CallList

    @display(description="Result", label=COLOURS)
    def result(self, call: Any) -> str:
        """What came of it."""
        return STATES[call.record.result]

    @display(description="Duration")
    def duration(self, call: Any) -> str:
        """In ms."""
        outcome = call.record.outcome
        return "–" if outcome is None or outcome.duration_ms is None else f"{outcome.duration_ms:,} ms"

    @display(description="Time (UTC)")
    def time(self, call: Call) -> str:
        """To the millisecond."""
        return f"{call.at:%Y-%m-%d %H:%M:%S}.{call.at.microsecond // 1000:03d}"

    @display(description="Audit id")
    def short_id(self, call: Call) -> str:
        """The end of it, which is the random part."""
        return f"…{str(call.id)[-12:]}"

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """All that is recorded of one call."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        identity = as_uuid(object_id)
        record = view.get(identity) if identity else None
        if record is None:
            raise Http404
        outcomes = view.outcomes(record.call)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Call {record.call.id}",
            "call": record.call,
            "result": STATES[record.result],
            "state": record.result,
            "icon": ICONS[record.result],
            "sentence": sentence(record),
            "intent": _rows(record.call, skip=("headers",)),
            "headers": json.loads(record.call.headers or "{}").items(),
            "outcomes": [(outcome, _rows(outcome, skip=("id", "call", "faults", "answer"))) for outcome in outcomes],
            "faults": [fault for outcome in outcomes for fault in json.loads(outcome.faults or "[]")],
        }
        return render(request, "console/call.html", context)


@admin.register(Action)
class ActionAdmin(LogAdmin):
    """What was done beside calls, newest first."""

    list_display = ("at", "verb", "subject", "actor", "channel", "reason")
    list_display_links = None
    fields = readonly_fields = ("at", "verb", "subject", "actor", "channel", "reason", "detail")

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[KeysetChangeList]:
        """By keyset."""
        return KeysetChangeList


def sentence(record: Record) -> str:
    """What came of a call, in plain words."""
    call, outcome = record.call, record.outcome
    if outcome is not None and outcome.result == "job":
        return f"A job was made of it, {call.job}: what comes of its events stands there."
    what = "A body that was not read" if call.bytes is None else f"{call.bytes:,} bytes"
    if call.events is not None:
        what = f"{call.events:,} event{'' if call.events == 1 else 's'}"
    if outcome is None:
        return f"{what}, on the way since {call.at:%H:%M:%S} UTC." if record.result == "in_flight" else f"{what}; no outcome was recorded in time."
    took = f" after {outcome.duration_ms:,} ms" if outcome.duration_ms is not None else ""
    tries = f" on try {outcome.attempts}" if outcome.attempts > 1 else ""
    said = {
        "accepted": f"RudderStack answered {outcome.upstream_status}{took}{tries}.",
        "rejected": f"RudderStack answered {outcome.upstream_status}{took}{tries}: it did not take the events.",
        "failed": f"RudderStack answered {outcome.upstream_status}{took}." if outcome.upstream_status else f"Nothing was sent{took}.",
        "refused": f"The gateway refused it{took}: nothing was sent.",
        "unknown": "RudderStack may have it or not: no whole answer came.",
        "dry_run": "A dry run: checked, not sent.",
    }
    return f"{what}. {said[outcome.result]}"


def _rows(row: Any, skip: tuple[str, ...]) -> list[tuple[str, Any]]:
    """Label and value of every field that has one."""
    found = []
    for field in row._meta.concrete_fields:
        value = getattr(row, field.attname)
        if field.name not in skip and value not in (None, ""):
            found.append((field.verbose_name.capitalize(), getattr(row, f"get_{field.name}_display", lambda v=value: v)()))
    return found
