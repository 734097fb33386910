"""Charts of a job's last calls, as points of drawings that the server makes: events a second, and how long RudderStack took."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Final

from gateway.audit.models import Call
from gateway.jobs.models import Job

CALLS: Final = 500
"""So many of the last calls are looked at."""
_PARTS: Final = 30
WIDTH: Final = 600
HEIGHT: Final = 120


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of time: its bar in the drawing, and its figures. Rates in events a second, times in ms; None where no answer came."""

    x: float
    width: float
    y: float
    height: float
    at: datetime
    rate: float
    p50: int | None
    p95: int | None


@dataclass(frozen=True, slots=True)
class Charts:
    """Both drawings. `limit` is the height of the rate's limit; lines are points for SVG."""

    parts: list[Part]
    most_rate: float
    most_ms: int
    limit: float | None
    p50: str
    p95: str
    calls: int
    range: tuple[float, float] | None


def charts(job: Job) -> Charts | None:
    """Of the job's last calls, in one query; None where there are too few to tell anything."""
    rows = Call.objects.filter(job=job.id, chunk__isnull=False).order_by("-id").values_list("id", "at", "events", "outcomes__upstream_ms")[:CALLS]
    calls: dict[uuid.UUID, tuple[datetime, int, int | None]] = {}
    for call_id, at, events, milliseconds in rows:
        known = calls.get(call_id)
        calls[call_id] = (at, events or 0, milliseconds if milliseconds is not None else known[2] if known else None)
    ordered = sorted(calls.values(), key=lambda call: call[0])
    if len(ordered) < 2 or ordered[0][0] == ordered[-1][0]:
        return None
    return _drawn(job, ordered)


def _drawn(job: Job, calls: list[tuple[datetime, int, int | None]]) -> Charts:
    start = calls[0][0]
    seconds = (calls[-1][0] - start).total_seconds()
    count = min(_PARTS, len(calls) - 1)
    # The last call's events take the time until the next, which is not there yet.
    step = seconds / count
    events = [0] * count
    times: list[list[int]] = [[] for _ in range(count)]
    for at, sent, milliseconds in calls[:-1]:
        part = min(count - 1, int((at - start).total_seconds() / step))
        events[part] += sent
        if milliseconds is not None:
            times[part].append(milliseconds)
    rates = [sent / step for sent in events]
    most = max(*rates, float(job.rate or 0), 1.0)
    shares = [(_share(sorted(found), 0.5), _share(sorted(found), 0.95)) for found in times]
    most_ms = max(1, *(high for _, high in shares if high is not None), 1)
    width = WIDTH / count
    parts = []
    for number, rate in enumerate(rates):
        height = HEIGHT * rate / most
        at = datetime.fromtimestamp(start.timestamp() + number * step, start.tzinfo)
        parts.append(Part(round(number * width, 1), round(width * 0.8, 1), round(HEIGHT - height, 1), round(height, 1), at, rate, *shares[number]))
    going = [rate for rate in rates if rate]
    limit = round(HEIGHT - HEIGHT * job.rate / most, 1) if job.rate else None
    p50, p95 = _line([low for low, _ in shares], most_ms), _line([high for _, high in shares], most_ms)
    return Charts(parts, most, most_ms, limit, p50, p95, len(calls), (min(going), max(going)) if going else None)


def _line(values: list[int | None], most: int) -> str:
    """Points of a line through the middles of the parts."""
    width = WIDTH / len(values)
    return " ".join(f"{(place + 0.4) * width:.1f},{HEIGHT - HEIGHT * value / most:.1f}" for place, value in enumerate(values) if value is not None)


def _share(ordered: list[int], share: float) -> int | None:
    """The value that this share of them does not exceed."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else None
