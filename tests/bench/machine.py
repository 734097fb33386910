"""The card of the machine that the figures are of."""

import os
import platform
import re
import sqlite3
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

from tests.bench.servers import BENCH_BIN, program
from tests.processes import PostgreSQL


def card(folder: Path, postgresql: PostgreSQL | None) -> dict[str, str]:
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": model[1] if model else platform.machine(),
        "memory": f"{memory:.0f} GB",
        "disk": f"{_sync_ms(folder):.1f} ms to write 8 KB and fsync",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Django": version("django"),
        "granian": version("granian"),
        "SQLite": sqlite3.sqlite_version,
        "PostgreSQL": _said(postgresql.bin / "postgres", "--version") if postgresql else "-",
        "nginx": _said(program("nginx"), "-v"),
        "wrk": _said("wrk", "-v"),
        "DRF-API-Logger": _said(BENCH_BIN / "python", "-c", "from importlib.metadata import version; print(version('drf-api-logger'))"),
    }


def _sync_ms(folder: Path) -> float:
    """What a commit cannot be faster than."""
    taken = []
    path = folder / "sync"
    with path.open("wb", buffering=0) as file:
        for _ in range(50):
            file.write(b"x" * 8192)
            started = time.perf_counter()
            os.fsync(file.fileno())
            taken.append((time.perf_counter() - started) * 1000)
    path.unlink()
    return median(taken)


def _said(*command: str | Path) -> str:
    """The version in what a program says of itself."""
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return "-"
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found[0] if found else "-"
