"""Calls that the upstream took and the log does not know: after full throttle, after an ordinary end, and after kill -9 amid load."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.ledger import CALLS, LOGGED, counts
from tests.bench.measure import is_audited
from tests.bench.servers import SERVERS, Place, Server

_CONNECTIONS: Final = 32
_PATIENCE: Final = 12.0
"""DRF-API-Logger's own clock strikes every 10 seconds: what is not there by then will never be."""

REST, TERM, KILL = "load, then rest", "load, then SIGTERM", "kill -9 amid load"


@dataclass(frozen=True)
class Loss:
    """`behind` are those that were missing when the load ended, `lost` those that never came."""

    server: str
    manner: str
    stored: int
    behind: int
    lost: int


def all_losses(names: list[str], place: Place, body: Path, seconds: float) -> list[Loss]:
    """Of each of these servers that keeps a log, a new one in each manner."""
    return [
        _loss(SERVERS[name](name, place), manner, place, body, seconds)
        for name in names
        if name.startswith(("audited", "drf")) and not name.endswith("-x2")
        for manner in (REST, TERM, KILL)
    ]


def _loss(server: Server, manner: str, place: Place, body: Path, seconds: float) -> Loss:
    before = place.sandbox.stored()
    try:
        server.run(body, _CONNECTIONS, seconds, server.kill if manner == KILL else lambda: None)
        if manner == TERM:
            server.stop()
        time.sleep(0.3)
        stored = place.sandbox.stored() - before
        behind = stored - _logged(server)
        return Loss(server.name, manner, stored, max(0, behind), max(0, stored - _settled(server, stored)))
    finally:
        server.stop()


def _settled(server: Server, wanted: int) -> int:
    """The log's rows once all are there, or once none has come for long."""
    rows, still = _logged(server), time.monotonic()
    while rows < wanted and time.monotonic() - still < _PATIENCE:
        time.sleep(0.2)
        if (now := _logged(server)) != rows:
            rows, still = now, time.monotonic()
    return rows


def _logged(server: Server) -> int:
    assert server.database
    return counts(server.database, CALLS if is_audited(server) else LOGGED)[0]
