"""One run of a job or of the loop; the memory that large inputs take; the time until a job stops. A run counts only if nothing went wrong."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from tests.bench import usage
from tests.bench.jobs.running import System
from tests.bench.jobs.runs import Work
from tests.waiting import wait_for

_STILL_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Run:
    """Seconds from before the POST to the end: until the job was taken up, taking in, and sending. Processor time is the worker's."""

    seconds: float
    upload: float = 0.0
    intake: float = 0.0
    sending: float = 0.0
    cpu_seconds: float = 0.0
    flaws: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Figure:
    """The medians of several runs of one work, in events a second; processor time in µs for one event."""

    database: str
    work: str
    delay_ms: int
    events: int
    per_second: float
    upload: float
    intake: float
    sending: float
    cpu_us: float
    runs: list[float]
    flaws: list[str]


@dataclass(frozen=True)
class Memory:
    """The most resident memory, in MB, of the worker (without the process of its clock) and of the web processes, over one job of so many MB."""

    megabytes: int
    worker: float
    web: float
    seconds: float
    flaws: list[str]


@dataclass(frozen=True)
class Stops:
    """Seconds from before the POST to the last request's arrival, of pausing and cancelling, and to the state `cancelled`; each of all runs."""

    database: str
    ordered: bool
    pause: list[float]
    cancel: list[float]
    cancelled: list[float]


def figure(system: System, work: Work, delay_ms: int, events: int, runs: list[Run]) -> Figure:
    middle: Callable[[Callable[[Run], float]], float] = lambda of: median(map(of, runs))  # noqa: E731
    return Figure(
        system.name,
        work.name,
        delay_ms,
        events,
        events / middle(lambda run: run.seconds),
        middle(lambda run: run.upload),
        middle(lambda run: run.intake),
        middle(lambda run: run.sending),
        middle(lambda run: run.cpu_seconds) / events * 1e6,
        [events / run.seconds for run in runs],
        [flaw for run in runs for flaw in run.flaws],
    )


def run(system: System, work: Work, file: Path, events: int) -> Run:
    process, before = system.loop if work.loop else system.worker, system.sandbox.count()["events"]
    cpu = usage.cpu_seconds(process.pid)
    if work.loop:
        found = Run(system.run_loop(file, work.loop), cpu_seconds=usage.cpu_seconds(process.pid) - cpu)
    else:
        started = time.time()
        row = system.ended(system.submit(file, operation=work.operation, ordered=work.ordered))
        cpu = usage.cpu_seconds(process.pid) - cpu
        first, calls, outcomes = system.calls_of(row["id"])
        taken, ended = _seconds(row["started_at"]), _seconds(row["ended_at"])
        flaws = [] if (row["state"], row["accepted"]) == ("succeeded", events) else [f"{row['state']}: {row['accepted']:,} accepted, {row['reason']}"]
        flaws += [] if calls == outcomes > 0 else [f"{calls:,} intents, but {outcomes:,} outcomes"]
        found = Run(ended - started, taken - started, first - taken, ended - first, cpu, flaws)
    stored = system.sandbox.count()["events"] - before
    if stored != events:
        found.flaws.append(f"{events:,} events, but {stored:,} upstream")
    return found


def memory(system: System, file: Path, megabytes: int) -> Memory:
    for process in (system.worker, system.web):
        usage.forget_peaks(process.pid)
    done = run(system, Work("replay-unordered", ordered=False), file, megabytes * 1000)
    return Memory(megabytes, usage.own_peak_mb(system.worker.pid), usage.peak_mb(system.web.pid), done.seconds, done.flaws)


def stops(system: System, file: Path, ordered: bool, times: int) -> Stops:
    """Chunks of 20 events, so that there are many calls to stop between; at a moment of chance each time."""
    found = Stops(system.name, ordered, [], [], [])
    for _ in range(times):
        job = system.submit(file, operation="replay", ordered=ordered, chunk_events=20)
        for verb, kept in (("pause", found.pause), ("cancel", found.cancel)):
            before = system.sandbox.count()["calls"]
            wait_for(lambda before=before: system.sandbox.count()["calls"] > before, 30)
            time.sleep(random.uniform(0.2, 0.8))
            asked = time.time()
            system.control(job, verb)
            if verb == "cancel":
                found.cancelled.append(_seconds(system.ended(job)["ended_at"]) - asked)
            _rest(system)
            kept.append(max(0.0, system.sandbox.last_at() - asked))
            if verb == "pause":
                system.control(job, "resume")
    return found


def _rest(system: System) -> None:
    """Wait until nothing has arrived for a while."""
    last, since = -1, time.monotonic()
    while time.monotonic() < since + 2 * _STILL_SECONDS:
        if (now := system.sandbox.count()["calls"]) != last:
            last, since = now, time.monotonic()
        time.sleep(0.05)


def _seconds(at: Any) -> float:
    return datetime.fromisoformat(at).timestamp()
