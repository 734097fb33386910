"""What is sent how: body, connections, and the upstream's delay; and which of all this was asked for."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from tests.bench.servers import SERVERS

PARTS: Final = ("checks", "losses", "shares")


@dataclass(frozen=True)
class Load:
    body: str
    connections: int
    delay_ms: int

    def __str__(self) -> str:
        return f"{self.body} {self.connections} {self.delay_ms}ms"

    def suits(self, server: str) -> bool:
        """Whether it says anything of this server: these two know no delay of another, and two processes have little to do for one caller.

        MCP is compared with REST by small bodies alone, and on SQLite under load alone: each pair costs ten seconds.
        """
        if self.connections == 1 and server.endswith("-x2"):
            return False
        if server.startswith("mcp"):
            return self.body == "small" and self.delay_ms == 0 and self.connections in ((32,) if server.endswith("sqlite") else (1, 4, 32))
        if self.connections == 4:
            return server.startswith("audited-postgresql")
        return self.delay_ms == 0 or server not in ("idle", "sandbox")


_SENT: Final = (("small", 1), ("small", 4), ("small", 32), ("small", 128), ("events", 32), ("1mb", 32))
LOADS: Final = [Load(body, connections, delay_ms) for delay_ms in (0, 16) for body, connections in _SENT if (delay_ms, connections) != (16, 4)]


class UnknownWordError(Exception):
    """A word that names nothing."""


@dataclass(frozen=True)
class Selection:
    servers: list[str]
    loads: list[Load]
    parts: list[str]


def select(words: Iterable[str]) -> Selection:
    """All, or of each kind (servers, bodies, connections, delays, parts) those named. Parts are left out where only others are named,
    and loads where only parts and servers are. Words may have stars: `audited-*`. Raises UnknownWordError.
    """
    words = list(words)
    kinds = [
        list(SERVERS),
        sorted({load.body for load in LOADS}),
        sorted({str(load.connections) for load in LOADS}),
        sorted({f"{load.delay_ms}ms" for load in LOADS}),
        list(PARTS),
    ]
    for word in words:
        if not any(fnmatchcase(name, word) for kind in kinds for name in kind):
            raise UnknownWordError(f"{word} names nothing; there are: {'; '.join(', '.join(kind) for kind in kinds)}")
    named = [[name for name in kind if any(fnmatchcase(name, word) for word in words)] for kind in kinds]
    servers, bodies, connections, delays, parts = (some or kind for some, kind in zip(named, kinds, strict=True))
    if words and not named[-1]:
        parts = []
    if named[-1] and not any(named[1:-1]):
        return Selection(servers, [], parts)
    loads = [load for load in LOADS if load.body in bodies and str(load.connections) in connections and f"{load.delay_ms}ms" in delays]
    return Selection(servers, loads, parts)
