"""The figures of jobs as Markdown: tables, ratios, goals."""

from dataclasses import dataclass, field
from statistics import median
from typing import Final

from tests.bench import report
from tests.bench.jobs.measure import Figure, Memory, Stops
from tests.bench.jobs.runs import DATABASES, DELAYS, WORKS
from tests.bench.report import NONE, table

MARK: Final = "jobs"
RATIOS: Final = (
    ("replay-unordered", "loop-1"),
    ("replay-ordered", "loop-1"),
    ("replay-unordered", "loop-500"),
    ("replay-ordered", "loop-500"),
    ("extract-unordered", "loop-1"),
    ("extract-ordered", "loop-1"),
)
_PER_SECOND: Final = 40_000
_TIMES: Final = 10
_CANCELLED: Final = 2.0
_MEMORY: Final = 200


@dataclass
class Results:
    """All that one run of the bench found."""

    machine: dict[str, str] = field(default_factory=dict)
    conditions: str = ""
    figures: list[Figure] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    stops: list[Stops] = field(default_factory=list)

    def good(self, database: str, work: str, delay_ms: int) -> Figure | None:
        """The figure, if there is one that counts."""
        found = (one for one in self.figures if (one.database, one.work, one.delay_ms) == (database, work, delay_ms))
        return next((one for one in found if not one.flaws), None)

    def ratio(self, database: str, work: str, other: str, delay_ms: int) -> float | None:
        """Events a second of one to those of another; None where one of them does not count."""
        one, two = self.good(database, work, delay_ms), self.good(database, other, delay_ms)
        return one.per_second / two.per_second if one and two else None


def markdown(results: Results) -> str:
    card = f"{results.conditions}\n\n" + ", ".join(f"{name} {value}" for name, value in results.machine.items()) + "."
    parts = [card, *(_speeds(results, delay) for delay in DELAYS), _ratios(results), _memory(results.memory), _stops(results.stops)]
    return "\n\n".join(part for part in [*parts, _goals(results), _flaws(results)] if part)


def into(document: str, content: str) -> str:
    """The document with the content between the two markers of jobs."""
    return report.into(document, content, MARK)


def _speeds(results: Results, delay_ms: int) -> str:
    rows = []
    for work in WORKS:
        for database in DATABASES:
            figure = next((one for one in results.figures if (one.database, one.work, one.delay_ms) == (database, work, delay_ms)), None)
            if figure:
                rows.append([f"{work}, {database}", *_speed(figure)])
    title = f"**Upstream answers {'at once' if not delay_ms else f'after {delay_ms} ms'}**: events of 1 KB a second, from the POST to the end"
    heads = ["", "events", "events/s", "upload, s", "intake, s", "sending, s", "worker's processor, µs an event"]
    return f"{title}\n\n{table(heads, rows)}" if rows else ""


def _speed(figure: Figure) -> list[str]:
    if figure.flaws:
        return [f"{figure.events:,}", "does not count", *[NONE] * 4]
    parts = [NONE] * 3 if WORKS[figure.work].loop else [f"{part:.2f}" for part in (figure.upload, figure.intake, figure.sending)]
    return [f"{figure.events:,}", f"**{figure.per_second:,.0f}**", *parts, f"{figure.cpu_us:,.0f}"]


def _ratios(results: Results) -> str:
    columns = [(database, delay) for delay in DELAYS for database in DATABASES]
    rows = []
    for one, other in RATIOS:
        found = [results.ratio(database, one, other, delay) for database, delay in columns]
        if any(found):
            rows.append([f"{one} / {other}", *(f"{ratio:.1f}" if ratio else NONE for ratio in found)])
    return table(["Ratios of events a second", *(f"{database}, {delay} ms" for database, delay in columns)], rows) if rows else ""


def _memory(found: list[Memory]) -> str:
    rows = [[f"{one.megabytes:,} MB", f"{one.worker:.0f}", f"{one.web:.0f}", f"{one.seconds:.1f}"] for one in found if not one.flaws]
    return table(["Most memory, MB, over one job of", "worker", "web", "seconds"], rows) if rows else ""


def _stops(found: list[Stops]) -> str:
    rows = [
        [f"{one.database}, {'ordered' if one.ordered else 'unordered'}", *map(_seconds, (one.pause, one.cancel, one.cancelled)), f"{len(one.pause)}"]
        for one in found
    ]
    heads = ["From the POST, seconds: median (most)", "pause: last request", "cancel: last request", "state cancelled", "times"]
    return table(heads, rows) if rows else ""


def _seconds(found: list[float]) -> str:
    return f"{median(found):.2f} ({max(found):.2f})"


def _goals(results: Results) -> str:
    rows = []
    for database in DATABASES:
        figure, ratio = results.good(database, "replay-unordered", 0), results.ratio(database, "replay-unordered", "loop-1", 0)
        if figure:
            rows.append(
                _goal(
                    f"replay-unordered, {database}, 0 ms, events/s",
                    f"{figure.per_second:,.0f}",
                    f"≥ {_PER_SECOND:,}",
                    figure.per_second >= _PER_SECOND,
                )
            )
        if ratio:
            rows.append(_goal(f"replay-unordered / loop-1, {database}, 0 ms", f"{ratio:.1f}", f"≥ {_TIMES}", ratio >= _TIMES))
    if results.stops:
        slowest = max(max(one.cancelled) for one in results.stops)
        rows.append(_goal("cancelled, seconds at most", f"{slowest:.2f}", f"≤ {_CANCELLED:g}", slowest <= _CANCELLED))
    if peaks := [max(one.worker, one.web) for one in results.memory if not one.flaws]:
        rows.append(_goal("memory of worker or web, MB", f"{max(peaks):.0f}", f"< {_MEMORY}", max(peaks) < _MEMORY))
    return table(["Goals", "measured", "wanted", "met"], rows) if rows else ""


def _goal(name: str, measured: str, wanted: str, met: bool) -> list[str]:
    return [name, measured, wanted, "yes" if met else "no"]


def _flaws(results: Results) -> str:
    lines = [f"- {one.work}, {one.database}, {one.delay_ms} ms: {'; '.join(one.flaws)}" for one in results.figures if one.flaws]
    lines += [f"- {one.megabytes} MB: {'; '.join(one.flaws)}" for one in results.memory if one.flaws]
    return "\n".join(["**Figures that do not count**", "", *lines]) if lines else ""
