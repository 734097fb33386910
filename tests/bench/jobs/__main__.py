"""`make bench BENCH=jobs`: measures jobs, and writes what was found to the screen, to docs/performance.md, and raw to var/bench."""

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

import tests.environment  # noqa: F401 - sets the environment
from tests.bench import machine, session
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
        with session.folder() as folder:
            _measure(results, selection, folder, options.quick)
    finally:
        session.keep(results, "-jobs")
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
    with session.postgresql(folder / "postgresql-data", "postgresql" in selection.databases) as postgresql:
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
                        session.say(f"{megabytes} MB: {results.memory[-1]}")
                if "stops" in selection.parts:
                    system.sandbox.delay(16)
                    for ordered in (False, True)[: 1 if quick else None]:
                        results.stops.append(measure.stops(system, _events(folder, 100_000), ordered, 1 if quick else STOPS))
                        session.say(str(results.stops[-1]))


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
        session.say(f"{system.name}, {work.name}, {delay} ms: {results.figures[-1].per_second:,.0f}/s {'; '.join(results.figures[-1].flaws)}")


def _events(folder: Path, count: int) -> Path:
    """A file of so many events, made once."""
    path = folder / f"{count}.ndjson"
    if not path.exists():
        with path.open("wb") as file:
            file.writelines(lines(count))
    return path


@contextmanager
def _system(database: str, folder: Path, postgresql: PostgreSQL | None) -> Iterator[System]:
    session.say(f"starting {database}")
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


if __name__ == "__main__":
    main()
