"""The details of the answers, and when they come."""

import json
import re
import socket

import pytest

from gateway.operations import OPERATIONS
from tests.conftest import GOOD
from tests.sandbox.wire import EVENT, REPLAY, SOURCE, ask, connected, exchange, head, plugged, read_to_end, replay, send_on

BASIC = ("Authorization", "Basic d2stMTo=")
CLOSE = ("Connection", "close")
LARGE = 516 * 1024


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_success_is_the_text_ok(sandbox, operation):
    source = ("X-Rudder-Source-Id", "rep-1")
    headers = {"extract": [BASIC], "audiencelist": [BASIC], "replay": [source], "retl": [source], "internalbatch": []}[operation.name]
    answer = ask(sandbox, operation.upstream_path, "POST", json.dumps(GOOD[operation.route]).encode(), headers)
    assert (answer.status, answer.body, answer.header("Content-Type")) == (200, b"ok", "text/plain; charset=utf-8")
    assert answer.header("Vary") == "Origin"
    assert answer.header("X-Content-Type-Options") is None


@pytest.mark.parametrize(
    ("headers", "body", "status", "text"),
    [
        ((), EVENT, 401, b"failed to read source id from header\n"),
        ((("X-Rudder-Source-Id", "nobody"),), EVENT, 401, b"invalid source id\n"),
        ((("X-Rudder-Source-Id", "src-1"),), EVENT, 401, b"invalid replay source\n"),
        ((("X-Rudder-Source-Id", "rep-off"),), EVENT, 404, b"source is disabled\n"),
        ((SOURCE,), b"{", 400, b"invalid json\n"),
        ((SOURCE,), b'{"batch":[{}]}', 400, b"request neither has anonymousId nor userId\n"),
        ((SOURCE, ("Content-Encoding", "gzip")), b"x", 500, b"failed to read body from request\n"),
    ],
)
def test_errors_are_text_that_must_not_be_sniffed(sandbox, headers, body, status, text):
    answer = ask(sandbox, REPLAY, "POST", body, headers)
    assert (answer.status, answer.body, answer.header("Content-Type")) == (status, text, "text/plain; charset=utf-8")
    assert (answer.header("Vary"), answer.header("X-Content-Type-Options")) == ("Origin", "nosniff")
    assert answer.header("Retry-After") is None


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_other_methods_are_not_allowed(sandbox, method):
    answer = ask(sandbox, REPLAY, method)
    assert (answer.status, answer.body, answer.header("Allow"), answer.header("Content-Type")) == (405, b"", "POST", None)
    assert answer.header("Vary") == "Origin"


def test_a_preflight_is_answered_without_a_body(sandbox):
    answer = ask(sandbox, REPLAY, "OPTIONS", headers=[("Origin", "http://a"), ("Access-Control-Request-Method", "POST")])
    assert (answer.status, answer.body, answer.header("Vary")) == (204, b"", "Origin")
    assert answer.header("Content-Length") is None


@pytest.mark.parametrize("path", ["/", REPLAY + "/", "/internal//v1/replay", "/internal/v1/Replay", "/internal/v1/repla%79", "/internal/v1/nothing"])
def test_any_other_path_is_not_found(sandbox, path):
    answer = ask(sandbox, path, "POST", EVENT, [SOURCE])
    assert (answer.status, answer.body) == (404, b"404 page not found\n")


def test_of_a_doubled_header_the_first_counts(sandbox):
    assert replay(sandbox, headers=[("X-Rudder-Source-Id", "nobody")]).status == 200
    assert ask(sandbox, REPLAY, "POST", EVENT, [("X-Rudder-Source-Id", "nobody"), SOURCE]).status == 401
    assert ask(sandbox, REPLAY, "POST", EVENT, [("X-RUDDER-SOURCE-ID", "  rep-1\t")]).status == 200


def test_the_credential_is_judged_before_the_body_comes(sandbox):
    with plugged(sandbox) as sock:
        sock.sendall(head(headers=[], length=1_000_000))
        assert sock.recv(65536).startswith(b"HTTP/1.1 401 Unauthorized\r\n")
        sock.sendall(b" " * 1_000_000 + head() + EVENT)
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
    assert sandbox.count()["calls"] == 1


def test_headers_up_to_the_limit_are_read_and_more_are_a_431(sandbox):
    def padded(size):
        return ask(sandbox, REPLAY, "POST", EVENT, [SOURCE, *((f"X-{index}", "x" * 1024) for index in range(size // 1032))])

    assert padded(LARGE - 4096).status == 200
    answer = padded(LARGE + 4096)
    assert (answer.status, answer.header("Connection") or "close") == (431, "close")
    assert sandbox.count()["calls"] == 1


def test_a_body_shorter_than_announced_is_a_500(sandbox):
    answer = exchange(sandbox, head(length=len(EVENT) + 1) + EVENT)
    assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert answer.endswith(b"\r\n\r\nfailed to read body from request\n")
    assert sandbox.count() == {"calls": 0, "stored": 0, "events": 0}


def test_a_head_that_is_cut_gets_no_answer(sandbox):
    assert exchange(sandbox, head()[:-2]) == b""


def test_what_is_no_http_is_a_400(sandbox):
    assert exchange(sandbox, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_continue_is_said_to_who_waits_for_it(sandbox):
    with plugged(sandbox) as sock:
        sock.sendall(head(headers=[SOURCE, ("Expect", "100-continue"), CLOSE]))
        assert sock.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(EVENT)
        assert read_to_end(sock).startswith(b"HTTP/1.1 200 OK\r\n")


def test_continue_is_not_said_where_the_credential_is_wrong(sandbox):
    with plugged(sandbox) as sock:
        sock.sendall(head(headers=[("Expect", "100-continue")]))
        assert sock.recv(65536).startswith(b"HTTP/1.1 401 Unauthorized\r\n")


def test_a_chunked_body_is_read(sandbox):
    chunked = head(headers=[SOURCE, CLOSE]).replace(f"Content-Length: {len(EVENT)}".encode(), b"Transfer-Encoding: chunked")
    assert exchange(sandbox, chunked + b"5\r\n" + EVENT[:5] + b"\r\n%x\r\n" % len(EVENT[5:]) + EVENT[5:] + b"\r\n0\r\n\r\n").endswith(b"ok")
    assert [request["body"] for request in sandbox.received()] == [EVENT.decode()]


def test_requests_sent_at_once_are_answered_in_order(sandbox):
    answers = exchange(sandbox, head() + EVENT + head(headers=[]) + EVENT + head(path="/nothing", headers=[CLOSE]) + EVENT)
    assert re.findall(rb"HTTP/1\.1 ([0-9]{3})", answers) == [b"200", b"401", b"404"]


def test_a_body_may_come_in_pieces(sandbox):
    with plugged(sandbox) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head(headers=[SOURCE, CLOSE]) + EVENT:
            sock.sendall(bytes([byte]))
        assert read_to_end(sock).endswith(b"ok")


def test_a_connection_is_kept_unless_the_caller_wants_it_closed(sandbox):
    with connected(sandbox) as connection:
        for _ in range(3):
            assert send_on(connection, "POST", REPLAY, [SOURCE], EVENT).status == 200
            assert connection.sock is not None
    assert exchange(sandbox, head(headers=[SOURCE, CLOSE]) + EVENT).endswith(b"ok")


def test_health_is_up(sandbox):
    assert ask(sandbox, "/health").json["server"] == "UP"
