"""A process and all that it started, as /proc has them, and the end of them."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from tests.waiting import wait_for


def children(pid: int) -> list[int]:
    """The processes that this one started and that still run."""
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found += map(int, children.read_text().split())
    return [child for child in found if runs(child)]


def tree(pid: int) -> list[int]:
    """The process and all below it."""
    return [pid, *(below for child in children(pid) for below in tree(child))]


def runs(pid: int) -> bool:
    """Whether the process has not ended; one that only waits to be reaped has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill(*pids: int) -> None:
    """SIGKILL; returns when they are gone."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(map(runs, pids)))


def kill_tree(pid: int) -> None:
    """SIGKILL to all of a tree; stopped first, so that it starts nothing meanwhile."""
    if runs(pid):
        os.kill(pid, signal.SIGSTOP)
        kill(*tree(pid))
