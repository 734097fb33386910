"""How long the two checks of a body take, good bodies and such as are made to be slow."""

import heapq
import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import thread_time
from typing import Final

from gateway.contract.body import Body
from gateway.operations import OPERATIONS, Operation
from tests.bench import bodies

_TIMES: Final = 9
_WORST: Final = 6
_HOSTILE: Final = "tests.contract.hostile"


@dataclass(frozen=True)
class Check:
    """Milliseconds for a megabyte. `vouched`: the quick check said yes, so a call needs no other."""

    body: str
    operation: str
    megabytes: float
    quick_ms: float
    exact_ms: float
    vouched: bool


def all_checks(times: int = _TIMES) -> list[Check]:
    """Of good bodies, and of the worst of the hostile ones, which one look finds among the many."""
    good = [
        ("good events", OPERATIONS["replay"], bodies.megabyte_of_events),
        ("good messages", OPERATIONS["internalbatch"], bodies.megabyte_of_messages),
    ]
    found = [_check(name, operation, make(), times) for name, operation, make in good]
    looks = {name: _check(name, *_hostile(make), 1) for name, make in _families().items()}
    worst = [heapq.nlargest(_WORST, looks, key=key) for key in (lambda name: looks[name].exact_ms, lambda name: looks[name].quick_ms)]
    return found + [_check(name, *_hostile(_families()[name]), times) for name in dict.fromkeys(worst[0] + worst[1][:2])]


def _families() -> dict[str, Callable[[], bytes]]:
    return importlib.import_module(_HOSTILE).FAMILIES if importlib.util.find_spec(_HOSTILE) else {}


def _hostile(make: Callable[[], bytes]) -> tuple[Operation, bytes]:
    """The operation whose shape the body has."""
    content = make()
    return OPERATIONS["internalbatch" if content.lstrip().startswith(b"[") else "replay"], content


def _check(name: str, operation: Operation, content: bytes, times: int) -> Check:
    """A new Body each time, as it keeps what it was once asked."""
    megabytes = len(content) / bodies.MEGABYTE
    quick = _median(lambda: Body.of(content).quick(operation), times)
    exact = _median(lambda: Body.of(content).exact(operation), times)
    return Check(name, operation.name, megabytes, quick / megabytes, exact / megabytes, Body.of(content).quick(operation) is not None)


def _median(work: Callable[[], object], times: int) -> float:
    """Milliseconds of processor time of one."""
    taken = []
    for _ in range(times):
        started = thread_time()
        work()
        taken.append((thread_time() - started) * 1000)
    return median(taken)
