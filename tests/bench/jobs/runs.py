"""What is run: jobs and the loops beside them, on which database and against which upstream; and which of all this was asked for."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

DATABASES: Final = ("sqlite", "postgresql")
"""SQLite with the embedded broker, PostgreSQL with Redis."""
DELAYS: Final = (0, 16)
PARTS: Final = ("memory", "stops")


@dataclass(frozen=True)
class Work:
    """One way to send a file of events. `loop` is the number of events in each call of the loop; else it is a job of `operation`."""

    name: str
    operation: str = "replay"
    ordered: bool = True
    loop: int = 0

    def events(self, delay_ms: int, quick: bool) -> int:
        """How many are sent: a few seconds' worth."""
        if self.loop != 1 and self.operation == "replay":
            return 20_000 if quick else 100_000
        count = 300 if delay_ms and (self.loop == 1 or self.ordered) else 1500
        return count // 3 if quick else count


WORKS: Final = {
    work.name: work
    for work in (
        Work("replay-unordered", ordered=False),
        Work("replay-ordered"),
        Work("loop-500", loop=500),
        Work("loop-1", loop=1),
        Work("extract-unordered", "extract", ordered=False),
        Work("extract-ordered", "extract"),
    )
}


class UnknownWordError(Exception):
    """A word that names nothing."""


@dataclass(frozen=True)
class Selection:
    databases: list[str]
    works: list[Work]
    delays: list[int]
    parts: list[str]


def select(words: Iterable[str]) -> Selection:
    """All, or of each kind (databases, works, delays, parts) those named. Words may have stars: `replay-*`. Raises UnknownWordError.

    Parts are left out where works or delays are named, and works where only parts and databases are.
    """
    words = list(words)
    kinds: list[list[str]] = [list(DATABASES), list(WORKS), [f"{delay}ms" for delay in DELAYS], list(PARTS)]
    for word in words:
        if not any(fnmatchcase(name, word) for kind in kinds for name in kind):
            raise UnknownWordError(f"jobs {word} names nothing; there are: {'; '.join(', '.join(kind) for kind in kinds)}")
    databases, works, delays, parts = ([name for name in kind if any(fnmatchcase(name, word) for word in words)] for kind in kinds)
    loads = bool(works or delays)
    return Selection(
        databases or kinds[0],
        [WORKS[name] for name in (works or ([] if parts and not loads else kinds[1]))],
        [int(delay.removesuffix("ms")) for delay in (delays or kinds[2])],
        parts or ([] if loads else kinds[3]),
    )
