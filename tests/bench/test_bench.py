"""The bench reads, counts and refuses rightly; one part of it runs for a moment."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.bench import loads, measure, report, shares, usage, wrk
from tests.bench.bodies import ERAS, all_bodies
from tests.bench.loads import LOADS, Load
from tests.bench.measure import Figure, Sample, Tally, flaws
from tests.bench.servers import SERVERS, Place, Sandbox, Server
from tests.processes import ROOT, missing, wait_for
from tests.tree import tree

GOOD = """Running 1m test @ http://127.0.0.1:18555/internal/v1/replay
  1 threads and 2 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.04ms    7.32ms  88.90ms   96.51%
    Req/Sec     7.79k     2.81k   13.56k    70.00%
  23325 requests in 3.01s, 2.11MB read
Requests/sec:   7741.66
Transfer/sec:    718.22KB
{"answered": 23325, "microseconds": 3012919, "p50": 105, "p99": 42539, "errors": {"connect": 0, "read": 0, "write": 0, "timeout": 0, "status": 0}}
"""
REFUSED = """Running 1m test @ http://127.0.0.1:18555/internal/v1/replay
  1 threads and 2 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.62ms    3.80ms  45.79ms   91.71%
    Req/Sec    11.94k     7.33k   26.90k    70.00%
  23995 requests in 2.03s, 3.55MB read
  Non-2xx or 3xx responses: 23995
Requests/sec:  11792.41
Transfer/sec:      1.74MB
{"answered": 23995, "microseconds": 2034784, "p50": 55, "p99": 19786, "errors": {"connect": 0, "read": 0, "write": 0, "timeout": 0, "status": 23995}}
"""
SMALL = Load("small", 32, 0)
AUDITED = Server("audited-sqlite", "", {}, lambda: None, database="sqlite:///none")
MCP = Server("mcp-2026-sqlite", "", {}, lambda: None, database="sqlite:///none", era=ERAS["2026"])


def run(answered=100, seconds=1.0, p50_ms=1.0, p99_ms=2.0, **errors):
    return wrk.Run(answered, seconds, p50_ms, p99_ms, errors)


def figure(server, per_second, load=SMALL, flaws=()):
    return Figure(server, load, per_second, 1.0, 2.0, 0.5, 100.0, [per_second], list(flaws))


def results(*figures):
    return report.Results({"cores": "2"}, "Conditions.", list(figures))


def test_what_wrk_says_is_read():
    read = wrk.parse(GOOD)
    assert (read.answered, read.p50_ms, read.p99_ms, read.errors) == (23325, 0.105, 42.539, {})
    assert read.per_second == pytest.approx(7741.66, abs=0.01)
    assert wrk.parse(REFUSED).errors == {"status": 23995}


@pytest.mark.parametrize("output", ["", "unable to connect to 127.0.0.1:1 Connection refused"])
def test_a_wrk_that_says_nothing_is_no_result(output):
    with pytest.raises(wrk.NoResultError):
        wrk.parse(output)


def test_a_figure_is_of_medians_and_of_the_highest_memory():
    samples = [Sample(run(answered, 2.0, p50_ms, 9.0), peak, 0.1) for answered, p50_ms, peak in ((100, 3.0, 7.0), (500, 1.0, 9.0), (200, 2.0, 8.0))]
    made = measure.figure("nginx", SMALL, samples)
    assert (made.per_second, made.p50_ms, made.peak_mb, made.runs, made.flaws) == (100.0, 2.0, 9.0, [50.0, 250.0, 100.0], [])
    assert made.cpu_ms == 0.5


@pytest.mark.parametrize(
    ("measured", "after", "said"),
    [
        (run(100), Tally(103, 103, 103, 103), []),
        (run(100, status=7, read=1), Tally(100, 100, 100, 100), ["7 status errors", "1 read errors"]),
        (run(100), Tally(99, 99, 99, 99), ["100 answers, but 99 calls upstream"]),
        (run(100), Tally(133, 133, 133, 133), ["100 answers, but 133 calls upstream"]),
        (run(100), Tally(101, 101, 101, 100), ["100 calls accepted in the log, but 101 upstream"]),
        (run(100), Tally(101, 102, 101, 101), ["102 intents, but 101 outcomes"]),
        (run(0), Tally(0), ["no answer"]),
    ],
)
def test_a_run_with_errors_or_with_another_log_does_not_count(measured, after, said):
    assert flaws(AUDITED, SMALL, measured, Tally(0), after) == said


def test_whoever_hangs_up_on_mcp_leaves_a_call_that_nobody_knows_of():
    after = Tally(102, 102, 102, accepted=100, unknown=2)
    assert flaws(MCP, SMALL, run(100), Tally(0), after) == []
    assert flaws(MCP, SMALL, run(100), Tally(0), replace(after, unknown=1)) == ["100 calls accepted in the log, but 102 upstream"]
    assert flaws(MCP, SMALL, run(100, outcome=1), Tally(0), after) == ["1 outcome errors"]
    assert flaws(AUDITED, SMALL, run(100), Tally(0), after) == ["100 calls accepted in the log, but 102 upstream"]


def test_what_does_not_count_is_in_no_table_and_is_told():
    shown = report.markdown(results(figure("audited-postgresql", 500), figure("unaudited", 1000, flaws=["7 status errors"])))
    assert "| unaudited | does not count |" in shown
    assert "- unaudited, small 32 0ms: 7 status errors" in shown
    assert "audited-postgresql / unaudited" not in shown


def test_ratios_and_goals():
    found = results(figure("audited-postgresql", 480), figure("unaudited", 1000), figure("drf-api-logger-postgresql", 400))
    assert found.ratio("audited-postgresql", "unaudited", SMALL) == 0.48
    shown = report.markdown(found)
    assert "| audited-postgresql / unaudited | small, 32, 0 ms | 0.48 | ≥ 0.50 | no |" in shown
    assert "| audited-postgresql / drf-api-logger-postgresql | small, 32, 0 ms | 1.20 | ≥ 1.00 | yes |" in shown
    assert "| audited-postgresql, calls a second | small, 32, 0 ms | 480 | ≥ 1,000 | no |" in shown


def test_the_document_keeps_what_is_around_the_markers():
    assert report.into("a\n<!-- bench -->\nold\n<!-- /bench -->\nb", "new") == "a\n<!-- bench -->\nnew\n<!-- /bench -->\nb"
    with pytest.raises(ValueError, match="not in the document"):
        report.into("a", "new")
    report.into((ROOT / "docs" / "performance.md").read_text(), "new")


def test_words_select():
    assert loads.select([]) == loads.Selection(list(SERVERS), LOADS, list(loads.PARTS))
    some = loads.select(["audited-postgresql", "small", "32"])
    assert some == loads.Selection(["audited-postgresql"], [Load("small", 32, 0), Load("small", 32, 16)], [])
    assert loads.select(["audited-*", "1mb", "0ms"]).servers == ["audited-sqlite", "audited-postgresql", "audited-postgresql-x2"]
    assert loads.select(["mcp-2026-*"]).servers == ["mcp-2026-sqlite", "mcp-2026-postgresql", "mcp-2026-postgresql-x2"]
    assert loads.select(["losses", "drf-*-sqlite"]) == loads.Selection(["drf-api-logger-sqlite"], [], ["losses"])
    with pytest.raises(loads.UnknownWordError):
        loads.select(["audited"])


def test_mcp_is_measured_beside_rest():
    assert [load.connections for load in LOADS if load.suits("mcp-2026-postgresql")] == [1, 4, 32]
    for one, other in [pair for pair in report.RATIOS if pair[0].startswith("mcp")]:
        assert {one, other} <= set(SERVERS)
        assert all(load.suits(other) for load in LOADS if load.suits(one))
    assert "| mcp-2025-postgresql / audited-postgresql | small, 32, 0 ms | 0.80 | ≥ 0.70 | yes |" in report.markdown(
        results(figure("mcp-2025-postgresql", 400), figure("audited-postgresql", 500))
    )


def test_stacks_are_shared_out():
    door, send = "_answer (/x/gateway/api/front.py);post (/x/gateway/api/operation.py)", "post (/x/gateway/upstream/client.py)"
    lines = [
        "process 7:python;run (/x/site-packages/granian/wsgi.py) 1",
        f"process 7:python;{door};intend (/x/gateway/audit/log.py);wait (/x/site-packages/psycopg/connection.py) 4",
        f"process 7:python;{door};{send} 3",
        f"process 7:python;{door} 2",
    ]
    found = shares.shares("audited-sqlite", "processor", lines, calls_only=False)
    assert (found.stages["web server"], found.stages["intent"], found.stages["upstream"], found.stages["rest of the gateway"]) == (0.1, 0.4, 0.3, 0.2)
    assert found.functions[0] == ("wait (psycopg/connection.py)", 0.4)
    assert shares.shares("audited-sqlite", "wall", lines, calls_only=True).stages["web server"] == 0.0


def test_children_count_too():
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:
        wait_for(lambda: len(tree(process.pid)) == 2)
        wait_for(lambda: usage.peak_mb(process.pid) > 10)
        assert process.stdin
        process.stdin.close()


@pytest.mark.parametrize("name", ["audited-sqlite", "mcp-2025-sqlite", "mcp-2026-sqlite"])
def test_a_short_run_counts(tmp_path, name):
    if not shutil.which("wrk"):
        missing("wrk", "wrk")
    body = tmp_path / "small.json"
    body.write_bytes(all_bodies()["small"])
    assert len(json.loads(body.read_bytes())["batch"]) == 1
    sandbox = Sandbox(tmp_path, 0)
    server = SERVERS[name](name, Place(tmp_path, sandbox, None))
    try:
        taken = measure.sample(server, sandbox, Load("small", 2, 0), body, 1.0)
        body.write_bytes(b'{"batch": []}')
        refused = measure.sample(server, sandbox, Load("small", 2, 0), body, 0.5)
    finally:
        server.stop()
        sandbox.stop()
    assert taken.flaws == []
    assert taken.run.answered > 10
    assert 50 < taken.peak_mb < 1000
    assert taken.cpu_seconds > 0
    # MCP says by HTTP that all is well, and in the answer that it is not.
    assert list(refused.run.errors) == (["outcome"] if server.era else ["status"])
    assert refused.run.errors.popitem()[1] == refused.run.answered
