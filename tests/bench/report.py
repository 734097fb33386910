"""The figures as Markdown: tables, ratios, goals."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.bench.bodies import ERAS
from tests.bench.checks import Check
from tests.bench.loads import LOADS, Load
from tests.bench.losses import Loss
from tests.bench.measure import Figure
from tests.bench.servers import GATEWAYS, SERVERS
from tests.bench.shares import Shares

NONE: Final = "–"
RATIOS: Final = (
    ("audited-postgresql", "unaudited"),
    ("audited-sqlite", "unaudited"),
    ("audited-postgresql", "drf-api-logger-postgresql"),
    ("audited-sqlite", "drf-api-logger-sqlite"),
    ("audited-postgresql", "nginx"),
    ("audited-sqlite", "nginx"),
    *((f"mcp-{era}-{rest}", f"audited-{rest}") for rest in ("sqlite", "postgresql", "postgresql-x2") for era in ERAS),
)
_BODIES: Final = {"small": "small", "events": "100 events", "1mb": "1 MB"}
_MEMORY_GOAL: Final = 500


@dataclass
class Results:
    """All that one run of the bench found."""

    machine: dict[str, str] = field(default_factory=dict)
    conditions: str = ""
    figures: list[Figure] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    shares: list[Shares] = field(default_factory=list)

    def good(self, server: str, load: Load) -> Figure | None:
        """The figure, if there is one that counts."""
        return next((figure for figure in self.figures if (figure.server, figure.load) == (server, load) and not figure.flaws), None)

    def ratio(self, server: str, other: str, load: Load) -> float | None:
        """Calls a second of one to those of another; None where one of them does not count."""
        one, two = self.good(server, load), self.good(other, load)
        return one.per_second / two.per_second if one and two else None


def markdown(results: Results) -> str:
    parts = [_machine(results), *(_speeds(results, delay) for delay in (0, 16)), _ratios(results), _goals(results), _cpu(results)]
    parts += [_losses(results.losses), _shares(results.shares), _checks(results.checks), _flaws(results.figures)]
    return "\n\n".join(part for part in parts if part)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column to the left, the others to the right."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def into(document: str, content: str, mark: str = "bench") -> str:
    """The document with the content between the two markers of this name."""
    first, last = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, start, rest = document.partition(first)
    _, end, after = rest.partition(last)
    if not start or not end:
        raise ValueError(f"{first} and {last} are not in the document")
    return f"{before}{first}\n{content}\n{last}{after}"


def _machine(results: Results) -> str:
    return f"{results.conditions}\n\n" + ", ".join(f"{name} {value}" for name, value in results.machine.items()) + "."


def _loads(results: Results, delay_ms: int) -> list[Load]:
    return [load for load in LOADS if load.delay_ms == delay_ms and any(figure.load == load for figure in results.figures)]


def _head(load: Load) -> str:
    return f"{_BODIES[load.body]}, {load.connections}"


def _speeds(results: Results, delay_ms: int) -> str:
    loads = _loads(results, delay_ms)
    rows = []
    for server in SERVERS:
        found = {figure.load: figure for figure in results.figures if figure.server == server}
        if any(load in found for load in loads):
            peak = max(figure.peak_mb for load, figure in found.items() if load in loads)
            rows.append([server, *(_speed(found.get(load)) for load in loads), f"{peak:.0f}" if peak else NONE])
    title = f"**Upstream answers {'at once' if not delay_ms else f'after {delay_ms} ms'}**: calls a second (p50 / p99 in ms), by body and connections"
    return f"{title}\n\n{table(['', *map(_head, loads), 'MB'], rows)}" if rows else ""


def _speed(figure: Figure | None) -> str:
    if figure is None:
        return NONE
    return "does not count" if figure.flaws else f"**{figure.per_second:,.0f}** ({figure.p50_ms:,.1f} / {figure.p99_ms:,.0f})"


def _ratios(results: Results) -> str:
    loads = [load for delay in (0, 16) for load in _loads(results, delay)]
    rows = []
    for one, other in RATIOS:
        found = [results.ratio(one, other, load) for load in loads]
        if any(found):
            rows.append([f"{one} / {other}", *(f"{ratio:.2f}" if ratio else NONE for ratio in found)])
    heads = ["Ratios of calls a second", *(f"{_head(load)}, {load.delay_ms} ms" for load in loads)]
    return table(heads, rows) if rows else ""


def _cpu(results: Results) -> str:
    loads = _loads(results, 0)
    rows = []
    for server in SERVERS:
        found = [results.good(server, load) for load in loads]
        if any(figure and figure.cpu_ms for figure in found):
            rows.append([server, *(f"{figure.cpu_ms:.2f}" if figure else NONE for figure in found)])
    return table(["Processor time of a call, ms", *map(_head, loads)], rows) if rows else ""


def _goals(results: Results) -> str:
    rows = []
    for delay in (0, 16):
        small, large = Load("small", 32, delay), Load("1mb", 32, delay)
        postgresql, sqlite = "audited-postgresql", "audited-sqlite"
        speeds = [results.good(server, small) for server in (postgresql, f"{postgresql}-x2")]
        rows += [
            _goal("audited-postgresql / unaudited", small, results.ratio(postgresql, "unaudited", small), 0.5),
            _goal("audited-sqlite / unaudited", small, results.ratio(sqlite, "unaudited", small), 0.4),
            _goal("audited-postgresql / drf-api-logger-postgresql", small, results.ratio(postgresql, "drf-api-logger-postgresql", small), 1.0),
            _goal("audited-sqlite / drf-api-logger-sqlite", small, results.ratio(sqlite, "drf-api-logger-sqlite", small), 1.0),
            _goal("audited-postgresql / nginx", large, results.ratio(postgresql, "nginx", large), 0.15),
            *(_goal(f"{speed.server}, calls a second", small, speed.per_second, 1000) for speed in speeds if speed),
            *(_goal(f"{one} / {other}", small, results.ratio(one, other, small), 0.7) for one, other in RATIOS if one.startswith("mcp")),
        ]
    peaks = [figure.peak_mb for figure in results.figures if figure.server.startswith(GATEWAYS) and not figure.flaws]
    if peaks:
        rows.append(["memory of the gateway, MB", "all", f"{max(peaks):.0f}", f"< {_MEMORY_GOAL}", "yes" if max(peaks) < _MEMORY_GOAL else "no"])
    rows = [row for row in rows if row]
    return table(["Goals", "load", "measured", "wanted", "met"], rows) if rows else ""


def _goal(name: str, load: Load, measured: float | None, wanted: float) -> list[str]:
    if measured is None:
        return []
    shown, least = (f"{measured:,.0f}", f"{wanted:,.0f}") if wanted > 10 else (f"{measured:.2f}", f"{wanted:.2f}")
    return [name, f"{_head(load)}, {load.delay_ms} ms", shown, f"≥ {least}", "yes" if measured >= wanted else "no"]


def _losses(losses: list[Loss]) -> str:
    rows = [
        [f"{loss.server}: {loss.manner}", f"{loss.stored:,}", f"{loss.behind:,}", f"**{loss.lost:,}** ({loss.lost / max(1, loss.stored):.1%})"]
        for loss in losses
    ]
    return table(["Calls that the log does not have", "taken upstream", "missing at the end", "lost"], rows) if rows else ""


def _shares(all_shares: list[Shares]) -> str:
    if not all_shares:
        return ""
    stages = [stage for stage in all_shares[0].stages if any(one.stages[stage] for one in all_shares)]
    rows = [[stage, *(f"{one.stages[stage]:.0%}" if one.stages[stage] else NONE for one in all_shares)] for stage in stages]
    shown = table(["Where a small audited call's time goes", *(f"{one.server}, {one.kind}" for one in all_shares)], rows)
    busiest = ", ".join(f"`{name}` {share:.0%}" for name, share in all_shares[-1].functions[:8])
    return f"{shown}\n\nBusiest functions by themselves ({all_shares[-1].server}, {all_shares[-1].kind}): {busiest}."


def _checks(checks: list[Check]) -> str:
    rows = [
        [
            f"{check.body} ({check.operation})",
            f"{check.megabytes:.2f}",
            f"{check.quick_ms:.1f}",
            f"{check.exact_ms:.1f}",
            "no" if check.vouched else "yes",
        ]
        for check in checks
    ]
    return table(["Checks, ms for 1 MB", "MB", "quick", "exact", "needs the exact one"], rows) if rows else ""


def _flaws(figures: list[Figure]) -> str:
    lines = [f"- {figure.server}, {figure.load}: {'; '.join(figure.flaws)}" for figure in figures if figure.flaws]
    return "\n".join(["**Figures that do not count**", "", *lines]) if lines else ""
