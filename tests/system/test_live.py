"""The whole way of a call, through real processes, on both databases."""

import base64
import gzip
import json
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.operations import OPERATIONS
from tests.conftest import GOOD
from tests.processes import wait_for
from tests.recorded import recorded

EVENTS = [
    {"type": "identify", "userId": "u-1", "messageId": "m-1", "traits": {"email": "jane@example.com", "plan": "pro"}},
    {"type": "track", "userId": "u-1", "messageId": "m-2", "event": "Order Completed", "properties": {"revenue": 12.50, "n": 1e2}},
    {"type": "page", "anonymousId": "a-1", "messageId": "m-3", "name": "Home", "properties": {"url": "https://example.com/?q={{x}}"}},
    {"type": "screen", "anonymousId": "a-1", "messageId": "m-4", "name": "Main", "context": {"device": {"type": "iOS"}}},
    {"type": "group", "userId": "u-1", "messageId": "m-5", "groupId": "g-1", "traits": {"name": "Žluťoučký kůň 🐎"}},
    {"type": "alias", "userId": "u-1", "messageId": "m-6", "previousId": "a-1"},
    {"type": "record", "messageId": "m-7", "action": "insert", "recordId": "1", "fields": {"id": 12345678901234567890123}},
]


def test_every_accepted_recorded_body_goes_out_byte_for_byte(gateway, sandbox):
    accepted = [r for r in recorded() if r.is_about_the_body and r.status == 200]
    exceptions = []
    with ThreadPoolExecutor(8) as threads:

        def send(number):
            row = accepted[number]
            headers = {"X-Request-Id": str(number)}
            if encoding := row.headers.get("Content-Encoding"):
                headers["Content-Encoding"] = encoding.strip()
            return gateway.send(OPERATIONS[row.operation].route, row.body, headers)

        for number, answer in enumerate(threads.map(send, range(len(accepted)))):
            if answer.json() != {"result": "ok"}:
                exceptions.append((accepted[number].name, answer.json()["reason"]))
    ours = {name.split("/")[1]: reason for name, reason in exceptions}
    assert set(ours.values()) <= {"too_deep", "ambiguous_key"}, exceptions
    assert [name for name, reason in exceptions if reason == "too_deep"] == [
        "audiencelist/deep-10000",
        "extract/deep-10000",
        "replay/deep-10000",
        "retl/deep-10000",
        "internalbatch/raw-deep-payload-5000",
    ]
    assert len(exceptions) < 40
    sent = sorted((r.operation, r.body) for r in accepted if r.name not in dict(exceptions))
    received, after = [], 0
    while page := sandbox.page(after):
        received += page
        after = page[-1]["number"]
    assert sorted((r["operation"], base64.b64decode(r["body_base64"])) for r in received) == sent
    assert sandbox.count()["calls"] == len(sent)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_real_event_of_each_type_goes_through(gateway, sandbox, zipped):
    for event in EVENTS:
        for route in ("replay", "retl"):
            body = json.dumps({"batch": [event]}, ensure_ascii=False).encode()
            sent = gzip.compress(body, mtime=0) if zipped else body
            answer = gateway.send(route, sent, {"Content-Encoding": "gzip"} if zipped else {})
            assert (answer.status_code, answer.json()) == (200, {"result": "ok"})
            assert base64.b64decode(sandbox.received()[-1]["body_base64"]) == sent
    rows = gateway.get("/v1/calls?limit=200").json()["results"]
    assert [row["result"] for row in rows] == ["accepted"] * 2 * len(EVENTS)


def test_fifty_at_once_under_one_idempotency_key_make_one_upstream_request(gateway, sandbox):
    sandbox.trouble("delay", seconds=0.5)
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: gateway.send("replay", GOOD["replay"], {"Idempotency-Key": "k"}), range(50)))
    statuses = {answer.status_code for answer in answers}
    assert statuses <= {200, 409}
    assert sum(answer.status_code == 200 and "Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert sandbox.count()["calls"] == 1
    assert gateway.send("replay", GOOD["replay"], {"Idempotency-Key": "k"}).headers["Idempotency-Replayed"] == "true"


def test_a_chunked_body_is_read_whole(gateway, sandbox):
    body = json.dumps(GOOD["replay"]).encode()
    answer = _chunked(gateway, body)
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert base64.b64decode(sandbox.received()[0]["body_base64"]) == body


def _chunked(gateway, body):
    parts = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:10], body[10:])) + b"0\r\n\r\n"
    return _raw(gateway, b"Transfer-Encoding: chunked\r\n", parts)


def _raw(gateway, headers, body, half_close=False):
    head = b"POST /v1/internal/v1/replay HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer %s\r\n%s\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=15) as connection:
        connection.sendall(head % (gateway.key.encode(), headers) + body)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


def test_what_the_web_server_cannot_pass_on_is_not_taken_for_nothing(gateway, sandbox):
    body = json.dumps(GOOD["replay"]).encode()
    length = b"Content-Length: %d\r\n" % len(body)
    answer = _raw(gateway, length + "Idempotency-Key: clé-1\r\n".encode(), body)
    assert b"bad_idempotency_key" in answer
    assert sandbox.count()["calls"] == 0
    # HTTP/2 could end a body without saying its length: it is not spoken.
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        assert not connection.recv(9).startswith(b"\0\0")


@pytest.mark.alone
def test_a_slow_upload_does_not_use_up_the_calls_own_time(gateway_with, sandbox):
    gateway = gateway_with(None, GATEWAY_DEADLINE_SECONDS="1")
    body = json.dumps(GOOD["replay"]).encode()
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        head = (
            b"POST /v1/internal/v1/replay HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n"
        )
        connection.sendall(head % (gateway.key.encode(), len(body)) + body[:5])
        time.sleep(6.5)
        sandbox.trouble("delay", seconds=0.7, times=1)
        connection.sendall(body[5:])
        time.sleep(0.4)
        assert gateway.get("/v1/calls").json()["results"][0]["result"] == "in_flight"
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_body_shorter_than_announced_is_refused_and_recorded(gateway, sandbox):
    answer = _raw(gateway, b"Content-Length: 100\r\n", b'{"batch":', half_close=True)
    assert b" 400 " in answer.partition(b"\r\n")[0]
    assert b"body_cut" in answer
    assert gateway.get("/v1/calls").json()["results"][0]["reason"] == "body_cut"
    assert sandbox.count()["calls"] == 0


def test_the_largest_headers_that_get_through_do_not_break_the_log(gateway, sandbox):
    big = "a" * 380_000
    for name in ("User-Agent", "X-Request-Id", "X-Rudder-Job-Run-Id", "traceparent", "X-Other"):
        answer = gateway.send("replay", GOOD["replay"], {name: big})
        assert answer.status_code in (200, 431, 502), (name, answer.status_code, answer.text)
    for name in ("X-Rudder-Source-Id", "Idempotency-Key", "X-Rudder-Destination-Id"):
        assert gateway.send("retl", GOOD["retl"], {name: big}).status_code in (400, 401, 431, 502), name
    rows = gateway.get("/v1/calls?limit=200").json()["results"]
    assert len(rows) == 8
    assert {row["result"] for row in rows} <= {"accepted", "refused", "rejected", "failed", "unknown"}


@pytest.mark.alone
def test_a_revoked_key_is_refused_within_five_seconds(gateway, sandbox):
    assert gateway.send("replay", GOOD["replay"]).status_code == 200
    gateway.manage("revoke_api_key", gateway.key)
    wait_for(lambda: gateway.send("replay", GOOD["replay"]).status_code == 401, 5)


@pytest.mark.alone
def test_the_log_away_is_503_and_nothing_is_sent_and_back_it_serves(gateway_with, postgresql, sandbox):
    gateway = gateway_with(postgresql.database())
    assert gateway.send("replay", GOOD["replay"]).status_code == 200
    postgresql.stop()
    try:
        answer = gateway.send("replay", GOOD["replay"])
        assert (answer.status_code, answer.json()["reason"], answer.headers["Retry-After"]) == (503, "log_unavailable", "1")
        assert answer.elapsed.total_seconds() < 3
        assert gateway.get("/readyz").status_code == 503
    finally:
        postgresql.start()
    assert sandbox.count()["calls"] == 1
    wait_for(lambda: gateway.send("replay", GOOD["replay"]).status_code == 200, 5)


@pytest.mark.alone
def test_sqlite_locked_by_another_is_503_within_three_seconds(gateway_with, sandbox):
    gateway = gateway_with(None)
    assert gateway.send("replay", GOOD["replay"]).status_code == 200
    other = sqlite3.connect(gateway.folder / "var" / "gateway.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answer = gateway.send("replay", GOOD["replay"])
    assert (answer.status_code, answer.json()["reason"]) == (503, "log_unavailable")
    assert answer.elapsed.total_seconds() < 3
    other.execute("ROLLBACK")
    other.close()
    assert gateway.send("replay", GOOD["replay"]).status_code == 200
    assert sandbox.count()["calls"] == 2
