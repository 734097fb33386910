"""What the sandbox took can be read again, byte for byte."""

import base64
import gzip

import pytest

from gateway.sandbox import received
from gateway.sandbox.received import JobRuns, Received, Request
from tests.sandbox.wire import EVENT, REPLAY, SOURCE, ask, connected, exchange, head, replay, send_on


def request(number, body=b"", stored=True, events=1):
    return Request(number, 0.0, "replay", REPLAY, [], body, 200 if stored else 400, stored, events)


def filled(count, body=b""):
    ring = Received()
    for number in range(1, count + 1):
        ring.add(request(number, body))
    return ring


def test_requests_are_shown_in_order_with_what_was_answered(sandbox):
    replay(sandbox)
    replay(sandbox, b"{")
    ask(sandbox, "/internal/v1/batch?a=b", "POST", b"[]")
    shown = sandbox.received()
    assert [(row["number"], row["operation"], row["path"]) for row in shown] == [
        (1, "replay", REPLAY),
        (2, "replay", REPLAY),
        (3, "internalbatch", "/internal/v1/batch?a=b"),
    ]
    assert [(row["status"], row["stored"], row["events"], row["body"]) for row in shown] == [
        (200, True, 1, EVENT.decode()),
        (400, False, 0, "{"),
        (400, False, 0, "[]"),
    ]
    assert [row["at"] for row in shown] == sorted(row["at"] for row in shown)
    assert all(row["at"].endswith("+00:00") for row in shown)


def test_what_was_refused_before_the_body_is_not_there(sandbox):
    ask(sandbox, REPLAY, "POST", EVENT)
    ask(sandbox, REPLAY)
    ask(sandbox, "/nothing", "POST", EVENT)
    assert sandbox.received() == []
    assert sandbox.count() == {"calls": 0, "stored": 0, "events": 0}


def test_headers_are_shown_in_order_as_they_were_spelt(sandbox):
    given = [("x-RUDDER-source-id", "rep-1"), ("X-B", "2"), ("x-b", "1"), ("X-Empty", ""), ("X-Latin", "é"), ("X-A", "a, b")]
    with connected(sandbox) as connection:
        send_on(connection, "POST", REPLAY, given, EVENT)
    (shown,) = sandbox.received()
    before = [["Host", f"127.0.0.1:{sandbox.port}"], ["Accept-Encoding", "identity"]]
    assert shown["headers"] == [*before, *map(list, given), ["Content-Length", str(len(EVENT))]]


def test_bodies_are_kept_byte_for_byte(sandbox):
    packed = gzip.compress(EVENT, mtime=0)
    bodies = [packed, b'{"batch":[{"userId":"\xff\xfe"}]}', "é".encode(), b"", bytes(range(256))]
    for body in bodies:
        replay(sandbox, body, [("Content-Encoding", "gzip")] if body == packed else [])
    shown = sandbox.received()
    assert [base64.b64decode(row["body_base64"]) for row in shown] == bodies
    assert [row["body"] for row in shown] == [None, None, "é", "", None]
    assert [row["events"] for row in shown] == [1, 1, 0, 0, 0]


def test_pages_are_walked_by_next(sandbox):
    for number in range(7):
        replay(sandbox, EVENT + b" " * number)
    numbers, path = [], "/received?limit=3"
    sizes = []
    while path:
        page = ask(sandbox, path).json
        numbers += [row["number"] for row in page["results"]]
        sizes.append(len(page["results"]))
        path = page["next"]
    assert (numbers, sizes) == ([1, 2, 3, 4, 5, 6, 7], [3, 3, 1])
    assert [row["number"] for row in ask(sandbox, "/received?after=5").json["results"]] == [6, 7]
    assert ask(sandbox, "/received?after=7").json == {"results": [], "next": None}
    assert ask(sandbox, "/received?after=-3&limit=0").json["results"][0]["number"] == 1


@pytest.mark.parametrize("query", ["after=x", "limit=1.5", "after=1&limit=many"])
def test_a_page_that_is_no_number_is_refused(sandbox, query):
    answer = ask(sandbox, f"/received?{query}")
    assert (answer.status, answer.json) == (400, {"error": "after and limit must be whole numbers"})


def test_the_count_is_of_all(sandbox):
    replay(sandbox)
    replay(sandbox, b'{"batch":[{"userId":"u"},{"userId":"v"},{"userId":"w"}]}')
    replay(sandbox, b'{"batch":[{"userId":"u"},{}]}')
    sandbox.trouble("429", times=1)
    replay(sandbox)
    assert sandbox.count() == {"calls": 4, "stored": 2, "events": 4}


def test_a_body_that_was_cut_is_not_there(sandbox):
    exchange(sandbox, head(length=1000) + EVENT)
    assert sandbox.count()["calls"] == 0


def test_delete_forgets_all(sandbox):
    replay(sandbox, headers=[("X-Rudder-Job-Run-Id", "jr")])
    assert ask(sandbox, "/received", "DELETE").status == 200
    assert ask(sandbox, "/received").json == {"results": [], "next": None}
    assert sandbox.count() == {"calls": 0, "stored": 0, "events": 0}
    assert ask(sandbox, "/internal/v2/job-status/jr").status == 404
    replay(sandbox)
    assert [row["number"] for row in sandbox.received()] == [1]


def test_the_ring_keeps_the_last_requests_and_counts_all():
    ring = filled(received.MAX_REQUESTS + 5)
    assert (ring.calls, ring.stored, ring.events) == (received.MAX_REQUESTS + 5,) * 3
    assert len(ring.page(0, 10**9)) == received.MAX_REQUESTS
    assert [row.number for row in ring.page(0, 2)] == [6, 7]
    assert [row.number for row in ring.page(8, 2)] == [9, 10]
    assert [row.number for row in ring.page(received.MAX_REQUESTS + 3, 10)] == [received.MAX_REQUESTS + 4, received.MAX_REQUESTS + 5]


def test_the_ring_is_bounded_in_bytes(monkeypatch):
    monkeypatch.setattr(received, "MAX_BYTES", 400)
    ring = filled(4, bytes(100))
    assert [row.number for row in ring.page(0, 10)] == [1, 2, 3, 4]
    ring.add(request(5, b"x"))
    assert [row.number for row in ring.page(0, 10)] == [2, 3, 4, 5]
    ring.add(request(6, bytes(400)))
    assert [row.number for row in ring.page(0, 10)] == [6]
    ring.add(request(7, bytes(401)))
    assert ring.page(0, 10) == []
    assert ring.calls == 7


def test_job_runs_are_bounded_and_the_last_used_stay():
    runs = JobRuns()
    for number in range(received.MAX_JOB_RUNS):
        runs.add(f"jr-{number}", "", "src-1", 1)
    runs.add("jr-0", "", "src-1", 1)
    runs.add("one-more", "", "src-1", 1)
    assert runs.status("jr-1", [], [], {}) is None
    assert runs.status("jr-0", [], [], {})["tasks"][0]["sources"][0]["stats"]["in"] == 2
    assert runs.status("one-more", [], [], {}) is not None


def test_the_source_header_is_in_what_was_received(sandbox):
    replay(sandbox)
    assert list(SOURCE) in sandbox.received()[0]["headers"]
