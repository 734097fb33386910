"""Faults on demand: each does to the caller what it says, and to the store too."""

import http.client
import json
import re
import socket
import time
from pathlib import Path

import pytest

from gateway.sandbox.trouble import KINDS, TroubleError, read
from tests.sandbox.wire import EVENT, REPLAY, SOURCE, ask, connected, exchange, head, plugged, read_answer, read_to_end, replay

CLOSE = ("Connection", "close")


def order(sandbox, content):
    return ask(sandbox, "/faults", "POST", content if isinstance(content, bytes) else json.dumps(content).encode())


def stored(sandbox):
    count = sandbox.count()
    return count["calls"], count["stored"]


def raw(sandbox):
    return exchange(sandbox, head(headers=[SOURCE, CLOSE]) + EVENT)


def test_delay_waits_before_the_answer(sandbox):
    sandbox.trouble("delay", seconds=0.3)
    started = time.monotonic()
    assert replay(sandbox).status == 200
    assert time.monotonic() - started >= 0.3
    assert stored(sandbox) == (1, 1)


def test_delay_holds_only_its_own_connection(sandbox):
    sandbox.trouble("delay", seconds=5, times=1)
    with plugged(sandbox) as held:
        held.sendall(head() + EVENT)
        while sandbox.count()["calls"] == 0:
            time.sleep(0.01)
        assert replay(sandbox).status == 200
        held.settimeout(0.05)
        with pytest.raises(TimeoutError):
            held.recv(1)


def test_429_may_have_a_retry_after(sandbox):
    sandbox.trouble("429")
    answer = replay(sandbox)
    assert (answer.status, answer.body, answer.header("Retry-After")) == (429, b"max requests limit reached\n", None)
    sandbox.trouble("429", retry_after=7)
    assert replay(sandbox).header("Retry-After") == "7"
    assert stored(sandbox) == (2, 0)


def test_500_has_a_databases_words(sandbox):
    sandbox.trouble("500")
    answer = replay(sandbox)
    assert answer.status == 500
    assert b"dial tcp 10.0.0.7:5432" in answer.body
    assert stored(sandbox) == (1, 0)


def test_401_comes_whatever_the_credential(sandbox):
    sandbox.trouble("401")
    answer = replay(sandbox)
    assert (answer.status, answer.body) == (401, b"invalid write key\n")
    assert stored(sandbox) == (0, 0)


def test_reset_before_needs_no_body(sandbox):
    sandbox.trouble("reset_before")
    with plugged(sandbox) as sock:
        sock.sendall(head())
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    assert stored(sandbox) == (0, 0)


def test_reset_after_stores(sandbox):
    sandbox.trouble("reset_after")
    with plugged(sandbox) as sock:
        sock.sendall(head() + EVENT)
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    assert stored(sandbox) == (1, 1)


def test_half_answer_announces_more_than_it_sends(sandbox):
    sandbox.trouble("half_answer")
    answer = raw(sandbox)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: 20\r\n" in answer
    assert answer.endswith(b"\r\n\r\nok, and th")
    with pytest.raises(http.client.IncompleteRead):
        replay(sandbox)
    assert stored(sandbox) == (2, 2)


def test_dripped_answer_comes_byte_by_byte(sandbox):
    sandbox.trouble("dripped_answer", seconds=0.005)
    pieces = []
    with plugged(sandbox) as sock:
        sock.sendall(head(headers=[SOURCE, CLOSE]) + EVENT)
        while not b"".join(pieces).endswith(b"\r\n\r\n" + b"o" * 60):
            pieces.append(sock.recv(65536))
            assert pieces[-1]
    assert len(pieces) > 20
    assert stored(sandbox) == (1, 1)


def test_a_connection_goes_on_after_a_dripped_answer(sandbox):
    sandbox.trouble("dripped_answer", seconds=0.001, times=1)
    with connected(sandbox) as connection:
        for expected in (b"o" * 60, b"ok"):
            connection.request("POST", REPLAY, EVENT, dict([SOURCE]))
            assert read_answer(connection).body == expected


def test_a_dripped_answer_is_the_last_where_the_caller_wants_it_closed(sandbox):
    sandbox.trouble("dripped_answer", seconds=0.001)
    with plugged(sandbox) as sock:
        sock.settimeout(3)
        sock.sendall(head(headers=[SOURCE, CLOSE]) + EVENT)
        assert read_to_end(sock).endswith(b"o" * 60)


def test_redirect_is_not_stored(sandbox):
    sandbox.trouble("redirect", location="http://127.0.0.1:1/x")
    answer = replay(sandbox)
    assert (answer.status, answer.header("Location"), answer.body) == (302, "http://127.0.0.1:1/x", b"")
    assert stored(sandbox) == (1, 0)


def test_html_is_a_proxys_page(sandbox):
    sandbox.trouble("html")
    answer = replay(sandbox)
    assert (answer.status, answer.header("Content-Type")) == (502, "text/html")
    assert answer.body.startswith(b"<html>")
    sandbox.trouble("html", status=504)
    assert replay(sandbox).status == 504
    assert stored(sandbox) == (2, 0)


def test_informational_answers_come_first(sandbox):
    sandbox.trouble("informational")
    lines = [line for line in raw(sandbox).split(b"\r\n") if line.startswith(b"HTTP/1.1")]
    assert lines == [b"HTTP/1.1 102 Processing", b"HTTP/1.1 103 Early Hints", b"HTTP/1.1 200 OK"]
    assert stored(sandbox) == (1, 1)


def test_204_has_no_body_and_is_stored(sandbox):
    sandbox.trouble("204")
    answer = raw(sandbox)
    assert answer.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert b"Content-Length" not in answer
    assert stored(sandbox) == (1, 1)


def test_endless_goes_on_until_the_caller_leaves(sandbox):
    sandbox.trouble("endless", times=1)
    with plugged(sandbox) as sock:
        sock.sendall(head() + EVENT)
        size = 0
        while size < 200_000:
            size += len(sock.recv(65536))
    assert stored(sandbox) == (1, 1)
    deadline = time.monotonic() + 5
    while any(connection.busy for connection in list(sandbox.sandbox.connections)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert replay(sandbox).body == b"ok"


def test_answer_is_as_ordered(sandbox):
    sandbox.trouble("answer", status=418, content_type="application/json", body='{"é": 1}', headers={"X-One": "1", "Set-Cookie": "a=b"})
    answer = replay(sandbox)
    assert (answer.status, answer.json, answer.header("Content-Type")) == (418, {"é": 1}, "application/json")
    assert (answer.header("X-One"), answer.header("Set-Cookie")) == ("1", "a=b")
    sandbox.trouble("answer", content_type="", body="")
    answer = replay(sandbox)
    assert (answer.status, answer.body, answer.header("Content-Type")) == (200, b"", None)
    assert stored(sandbox) == (2, 2)


def test_answer_may_be_no_utf8_and_of_any_announced_length(sandbox):
    order(sandbox, b'{"kind":"answer","body":"a\\udcff","headers":{"Content-Length":"1"}}')
    with plugged(sandbox) as sock:
        sock.sendall(head(headers=[SOURCE, CLOSE]) + EVENT)
        answer = read_to_end(sock)
    assert answer.count(b"Content-Length") == 1
    assert answer.endswith(b"\r\n\r\na\xff")


def test_closed_port_refuses_connections_and_comes_back(sandbox):
    with plugged(sandbox) as kept:
        kept.sendall(head() + EVENT)
        assert kept.recv(65536)
        assert order(sandbox, {"kind": "closed_port", "seconds": 0.5}).status == 200
        assert kept.recv(1) == b""
    refused = False
    deadline = time.monotonic() + 10
    while True:
        assert time.monotonic() < deadline
        try:
            with plugged(sandbox):
                if refused:
                    break
        except ConnectionRefusedError:
            refused = True
        time.sleep(0.02)
    assert replay(sandbox).status == 200
    assert stored(sandbox) == (2, 2)


def test_times_counts_requests_down(sandbox):
    sandbox.trouble("429", times=2)
    assert [replay(sandbox).status for _ in range(4)] == [429, 429, 200, 200]


def test_without_times_it_lasts_until_taken_back(sandbox):
    sandbox.trouble("500")
    assert [replay(sandbox).status for _ in range(3)] == [500, 500, 500]
    assert ask(sandbox, "/faults").json == {"now": "500", "kinds": KINDS}
    assert ask(sandbox, "/faults", "DELETE").json["now"] is None
    assert replay(sandbox).status == 200


def test_the_last_order_counts(sandbox):
    sandbox.trouble("500")
    sandbox.trouble("429", times=1)
    assert [replay(sandbox).status for _ in range(2)] == [429, 200]


def test_only_the_operations_are_troubled(sandbox):
    sandbox.trouble("500", times=1)
    assert ask(sandbox, "/nothing", "POST", EVENT).status == 404
    assert ask(sandbox, REPLAY).status == 405
    assert replay(sandbox).status == 500


@pytest.mark.parametrize("kind", ["half_answer", "reset_after", "204", "html", "answer", "informational", "endless", "redirect", "dripped_answer"])
def test_a_refused_body_is_refused_all_the_same(sandbox, kind):
    sandbox.trouble(kind)
    assert (replay(sandbox, b"{").status, stored(sandbox)) == (400, (1, 0))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"null", b"[]", b'"429"', b"{}", b'{"times":1}', b'{"kind":"429","tmes":1}', b'{"kind":"429","kind_":1}'],
)
def test_a_wrong_order_is_told_what_to_send(sandbox, content):
    answer = order(sandbox, content)
    assert answer.status == 400
    assert "send a JSON object with kind, and perhaps times, seconds" in answer.json["error"]
    assert ask(sandbox, "/faults").json["now"] is None


@pytest.mark.parametrize("kind", ["", "nothing", None, 429, "CLOSED_PORT"])
def test_an_unknown_kind_is_told_which_there_are(sandbox, kind):
    answer = order(sandbox, {"kind": kind})
    assert answer.status == 400
    assert all(known in answer.json["error"] for known in KINDS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": ["429"]},
        {"kind": "429", "times": "two"},
        {"kind": "delay", "seconds": "soon"},
        {"kind": "delay", "seconds": None},
        {"kind": "html", "status": "bad"},
        {"kind": "answer", "status": None},
        {"kind": "answer", "body": 5},
        {"kind": "answer", "headers": ["a"]},
        {"kind": "answer", "headers": {"a": 5}},
        {"kind": "answer", "content_type": 5},
        {"kind": "redirect", "location": None},
        {"kind": "429", "retry_after": "later"},
    ],
    ids=json.dumps,
)
def test_an_order_of_the_wrong_type_is_told_what_to_send(wrong):
    with pytest.raises(TroubleError) as error:
        read(json.dumps(wrong).encode())
    assert str(error.value)


def test_the_sandbox_survives_a_caller_that_leaves(sandbox):
    sandbox.trouble("delay", seconds=0.05, times=1)
    with plugged(sandbox) as sock:
        sock.sendall(head() + EVENT)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert replay(sandbox).status in (200, 429)
    assert replay(sandbox).status == 200


def test_every_kind_is_tested():
    tried = set(re.findall(r'(?:trouble\(|"kind": )"(\w+)"', Path(__file__).read_text()))
    assert set(KINDS) <= tried
