"""Faults of a body, and what RudderStack answers to each kind. A fault never quotes a value: values are personal data."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

MAX_FAULTS: Final = 100
"""More are not kept: who has a hundred faults has one cause."""

_POINTER_CHARACTERS: Final = 400
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

ANSWERS: Final[dict[str, tuple[int, str]]] = {
    "invalid_json": (400, "invalid json"),
    "number_overflow": (400, "invalid json"),
    "wrong_type": (400, "invalid json"),
    "bad_time": (400, "invalid json"),
    "not_an_event": (400, "event is not a valid rudder event"),
    "missing_field": (400, "event is not a valid rudder event"),
    "no_messages": (400, "event is not a valid rudder event"),
    "missing_user": (400, "request neither has anonymousId nor userId"),
    "empty_batch": (400, "empty batch payload"),
    "too_large": (413, "request size exceeds max limit"),
    "broken_gzip": (500, "failed to read body from request"),
    "nul_character": (500, 'pq: invalid byte sequence for encoding "UTF8": 0x00 (22021)'),
}
"""Reason → RudderStack's status and text (rudder-server gateway/response/response.go). Reasons of this gateway alone are not here."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a body: where (JSON Pointer, RFC 6901), why, and what to change."""

    pointer: str
    reason: str
    detail: str
    cure: str

    def shown(self) -> dict[str, str]:
        """As callers see it; the reason is for the log."""
        return {"pointer": self.pointer, "detail": self.detail, "cure": self.cure}


@dataclass(slots=True)
class Faults:
    """Faults in RudderStack's order of judging; the first decides its answer. Keeps the first `MAX_FAULTS`."""

    kept: list[Fault] = field(default_factory=list)
    first: dict[str, str] = field(default_factory=dict)
    full: bool = False
    """Whether looking for more is of no use."""

    def add(self, pointer: str, reason: str, detail: str, cure: str) -> None:
        """Keep a fault, unless there are enough."""
        self.first.setdefault(reason, pointer)
        if len(self.kept) < MAX_FAULTS:
            self.kept.append(Fault(_shown(pointer), reason, detail, cure))
            self.full = len(self.kept) == MAX_FAULTS

    def __iter__(self) -> Iterator[Fault]:
        return iter(self.kept)

    def __bool__(self) -> bool:
        return bool(self.first)


def _shown(pointer: str) -> str:
    """A pointer that any reader can take: keys can be of any length, and of bytes that are no text."""
    cut = pointer if len(pointer) <= _POINTER_CHARACTERS else f"{pointer[:_POINTER_CHARACTERS]}…"
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", cut)


Trail = tuple["Trail", str | int] | tuple[()]
"""The way to a value: its container's trail, and its key or index there."""


def pointer(start: str, trail: Trail) -> str:
    """The JSON Pointer of a trail that begins at `start`; of long keys as much as is shown."""
    steps = []
    while trail:
        trail, step = trail
        steps.append(f"/{escape(str(step)[: _POINTER_CHARACTERS + 1])}")
    return start + "".join(reversed(steps))


def escape(token: str) -> str:
    """A key as one step of a JSON Pointer (RFC 6901)."""
    return token.replace("~", "~0").replace("/", "~1")
