"""One session of the bench: its folder and cluster on a real disk, what it says, and the raw results that it leaves."""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.processes import ROOT, PostgreSQL


@contextmanager
def folder() -> Iterator[Path]:
    """On a real disk, since a commit waits for it, and where PostgreSQL's own user can reach it."""
    made = Path(tempfile.mkdtemp(prefix="gateway-bench-", dir="/var/tmp"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def postgresql(place: Path, wanted: bool, **settings: str) -> Iterator[PostgreSQL | None]:
    """A cluster as it runs in production, with fsync, in a folder of its own; None where it is not wanted."""
    if not wanted:
        yield None
        return
    place.mkdir()
    cluster = PostgreSQL(place, fsync="on", **settings)
    try:
        yield cluster
    finally:
        cluster.stop()


def keep(results: Any, suffix: str = "") -> None:
    """Raw, under var/bench."""
    path = ROOT / "var" / "bench" / f"{time.strftime('%Y-%m-%d-%H%M%S')}{suffix}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(results), indent=1, ensure_ascii=False))
    print(f"raw: {path.relative_to(ROOT)}")


def say(text: str) -> None:
    """What it is at."""
    print(f"… {text}", file=sys.stderr, flush=True)
