"""How long the two checks of a body take, good bodies and such as are made to be slow."""

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Final

from gateway.contract.body import Body
from gateway.operations import OPERATIONS, Operation
from tests.bench import bodies

_TIMES: Final = 9
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
    return [_check(name, operation, content, times) for name, operation, content in _bodies()]


def _bodies() -> Iterator[tuple[str, Operation, bytes]]:
    yield "good events", OPERATIONS["replay"], bodies.megabyte_of_events()
    yield "good messages", OPERATIONS["internalbatch"], bodies.megabyte_of_messages()
    if importlib.util.find_spec(_HOSTILE):
        families: dict[str, Callable[[], bytes]] = importlib.import_module(_HOSTILE).FAMILIES
        for name, make in families.items():
            content = make()
            yield name, OPERATIONS["internalbatch" if content.lstrip().startswith(b"[") else "replay"], content


def _check(name: str, operation: Operation, content: bytes, times: int) -> Check:
    """A new Body each time, as it keeps what it was once asked."""
    megabytes = len(content) / bodies.MEGABYTE
    quick = _median(lambda: Body.of(content).quick(operation), times)
    exact = _median(lambda: Body.of(content).exact(operation), times)
    return Check(name, operation.name, megabytes, quick / megabytes, exact / megabytes, Body.of(content).quick(operation) is not None)


def _median(work: Callable[[], object], times: int) -> float:
    """Milliseconds of one."""
    taken = []
    for _ in range(times):
        started = perf_counter()
        work()
        taken.append((perf_counter() - started) * 1000)
    return median(taken)
