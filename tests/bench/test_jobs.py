"""The bench of jobs reads, counts and refuses rightly; a job and a loop of a few events run."""

import json

import pytest

from tests.bench.bodies import lines
from tests.bench.jobs import measure, report, runs
from tests.bench.jobs.measure import Figure, Memory, Run, Stops
from tests.bench.jobs.running import System
from tests.bench.jobs.runs import WORKS
from tests.bench.servers import Sandbox
from tests.processes import ROOT

EVENTS = 1200


def figure(work, per_second, flaws=()):
    return Figure("sqlite", work, 0, 1000, per_second, 0.1, 0.2, 0.3, 15.0, [per_second], list(flaws))


def names(selection):
    return selection.databases, [work.name for work in selection.works], selection.delays, selection.parts


def test_words_choose_what_is_run():
    assert names(runs.select([])) == (["sqlite", "postgresql"], list(WORKS), [0, 16], ["memory", "stops"])
    assert names(runs.select(["replay-*", "16ms"])) == (["sqlite", "postgresql"], ["replay-unordered", "replay-ordered"], [16], [])
    assert names(runs.select(["sqlite", "stops"])) == (["sqlite"], [], [0, 16], ["stops"])
    assert names(runs.select(["memory", "loop-1"]))[1:] == (["loop-1"], [0, 16], ["memory"])
    with pytest.raises(runs.UnknownWordError, match="nothing names nothing; there are: sqlite"):
        runs.select(["nothing"])


def test_an_event_has_a_thousand_bytes():
    made = list(lines(11))
    assert {len(line) for line in made} == {1000}
    assert len({json.loads(line)["messageId"] for line in made}) == 11


def test_tables_ratios_and_goals():
    found = report.Results({"cores": "2"}, "Conditions.", [figure("replay-unordered", 50_000), figure("loop-1", 1000)])
    found.memory = [Memory(10, 200.0, 600.0, 1.0, []), Memory(100, 1.0, 1.0, 1.0, ["lost"])]
    found.stops = [Stops("sqlite", True, [0.1, 0.2, 0.9], [0.1], [2.5])]
    shown = report.markdown(found)
    assert "| replay-unordered, sqlite | 1,000 | **50,000** | 0.10 | 0.20 | 0.30 | 15 |" in shown
    assert "| loop-1, sqlite | 1,000 | **1,000** | – | – | – | 15 |" in shown
    assert "| replay-unordered / loop-1 | 50.0 | – | – | – |" in shown
    assert "| 10 MB | 200 | 600 | 1.0 |" in shown
    assert "| sqlite, ordered | 0.20 (0.90) | 0.10 (0.10) | 2.50 (2.50) | 3 |" in shown
    assert "| replay-unordered, sqlite, 0 ms, events/s | 50,000 | ≥ 40,000 | yes |" in shown
    assert "| cancelled, seconds at most | 2.50 | ≤ 2 | no |" in shown
    assert "| memory of worker or web, MB | 600 | < 200 | no |" in shown
    assert "- 100 MB: lost" in shown


def test_what_does_not_count_is_in_no_ratio_and_is_told():
    shown = report.markdown(report.Results(figures=[figure("replay-ordered", 9, ["3 lost"]), figure("loop-1", 1000)]))
    assert "| replay-ordered, sqlite | 1,000 | does not count |" in shown
    assert "- replay-ordered, sqlite, 0 ms: 3 lost" in shown
    assert "Ratios" not in shown


def test_the_document_has_the_markers():
    document = (ROOT / "docs" / "performance.md").read_text()
    assert "<!-- jobs -->\nnew\n<!-- /jobs -->" in report.into(document, "new")


def test_a_figure_is_of_medians(system):
    made = measure.figure(system, WORKS["loop-1"], 16, 100, [Run(4.0), Run(1.0, flaws=["lost"]), Run(2.0, cpu_seconds=1.0)])
    assert (made.per_second, made.cpu_us, made.runs, made.flaws) == (50.0, 0.0, [25.0, 100.0, 50.0], ["lost"])


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs")
    sandbox = Sandbox(folder, 0)
    try:
        made = System("sqlite", folder, sandbox, None)
        yield made
        made.stop()
    finally:
        sandbox.stop()


@pytest.mark.parametrize("work", ["replay-unordered", "loop-500"])
def test_a_short_run_counts(system, work):
    file = system.folder / "events.ndjson"
    with file.open("wb") as output:
        output.writelines(lines(EVENTS))
    found = measure.run(system, WORKS[work], file, EVENTS)
    assert found.flaws == []
    assert found.seconds > 0
    if not WORKS[work].loop:
        assert found.upload + found.intake + found.sending == pytest.approx(found.seconds)
        assert min(found.upload, found.intake, found.sending, found.cpu_seconds) > 0
    assert measure.run(system, WORKS[work], file, EVENTS + 1).flaws[-1] == f"{EVENTS + 1:,} events, but {EVENTS:,} upstream"


def test_a_job_that_is_stopped_stops(system):
    file = system.folder / "many.ndjson"
    with file.open("wb") as output:
        output.writelines(lines(50_000))
    system.sandbox.delay(16)
    try:
        found = measure.stops(system, file, True, 1)
    finally:
        system.sandbox.delay(0)
    assert len(found.pause) == len(found.cancel) == len(found.cancelled) == 1
    assert max(found.pause + found.cancel + found.cancelled) < 10
