"""Writing the log: the one way to add a row. Whoever cannot write learns it at once, by LogUnavailableError."""

import json
import logging
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Final

from django.db import DatabaseError, IntegrityError, InterfaceError, models, transaction
from django.utils import timezone

from gateway.audit.database import insert, is_doubtful, seconds_to_write, using_log, write_through, writing_log
from gateway.audit.models import Action, AppendOnlyModel, Call, Channel, Outcome, Result
from gateway.audit.texts import storable
from gateway.audit.writer import Writer

MAX_OUTCOMES: Final = 8
_SEARCH_SECONDS: Final = 300.0
"""For the look through the whole log, which the worker alone does: 4,000,000 calls take over a second."""
_LONGEST_TEXT: Final = 100_000
_logger = logging.getLogger(__name__)


class LogUnavailableError(Exception):
    """The log takes no row, so nothing may be sent. `call_id`: of the call that was to be recorded, if there was one.

    `doubtful`: the row may be there all the same.
    """

    def __init__(self, what: str, *, doubtful: bool = False) -> None:
        super().__init__(what)
        self.doubtful = doubtful
        self.call_id: uuid.UUID | None = None


class TryTakenError(Exception):
    """Another call holds this try of the idempotency key."""


@contextmanager
def available() -> Iterator[None]:
    """Turns whatever the database raises into LogUnavailableError."""
    try:
        yield
    except (DatabaseError, InterfaceError) as error:
        # The driver's text can quote values of the row; its kind is enough to find the cause.
        _logger.error("the audit log cannot be used: %s, caused by %s", type(error).__name__, type(error.__cause__ or error).__name__)
        raise LogUnavailableError(type(error).__name__, doubtful=is_doubtful(error)) from None


@contextmanager
def together() -> Iterator[None]:
    """Round a change and the `act` that records it: both or none. Raises LogUnavailableError."""
    with available(), _writer().alone() as ends, writing_log(ends), transaction.atomic():
        yield


def intend(call: Call) -> None:
    """Commit the intent. Raises TryTakenError, LogUnavailableError."""
    with available():
        try:
            _write(call)
        except IntegrityError:
            if call.idempotency_try is None:
                raise
            raise TryTakenError from None


def close(outcome: Outcome) -> None:
    """Commit what came of a call, after what was said of it before. Raises LogUnavailableError."""
    with available():
        for number in range(1, MAX_OUTCOMES + 1):
            outcome.number = number
            try:
                return _write(outcome)
            except IntegrityError:
                if number == MAX_OUTCOMES:
                    raise


def record(call: Call, outcome: Outcome) -> None:
    """Commit a call that is over before it began: refused, or a dry run. Both rows or none. Raises LogUnavailableError."""
    outcome.call = call
    with available():
        _write(call, outcome)


def act(action: Action) -> None:
    """Commit something that somebody did; inside `together`, with what it did. Raises LogUnavailableError."""
    with available():
        _write(action)


def last_try(client: str, idempotency_key: str) -> Call | None:
    """The latest intent under this key. Raises LogUnavailableError."""
    tries = Call.objects.filter(client=client, idempotency_key=idempotency_key, idempotency_try__isnull=False)
    with available(), using_log():
        return tries.order_by("-idempotency_try").first()


def last_outcome(call: Call) -> Outcome | None:
    """What was said last of what came of the call. Raises LogUnavailableError."""
    with available(), using_log():
        return Outcome.objects.filter(call=call).order_by("-number").first()


def probe() -> None:
    """Whether the log takes a row: one is written and rolled back. Raises LogUnavailableError."""
    now = timezone.now()
    with available(), _writer().alone() as ends, writing_log(ends):
        with transaction.atomic():
            _write(Call(at=now, deadline_at=now, operation="replay", channel=Channel.CLI, actor="readiness", request_id="readiness"))
            transaction.set_rollback(True)
        write_through()


def close_overdue(*, whole_log: bool = False) -> int:
    """Write `unknown` for calls whose deadline passed without an outcome: of the last day, or ever. Returns how many."""
    now = timezone.now()
    overdue = Call.objects.filter(deadline_at__lt=now).filter(~models.Exists(Outcome.objects.filter(call=models.OuterRef("pk"))))
    if not whole_log:
        overdue = overdue.filter(id__gte=Call.lowest_id(now - timedelta(days=1)))
    with available(), using_log(_SEARCH_SECONDS):
        ids = list(overdue.order_by("id").values_list("id", flat=True)[:10_000])
    for start in range(0, len(ids), 500):
        rows = [Outcome(call_id=id_, at=now, result=Result.UNKNOWN, reason="deadline_passed") for id_ in ids[start : start + 500]]
        with available(), _writer().alone() as ends, writing_log(ends):
            Outcome.objects.bulk_create(rows, ignore_conflicts=True)
    return len(ids)


def as_json(rows: Iterable[dict[str, str]]) -> str:
    """Texts by name as the JSON that the log keeps; "" for none. Of too many the last are left out, so that what is kept is whole."""
    kept: list[str] = []
    left = _LONGEST_TEXT
    for row in rows:
        text = json.dumps({name: storable(value, 500) for name, value in row.items()}, ensure_ascii=False)
        left -= len(text) + 2
        if left < 2:
            break
        kept.append(text)
    return f"[{', '.join(kept)}]" if kept else ""


def clean(row: models.Model) -> None:
    """Make every text of a row storable, in place: what is compared before it is written must be what is written."""
    for name, length in _texts(type(row)):
        value = getattr(row, name)
        if value:
            setattr(row, name, storable(value, length))


@lru_cache
def _texts(model: type[models.Model]) -> list[tuple[str, int]]:
    """The fields that hold text, and how much each takes."""
    fields = [field for field in model._meta.concrete_fields if isinstance(field, models.CharField | models.TextField)]
    return [(field.attname, field.max_length or _LONGEST_TEXT) for field in fields]


def _write(*rows: AppendOnlyModel) -> None:
    for row in rows:
        clean(row)
    _writer().write(*rows)


@lru_cache(maxsize=1)
def _writer() -> Writer:
    return Writer(insert, seconds_to_write())
