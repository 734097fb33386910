"""The MCP server under load, with clients that misbehave, without its database, and when it is stopped."""

import asyncio
import json
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import requests

from tests.processes import Gateway
from tests.system.mcp import ARGUMENTS, BOTH, HANDSHAKES, STATELESS, Log, Raw
from tests.tree import kill_tree, tree
from tests.waiting import wait_for

pytestmark = pytest.mark.alone

CALLS = 1000
MIB = 1024 * 1024
THREADS = 64 + 8 + 1
"""Of calls, of what only reads, and the one that writes."""
CALL = {"name": "replay", "arguments": ARGUMENTS["replay"]}


def held(process):
    """Threads and open files of a server and its processes."""
    pids = tree(process.pid)
    files = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)
    return {"threads": sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in pids), "files": files}


def connections(address):
    """Connections that others than we have to a database."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with psycopg.connect(address) as connection:
        return connection.execute(query).fetchone()[0]


def clients_of(gateway):
    """Connections of clients that an MCP server has."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{gateway.mcp_port:04X}") and row[3] in ("01", "08") for row in rows)


def at_once(gateway, count):
    """So many calls, each on a connection of its own, in two versions of the protocol: status and outcome of each."""
    with Raw(gateway) as raw, Raw(gateway, STATELESS) as stateless:
        prepared = [content(one, "Connection: close\r\n") for one in (raw, stateless)]

    async def call(number):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.mcp_port)
        writer.write(prepared[number % 2])
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        return int(head.split()[1]), json.loads(body)["result"]["structuredContent"]["outcome"]

    async def all_of_them():
        return await asyncio.gather(*map(call, range(count)))

    return asyncio.run(all_of_them())


def content(raw, more=""):
    """A call's bytes."""
    headers, body = raw.prepared("tools/call", CALL)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if name.lower() != "connection")
    return f"POST /mcp HTTP/1.1\r\nHost: localhost\r\n{lines}{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


def test_a_thousand_calls_at_once_are_answered_recorded_and_leave_nothing(gateway_with, database, sandbox):
    gateway = gateway_with(database, start=False)
    process = gateway.start_mcp()
    before, connected, log = held(process), clients_of(gateway), Log(gateway)
    started = time.monotonic()
    assert at_once(gateway, CALLS) == [(200, "accepted")] * CALLS
    took = time.monotonic() - started
    rows = log.calls()
    assert [row["result"] for row in rows] == ["accepted"] * CALLS
    assert sorted({row["headers"]["MCP-Protocol-Version"] for row in rows}) == [HANDSHAKES[-1], STATELESS]
    assert sandbox.count()["calls"] == CALLS
    wait_for(lambda: clients_of(gateway) == connected, 10)
    after = held(process)
    assert after["threads"] <= before["threads"] + THREADS
    # A connection to RudderStack for each call's thread; one to the database, which SQLite has up to three files for, for each of all.
    assert after["files"] <= before["files"] + 64 + 3 * THREADS < CALLS
    if database:
        assert 0 < connections(database) <= THREADS
    print(f"{CALLS} calls on {database or 'SQLite'}: {took:.1f} s, {before} before, {after} after")


@pytest.fixture(scope="module")
def strict(tmp_path_factory, _running_sandbox):
    """A gateway with small limits, for all tests that try them."""
    limits = {"GATEWAY_MAX_BODY_BYTES": str(5 * MIB), "GATEWAY_BODY_SECONDS": "2"}
    gateway = Gateway(tmp_path_factory.mktemp("strict"), _running_sandbox.url, **limits)
    gateway.process = gateway.start_mcp()
    yield gateway
    gateway.stop()


def cut(gateway, body, length):
    """Begin an upload: the connection, and what must be read from it."""
    head = "".join(f"{name}: {value}\r\n" for name, value in BOTH.items())
    connection = socket.create_connection(("127.0.0.1", gateway.mcp_port), timeout=15)
    text = f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {gateway.key}\r\n{head}Content-Length: {length}\r\n\r\n"
    connection.sendall(text.encode() + body)
    return connection


def test_an_upload_that_is_cut_leaves_nothing(strict, sandbox):
    with Raw(strict) as raw:
        assert raw.call()["outcome"] == "accepted"
        before, log = held(strict.process), Log(strict)
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": CALL}).encode()
        for _ in range(20):
            cut(strict, body[:-5], len(body)).close()
            cut(strict, body, len(body) + 1_000_000).close()
        assert raw.call()["outcome"] == "accepted"
        assert [row["result"] for row in log.calls()] == ["accepted"]
        assert sandbox.count()["calls"] == 2
        wait_for(lambda: held(strict.process)["files"] <= before["files"], 10)


def test_an_upload_that_is_slow_is_refused_in_time(strict, sandbox):
    started = time.monotonic()
    with cut(strict, b'{"jsonrpc":', 100) as connection:
        answer = connection.recv(65536)
    assert 1.5 < time.monotonic() - started < 4.0
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"body_too_slow" in answer


def large(size):
    """Arguments of replay whose body has exactly so many bytes."""
    event = {"type": "track", "userId": "u-1", "properties": {"text": ""}}
    event["properties"]["text"] = "x" * (size - len(json.dumps({"batch": [event]}, separators=(",", ":"))))
    return {"batch": [event]}


def test_a_replay_may_have_what_rudderstack_takes_and_no_more(strict, sandbox):
    with Raw(strict) as raw:
        assert raw.call("replay", large(4_096_000))["outcome"] == "accepted"
        told = raw.call("replay", large(4_096_001))
        assert (told["isError"], told["outcome"], told["status"], told["origin"]) == (True, "refused", 413, "gateway")
        told = raw.call("replay", large(4 * MIB))
        assert (told["outcome"], told["status"]) == ("refused", 413)
        assert len(sandbox.received()) == 1
        event = {"userId": "u-1", "properties": {"listData": {}, "text": "x" * 4 * MIB}}
        assert raw.call("audience-list", {"event": event})["outcome"] == "accepted"
        assert len(sandbox.received()[-1]["body"]) > 4 * MIB


def test_a_body_over_the_gateways_own_limit_is_refused(strict, sandbox):
    log = Log(strict)
    with Raw(strict) as raw:
        event = {"userId": "u-1", "properties": {"listData": {}, "text": "x" * 5 * MIB}}
        told = raw.call("audience-list", {"event": event})
        assert (told["outcome"], told["status"], told["reason"]) == ("refused", 413, "body_too_large")
        assert log.one(result="refused", status=413, reason="body_too_large")
        event["properties"]["text"] = "x" * 6 * MIB
        headers, body = raw.prepared("tools/call", {"name": "audience-list", "arguments": {"event": event}})
        answer = raw.post(body, headers=headers)
        assert (answer.status_code, answer.json()["reason"]) == (413, "body_too_large")
        assert raw.call()["outcome"] == "accepted"
    assert sandbox.count()["calls"] == 1


def test_one_idempotency_key_is_sent_once(served, sandbox):
    sandbox.trouble("delay", seconds=0.5, times=1)
    arguments = {**ARGUMENTS["replay"], "idempotency_key": "once"}

    def call(number):
        with Raw(served, (*HANDSHAKES, STATELESS)[number % 5]) as raw:
            return raw.call("replay", arguments)

    with ThreadPoolExecutor(20) as threads:
        told = list(threads.map(call, range(20)))
    first = [one for one in told if one["outcome"] == "accepted" and "replayed" not in one]
    assert len(first) == 1
    others = [one for one in told if one not in first]
    assert all(one.get("replayed") or one["reason"] == "in_flight" for one in others), others
    assert sandbox.count()["calls"] == 1
    again = call(0)
    assert (again["outcome"], again["replayed"], again["audit_id"]) == ("accepted", True, first[0]["audit_id"])
    with Raw(served) as raw:
        other = raw.call("replay", {**arguments, "batch": [{"userId": "another"}]})
    assert (other["status"], other["reason"]) == (422, "idempotency_key_reused")
    assert sandbox.count()["calls"] == 1


def test_sigterm_lets_calls_on_their_way_finish_and_takes_no_more(strict, sandbox):
    gateway, process = strict, strict.process
    sandbox.trouble("delay", seconds=2, times=4)
    clients = [Raw(gateway), Raw(gateway), Raw(gateway, STATELESS), Raw(gateway, STATELESS)]
    log = Log(gateway)
    with ThreadPoolExecutor(4) as threads:
        answers = [threads.submit(raw.call) for raw in clients]
        wait_for(lambda: sandbox.count()["calls"] == 4)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert not any(answer.done() for answer in answers)
        with pytest.raises(requests.RequestException):
            requests.post(gateway.mcp_url, json={}, headers=BOTH, timeout=1, proxies={"http": ""})
        assert [answer.result()["outcome"] for answer in answers] == ["accepted"] * 4
    assert process.wait(10) == 0
    for raw in clients:
        raw.http.close()
    assert [(row["result"], row["status"]) for row in log.calls()] == [("accepted", 200)] * 4
    assert sandbox.count()["calls"] == 4
    gateway.process = gateway.start_mcp()
    with Raw(gateway) as raw:
        assert raw.call()["outcome"] == "accepted"


def test_a_call_whose_process_was_killed_reads_unknown_once_it_is_overdue(gateway_with, sandbox):
    settings = {"GATEWAY_DEADLINE_SECONDS": "1", "GATEWAY_CONNECT_SECONDS": "1", "GATEWAY_READ_SECONDS": "1"}
    gateway = gateway_with(None, start=False, **settings)
    process = gateway.start_mcp()
    sandbox.trouble("delay", seconds=0.9, times=1)
    with Raw(gateway) as raw, ThreadPoolExecutor(1) as thread:
        log = Log(gateway)
        answer = thread.submit(raw.call)
        wait_for(lambda: sandbox.count()["calls"] == 1)
        kill_tree(process.pid)
        process.wait()
        with pytest.raises(requests.RequestException):
            answer.result()
    row = log.one()
    assert row["result"] is None
    gateway.start_mcp()
    with Raw(gateway) as raw:

        def result():
            read = raw.ask("resources/read", {"uri": f"calls://{row['id']}"})["result"]["contents"][0]["text"]
            return json.loads(read)["result"]

        assert result() in ("in_flight", "unknown")
        wait_for(lambda: result() == "unknown", 10)
        prompt = raw.ask("prompts/get", {"name": "investigate-failed-calls"})["result"]["messages"][0]["content"]["text"]
        assert row["id"] in prompt.replace("-", "")


def test_without_postgresql_nothing_is_sent_and_then_it_goes_on(gateway_with, postgresql, sandbox):
    gateway = gateway_with(postgresql.database(), start=False)
    unknown = gateway.make_key("not looked up yet")
    gateway.start_mcp()
    with Raw(gateway) as raw, Raw(gateway, STATELESS) as stateless:

        def call(one, **headers):
            started = time.monotonic()
            known, body = one.prepared("tools/call", CALL)
            answer = one.post(body, headers={**known, **headers})
            assert time.monotonic() - started < 3.0
            return answer

        assert call(raw).status_code == call(stateless).status_code == 200
        postgresql.stop()
        try:
            for one in (raw, stateless):
                answer = call(one)
                # By now the key itself may have to be looked up, and then it is no tool that answers.
                told = answer.json()["result"]["structuredContent"] if answer.status_code == 200 else answer.json()
                assert (told["status"], told["reason"]) == (503, "log_unavailable")
            answer = call(raw, Authorization=f"Bearer {unknown}")
            assert (answer.status_code, answer.json()["reason"], answer.headers["Retry-After"]) == (503, "log_unavailable", "1")
            time.sleep(2)
            assert (call(raw).status_code, call(stateless).status_code) == (503, 503)
            assert sandbox.count()["calls"] == 2
        finally:
            postgresql.start()
        wait_for(lambda: call(raw).status_code == 200, 5)
        assert stateless.call()["outcome"] == "accepted"
