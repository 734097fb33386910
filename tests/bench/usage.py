"""What a process and all its children use, as the kernel counts it: exact, and free of charge while it is measured."""

import contextlib
import os
from pathlib import Path

from tests.tree import tree


def forget_peaks(pid: int) -> None:
    """Count from what is resident now."""
    for one in tree(pid):
        with contextlib.suppress(OSError):
            Path(f"/proc/{one}/clear_refs").write_text("5")


def peak_mb(pid: int) -> float:
    """The sum of every process's own peak of resident memory, in MB; pages that are shared count for each, so the truth is no higher."""
    return sum(map(own_peak_mb, tree(pid)))


def own_peak_mb(pid: int) -> float:
    """Of one process, without its children; 0 for one that is gone."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6
    return 0.0


def cpu_seconds(pid: int) -> float:
    """Processor time since the start, of the processes that live."""
    ticks = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
