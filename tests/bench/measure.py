"""One measured run of a server under a load. It counts only if nothing went wrong, and if the log has what the upstream has."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench import usage, wrk
from tests.bench.ledger import ACCEPTED, CALLS, LOGGED, OUTCOMES, UNKNOWN, counts
from tests.bench.loads import Load
from tests.bench.servers import GATEWAYS, Sandbox, Server

_STILL_SECONDS: Final = 0.15


@dataclass(frozen=True)
class Tally:
    """Calls that the upstream took, and what the log has: calls, outcomes, those accepted and those nobody knows of."""

    stored: int
    calls: int = 0
    outcomes: int = 0
    accepted: int = 0
    unknown: int = 0


@dataclass(frozen=True)
class Sample:
    """One run, with what the server used in it and why it does not count."""

    run: wrk.Run
    peak_mb: float = 0.0
    cpu_seconds: float = 0.0
    flaws: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Figure:
    """The medians of several runs, but of memory the most; `cpu_ms` is of one call. `flaws` say why they do not count."""

    server: str
    load: Load
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    peak_mb: float
    runs: list[float]
    flaws: list[str] = field(default_factory=list)


def figure(server: str, load: Load, samples: list[Sample]) -> Figure:
    runs = [sample.run for sample in samples]
    return Figure(
        server,
        load,
        median(run.per_second for run in runs),
        median(run.p50_ms for run in runs),
        median(run.p99_ms for run in runs),
        median(sample.cpu_seconds * 1000 / max(1, sample.run.answered) for sample in samples),
        max(sample.peak_mb for sample in samples),
        [run.per_second for run in runs],
        [flaw for sample in samples for flaw in sample.flaws],
    )


def sample(server: Server, sandbox: Sandbox, load: Load, body: Path, seconds: float) -> Sample:
    before, pid = tally(server, sandbox), server.process.pid if server.process else None
    if pid is None:
        run = server.run(body, load.connections, seconds)
        return Sample(run, flaws=flaws(server, load, run, before, settled(server, sandbox)))
    usage.forget_peaks(pid)
    cpu = usage.cpu_seconds(pid)
    run = server.run(body, load.connections, seconds)
    after = settled(server, sandbox)
    return Sample(run, usage.peak_mb(pid), usage.cpu_seconds(pid) - cpu, flaws(server, load, run, before, after))


def flaws(server: Server, load: Load, run: wrk.Run, before: Tally, after: Tally) -> list[str]:
    """Why a run does not count. Of calls that wrk gave up at its end, one a connection, the upstream may have more than wrk saw answered;
    and MCP's log says of them that it does not know, as whoever hangs up stops his call.
    """
    found = [f"{count} {kind} errors" for kind, count in run.errors.items()]
    if not run.answered:
        found.append("no answer")
    stored = after.stored - before.stored
    if server.forwards and not run.answered <= stored <= run.answered + load.connections:
        found.append(f"{run.answered} answers, but {stored} calls upstream")
    if is_audited(server):
        accepted, unknown = after.accepted - before.accepted, after.unknown - before.unknown
        if not accepted <= stored <= accepted + min(unknown, load.connections if server.era else 0):
            found.append(f"{accepted} calls accepted in the log, but {stored} upstream")
        if after.calls != after.outcomes:
            found.append(f"{after.calls} intents, but {after.outcomes} outcomes")
    return found


def is_audited(server: Server) -> bool:
    return server.database is not None and server.name.startswith(GATEWAYS)


def tally(server: Server, sandbox: Sandbox) -> Tally:
    if server.database is None:
        return Tally(sandbox.stored())
    if is_audited(server):
        return Tally(sandbox.stored(), *counts(server.database, CALLS, OUTCOMES, ACCEPTED, UNKNOWN))
    return Tally(sandbox.stored(), *counts(server.database, LOGGED))


def settled(server: Server, sandbox: Sandbox, patience: float = 20.0) -> Tally:
    """The tally once nothing moves any more, or after all patience."""
    end = time.monotonic() + patience
    before, now = None, tally(server, sandbox)
    while time.monotonic() < end and (now != before or _is_behind(server, now)):
        time.sleep(_STILL_SECONDS)
        before, now = now, tally(server, sandbox)
    return now


def _is_behind(server: Server, now: Tally) -> bool:
    return is_audited(server) and now.calls != now.outcomes
