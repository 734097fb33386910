"""Calls whose client does not wait any more: they stop within a second, and the log says what is known."""

import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.mcp_server import cancellations
from tests.system.mcp import ARGUMENTS, HANDSHAKES, STATELESS, Lines, Log, Raw, client
from tests.tree import children
from tests.waiting import wait_for

pytestmark = pytest.mark.alone

SECONDS = 2.0
"""Within which a cancel must be in the log."""
CALL = {"name": "replay", "arguments": ARGUMENTS["replay"]}


@pytest.fixture
def slow(sandbox):
    """The next call is answered late; `slow()` waits until RudderStack has it."""
    sandbox.trouble("delay", seconds=20, times=1)
    return lambda: wait_for(lambda: sandbox.count()["calls"] == 1)


def assert_cancelled(log):
    row = log.one(SECONDS, result="unknown")
    assert (row["reason"], row["channel"]) == ("cancelled", "mcp")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("transport", ["http", "stdio"])
def test_the_sdks_cancel_reaches_the_call(served, sandbox, slow, transport, mode):
    log = Log(served)

    async def cancel():
        async with client(served, mode, transport) as sdk:
            call = asyncio.create_task(sdk.call_tool("replay", ARGUMENTS["replay"]))
            await asyncio.to_thread(slow)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.to_thread(assert_cancelled, log)
            assert (await sdk.call_tool("replay", ARGUMENTS["replay"])).structured_content["outcome"] == "accepted"

    asyncio.run(cancel())


def request(raw, method="tools/call", params=CALL, request_id=1):
    """A request's bytes."""
    headers, body = raw.prepared(method, params, request_id)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if name.lower() != "connection")
    return f"POST /mcp HTTP/1.1\r\nHost: localhost\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize("version", [HANDSHAKES[0], HANDSHAKES[-1], STATELESS])
def test_a_client_that_hangs_up_cancels_its_call(served, sandbox, slow, version):
    with Raw(served, version) as raw, socket.create_connection(("127.0.0.1", served.mcp_port)) as connection:
        log = Log(served)
        connection.sendall(request(raw))
        slow()
        connection.close()
        assert_cancelled(log)
        assert raw.call()["outcome"] == "accepted"


@pytest.mark.parametrize("version", HANDSHAKES)
@pytest.mark.parametrize("request_id", [5, "five"])
def test_a_cancel_by_name_is_answered_and_reaches_the_call(served, sandbox, slow, version, request_id):
    with Raw(served, version) as raw, ThreadPoolExecutor(1) as thread:
        log = Log(served)
        answer = thread.submit(raw.ask, "tools/call", CALL, request_id)
        slow()
        assert raw.cancel(request_id).status_code == 202
        assert_cancelled(log)
        assert answer.result()["error"]["code"] == -32800
        assert answer.result()["id"] == request_id


def test_a_cancel_by_name_on_standard_streams(served, sandbox, slow):
    log = Log(served)
    with Lines(served).begin() as stdio:
        stdio.write(b'{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"replay","arguments":{"batch":[{"userId":"u-1"}]}}}')
        slow()
        stdio.write(b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}')
        assert_cancelled(log)
        assert stdio.call(request_id=6)["outcome"] == "accepted"


def test_a_cancel_of_another_session_key_or_id_cancels_nothing(served, sandbox):
    sandbox.trouble("delay", seconds=2, times=1)
    other = served.make_key("other")
    with Raw(served) as raw, Raw(served) as second, Raw(served, key=other) as stranger, ThreadPoolExecutor(1) as thread:
        log = Log(served)
        answer = thread.submit(raw.call, "replay", ARGUMENTS["replay"], 5)
        wait_for(lambda: sandbox.count()["calls"] == 1)
        session = raw.http.headers["Mcp-Session-Id"]
        tries = [
            second.cancel(5),
            stranger.cancel(5),
            stranger.cancel(5, **{"Mcp-Session-Id": session}),
            raw.cancel(6),
            raw.cancel("5"),
            raw.cancel(None),
            raw.cancel([5]),
        ]
        assert {answer.status_code for answer in tries} <= {202, 400}
        assert not answer.done()
        assert answer.result()["outcome"] == "accepted"
        assert log.one(result="accepted")
        # What was left for other processes is not taken for a later call of the same id.
        assert raw.call(request_id=6)["outcome"] == "accepted"


def test_a_call_that_waits_for_a_thread_and_is_cancelled_is_never_sent(gateway_with, sandbox):
    gateway = gateway_with(None, start=False, GATEWAY_WEB_THREADS="1")
    gateway.start_mcp()
    sandbox.trouble("delay", seconds=2, times=1)
    with Raw(gateway) as raw, Raw(gateway) as waiting, ThreadPoolExecutor(2) as threads:
        log = Log(gateway)
        first = threads.submit(raw.call)
        wait_for(lambda: sandbox.count()["calls"] == 1)
        with socket.create_connection(("127.0.0.1", gateway.mcp_port)) as connection:
            connection.sendall(request(waiting))
            time.sleep(0.3)
        second = threads.submit(waiting.ask, "tools/call", CALL, 5)
        time.sleep(0.3)
        waiting.cancel(5)
        assert second.result(1.0)["error"]["code"] == -32800
        assert not first.done()
        assert first.result()["outcome"] == "accepted"
        assert waiting.call()["outcome"] == "accepted"
    assert [row["result"] for row in log.calls()] == ["accepted", "accepted"]
    assert sandbox.count()["calls"] == 2


class Connection:
    """A connection of one's own to an MCP server, and which of the processes that `first` started has the other end."""

    def __init__(self, gateway, first):
        self.raw = Raw(gateway)
        self.socket = socket.create_connection(("127.0.0.1", gateway.mcp_port))
        self.ask("ping")
        # An earlier connection from the same port, to another server, may linger there.
        ends = [f"0100007F:{port:04X}" for port in (gateway.mcp_port, self.socket.getsockname()[1])]
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        inode = next(row[9] for row in rows if row[1:3] == ends)
        self.process = next(pid for pid in children(first) if inode in _sockets(pid))

    def ask(self, method, params=None, request_id=1):
        self.socket.sendall(request(self.raw, method, params, request_id))
        return self.socket.recv(65536)

    def close(self):
        self.socket.close()
        self.raw.http.close()


def _sockets(pid):
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(str(descriptor.readlink()).removeprefix("socket:[").rstrip("]"))
        except FileNotFoundError:
            pass
    return found


def test_with_two_processes_both_serve_and_a_cancel_at_the_other_one_works(gateway_with, postgresql, sandbox):
    gateway = gateway_with(postgresql.database(), start=False, GATEWAY_MCP_PROCESSES="2")
    process = gateway.start_mcp()
    to, spare = {}, []
    while len(to) < 2:
        assert len(spare) < 200
        connection = Connection(gateway, process.pid)
        spare.append(connection)
        to.setdefault(connection.process, connection)
    one, other = to.values()
    try:
        for connection in to.values():
            assert b'"outcome":"accepted"' in connection.ask("tools/call", CALL)
        for number, here, there in ((5, one, other), (6, other, one)):
            sandbox.reset()
            sandbox.trouble("delay", seconds=20, times=1)
            log = Log(gateway)
            answers = []
            asking = threading.Thread(target=lambda here=here, number=number, answers=answers: answers.append(here.ask("tools/call", CALL, number)))
            asking.start()
            wait_for(lambda: sandbox.count()["calls"] == 1)
            # At the other process: in a session of its own, which names another call, and in the session of the first.
            assert b" 202 " in there.ask("notifications/cancelled", {"requestId": number}, None).partition(b"\r\n")[0]
            time.sleep(3 * cancellations.SECONDS)
            assert log.one()["result"] is None
            own, there.raw.http.headers["Mcp-Session-Id"] = there.raw.http.headers["Mcp-Session-Id"], here.raw.http.headers["Mcp-Session-Id"]
            assert b" 202 " in there.ask("notifications/cancelled", {"requestId": number}, None).partition(b"\r\n")[0]
            there.raw.http.headers["Mcp-Session-Id"] = own
            assert_cancelled(log)
            asking.join(5)
            assert b"-32800" in answers[0]
        # What was for nobody is left; what was for somebody is gone.
        assert len(list((gateway.folder / "var" / "cancelled").iterdir())) == 2
    finally:
        for connection in spare:
            connection.close()
