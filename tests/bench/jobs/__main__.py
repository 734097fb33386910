"""`make bench BENCH=jobs`: measures jobs, and writes what was found to the screen, to docs/performance.md, and raw to var/bench."""

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Final

import tests.environment  # noqa: F401 - sets the environment
from tests.bench import machine
from tests.bench.bodies import lines
from tests.bench.jobs import measure, report, runs
from tests.bench.jobs.running import System
from tests.bench.servers import Sandbox
from tests.processes import ROOT, PostgreSQL

DOCUMENT: Final = ROOT / "docs" / "performance.md"
ROUNDS: Final = 3
_NOT_IN_USE: Final = ("nginx", "wrk", "DRF-API-Logger")
WARM_UP: Final = 100
"""Events."""
MEMORY_MB: Final = (10, 100, 1000)
STOPS: Final = 5


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench BENCH=jobs", description=__doc__)
    parser.add_argument("words", nargs="*", help="databases, works, delays or parts to measure; all without")
    parser.add_argument("--quick", action="store_true", help="one round of less, the upstream at once; for a look, not for figures")
    options = parser.parse_args()
    try:
        selection = runs.select(options.words)
    except runs.UnknownWordError as error:
        sys.exit(f"bench: {error}")
    if "postgresql" in selection.databases and (packages := _lacking()):
        sys.exit(f"bench: needs what is not there: apt-get install {' '.join(packages)}")
    # Whatever ends it, it ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: stopped"))
    results, started = report.Results(), time.monotonic()
    try:
        with _folder() as folder:
            _measure(results, selection, folder, options.quick)
    finally:
        _keep(results)
    rounds = 1 if options.quick else ROUNDS
    results.conditions = (
        f"{time.strftime('%Y-%m-%d')}; medians of {rounds} runs after one to warm up, jobs and loops in turns; "
        f"the whole took {(time.monotonic() - started) / 60:.0f} minutes."
    )
    content = report.markdown(results)
    print(f"\n{content}")
    if not options.words and not options.quick:
        DOCUMENT.write_text(report.into(DOCUMENT.read_text(), content))
        print(f"\nwritten to {DOCUMENT.relative_to(ROOT)}")


def _lacking() -> list[str]:
    there = {
        "postgresql": any(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or bool(shutil.which("initdb")),
        "redis-server": bool(shutil.which("redis-server")),
    }
    return [package for package, found in there.items() if not found]


def _measure(results: report.Results, selection: runs.Selection, folder: Path, quick: bool) -> None:
    """Fills the results part by part, so that what was found is kept whatever happens later."""
    with _postgresql(folder, selection) as postgresql:
        card = machine.card(folder, postgresql)
        results.machine = {name: value for name, value in card.items() if name not in _NOT_IN_USE} | {"Celery": version("celery")}
        for database in selection.databases:
            with _system(database, folder, postgresql) as system:
                for delay in selection.delays[: 1 if quick else None]:
                    system.sandbox.delay(delay)
                    _speeds(results, system, selection.works, delay, quick)
                system.sandbox.delay(0)
                if "memory" in selection.parts and database == selection.databases[-1]:
                    for megabytes in MEMORY_MB[: 1 if quick else None]:
                        results.memory.append(measure.memory(system, _events(folder, megabytes * 1000), megabytes))
                        _say(f"{megabytes} MB: {results.memory[-1]}")
                if "stops" in selection.parts:
                    system.sandbox.delay(16)
                    for ordered in (False, True)[: 1 if quick else None]:
                        results.stops.append(measure.stops(system, _events(folder, 100_000), ordered, 1 if quick else STOPS))
                        _say(str(results.stops[-1]))


def _speeds(results: report.Results, system: System, works: list[runs.Work], delay: int, quick: bool) -> None:
    """The works take turns, so that what else the machine does falls on all alike."""
    counts = {work: work.events(delay, quick) for work in works}
    found: dict[runs.Work, list[measure.Run]] = {work: [] for work in works}
    if not quick:
        for work in works:
            measure.run(
                system, work, _events(system.folder, 1000 if work.operation == "replay" else 100), 1000 if work.operation == "replay" else 100
            )
    for _ in range(1 if quick else ROUNDS):
        for work, count in counts.items():
            found[work].append(measure.run(system, work, _events(system.folder, count), count))
    for work, runs_ in found.items():
        results.figures.append(measure.figure(system, work, delay, counts[work], runs_))
        _say(f"{system.name}, {work.name}, {delay} ms: {results.figures[-1].per_second:,.0f}/s {'; '.join(results.figures[-1].flaws)}")


def _events(folder: Path, count: int) -> Path:
    """A file of so many events, made once."""
    path = folder / f"{count}.ndjson"
    if not path.exists():
        with path.open("wb") as file:
            file.writelines(lines(count))
    return path


@contextmanager
def _folder() -> Iterator[Path]:
    """On a real disk, since a commit waits for it, and where PostgreSQL's own user can reach it."""
    folder = Path(tempfile.mkdtemp(prefix="gateway-bench-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _postgresql(folder: Path, selection: runs.Selection) -> Iterator[PostgreSQL | None]:
    """As it runs in production: with fsync."""
    if "postgresql" not in selection.databases:
        yield None
        return
    (folder / "postgresql-data").mkdir()
    cluster = PostgreSQL(folder / "postgresql-data", fsync="on")
    try:
        yield cluster
    finally:
        cluster.stop()


@contextmanager
def _system(database: str, folder: Path, postgresql: PostgreSQL | None) -> Iterator[System]:
    _say(f"starting {database}")
    own = folder / database
    own.mkdir()
    sandbox = Sandbox(own, 0)
    try:
        system = System(database, own, sandbox, postgresql if database == "postgresql" else None)
        try:
            yield system
        finally:
            system.stop()
    finally:
        sandbox.stop()


def _keep(results: report.Results) -> None:
    path = ROOT / "var" / "bench" / f"{time.strftime('%Y-%m-%d-%H%M%S')}-jobs.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(results), indent=1, ensure_ascii=False))
    print(f"raw: {path.relative_to(ROOT)}")


def _say(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
