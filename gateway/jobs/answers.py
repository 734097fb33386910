"""What an answer means for the events that were sent: taken, refused, or to be sent again."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.audit.models import Result
from gateway.contract.faults import Fault
from gateway.forwarding.answer import Answer
from gateway.operations import Operation, Shape

LONGEST_WAIT: Final = 300.0
"""Seconds between two tries, unless RudderStack asks for more."""
_LONGEST_ASKED: Final = 3600.0
_SHORTEST_WAIT: Final = 0.5
_SETTINGS: Final = ("no_source", "no_write_key")
"""Refusals for which no event is to blame."""
_PLACES: Final = {Shape.BATCH: re.compile(r"/batch/(\d+)(/.*)?", re.S), Shape.MESSAGES: re.compile(r"/(\d+)(/.*)?", re.S)}


@dataclass(slots=True)
class Finding:
    """What came of events, by their number within the chunk. Whatever is in none of them is still to be sent.

    `doubtful` counts those of them that may have arrived. `halve`: one of them is refused, nobody knows which.
    `pause` is the reason why nothing more can be sent, `later` the seconds to wait before anything is, `why` says what for.
    """

    accepted: list[int] = field(default_factory=list)
    refused: dict[int, Fault] = field(default_factory=dict)
    doubtful: int = 0
    halve: bool = False
    pause: str = ""
    later: float | None = None
    why: str = ""


def judge(operation: Operation, events: Sequence[int], answer: Answer, tries: int) -> Finding:
    """What the answer to these events, sent in one call, means; `tries` failed before."""
    if answer.result == Result.ACCEPTED:
        return Finding(accepted=list(events))
    said = f"RudderStack answered {answer.status}: {answer.detail}" if answer.origin == "upstream" else answer.detail
    if answer.result == Result.UNKNOWN:
        # Once at once: most often it was one lost connection.
        return Finding(doubtful=len(events), later=delay(tries, answer.retry_after) if tries else 0.0, why=said)
    if answer.retryable:
        return Finding(later=delay(tries, answer.retry_after), why=said)
    if answer.status not in (400, 413) or answer.reason in _SETTINGS:
        return Finding(pause=f"{answer.reason}: {said}")
    refused = _by_event(operation, events, answer.errors)
    if not refused and len(events) == 1:
        unexplained = Fault("", answer.reason, answer.detail or f"RudderStack answered {answer.status}.", "")
        refused = {events[0]: next(iter(answer.errors), unexplained)}
    return Finding(refused=refused, halve=not refused)


def delay(tries: int, retry_after: str | None = None) -> float:
    """Seconds to wait after so many tries that failed before this one: what was asked for, else twice as long each time, and never all at once."""
    if retry_after is not None and retry_after.strip().isdecimal():
        return max(_SHORTEST_WAIT, min(float(retry_after), _LONGEST_ASKED))
    return min(LONGEST_WAIT, 2.0 ** min(tries, 16)) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def _by_event(operation: Operation, events: Sequence[int], faults: Sequence[Fault]) -> dict[int, Fault]:
    """The first fault of each event that faults name; pointers become relative to the event."""
    found: dict[int, Fault] = {}
    if operation.shape is Shape.EVENT:
        return {events[0]: faults[0]} if faults else {}
    for fault in faults:
        place = _PLACES[operation.shape].fullmatch(fault.pointer)
        if place and int(place[1]) < len(events):
            found.setdefault(events[int(place[1])], Fault(place[2] or "", fault.reason, fault.detail, fault.cure))
    return found
