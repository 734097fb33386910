"""MCP on standard streams, line by line: what is written there, what bad lines get, and how it ends."""

import json
import os
import signal
import subprocess
import time

import pytest

from tests.processes import ROOT
from tests.system.mcp import ARGUMENTS, HANDSHAKES, Lines, Log, hello, message, parameters
from tests.waiting import wait_for

pytestmark = pytest.mark.alone


def test_stdout_holds_messages_alone_even_with_everything_logged(served, sandbox):
    sandbox.trouble("500", times=1)
    with Lines(served, GATEWAY_LOG_LEVEL="DEBUG").begin() as stdio:
        assert stdio.call()["outcome"] == "failed"
        assert stdio.call()["outcome"] == "accepted"
        assert stdio.call("replay", {"batch": 7})["outcome"] == "refused"
        assert stdio.ask("nothing/at/all")["error"]["code"] == -32601
        stdio.write(b"nonsense")
        assert stdio.read()["error"]["code"] == -32700
        assert stdio.end(10) == 0
        stdio._reader.join(5)
        assert len(stdio.lines) == 6
        for line in stdio.lines:
            assert json.loads(line)["jsonrpc"] == "2.0"
        assert b" DEBUG " in stdio.errors.read_bytes()


@pytest.mark.parametrize(("key", "told"), [("", "GATEWAY_API_KEY is not set"), ("rgw_" + "a" * 48, "is not known, or revoked")])
def test_standard_streams_without_a_good_key_end_with_one_line(served, key, told):
    started = parameters(served, GATEWAY_API_KEY=key)
    done = subprocess.run([started.command, *started.args], cwd=ROOT, env=started.env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_key_that_is_revoked_in_the_middle_sends_no_more(served, sandbox):
    key = served.make_key("leaver")
    with Lines(served, GATEWAY_API_KEY=key).begin() as stdio:
        assert stdio.call()["outcome"] == "accepted"
        served.manage("revoke_api_key", key[:12])
        # Only what was looked up within the last seconds is still taken for good.
        last = stdio.ask("ping")
        assert last["result"] == {}
        time.sleep(2.1)
        sent = sandbox.count()["calls"]
        answer = stdio.ask("tools/call", {"name": "replay", "arguments": ARGUMENTS["replay"]})
        assert "not known, or revoked" in answer["error"]["message"]
        assert "not known, or revoked" in stdio.ask("resources/list")["error"]["message"]
        assert sandbox.count()["calls"] == sent


def nested(levels):
    """A call with an argument of so many levels."""
    event = b'{"type":"track","userId":"u-1","properties":' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"
    return b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"replay","arguments":{"batch":[' + event + b"]}}}"


BAD = {
    "not JSON": (b"{nonsense", -32700, None),
    "not UTF-8": (b'{"jsonrpc":"2.0","id":7,"method":"\xff"}', -32700, None),
    "nothing": (b"", -32700, None),
    "too deep for any reader": (nested(20_000), -32700, None),
    "too long": (b'{"jsonrpc":"2.0","id":7,"method":"' + b"x" * 200_000 + b'"}', -32600, None),
    "a list": (b"[]", -32600, None),
    "no method": (b'{"jsonrpc":"2.0","id":7}', -32600, 7),
    "params that are none": (b'{"jsonrpc":"2.0","id":7,"method":"tools/list","params":[1]}', -32600, 7),
    "the wrong arguments": (b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":7}}', -32602, 7),
}


def test_bad_lines_are_answered_and_the_next_call_works(served, sandbox):
    with Lines(served, GATEWAY_MAX_BODY_BYTES="100000").begin() as stdio:
        for kind, (line, code, request_id) in BAD.items():
            stdio.write(line)
            answer = stdio.read()
            assert (answer["error"]["code"], answer["id"]) == (code, request_id), (kind, answer)
            assert stdio.call()["outcome"] == "accepted", kind
        assert sandbox.count()["calls"] == len(BAD)


def test_five_hundred_levels_get_an_answer_and_the_next_call_works(served, sandbox):
    with Lines(served).begin() as stdio:
        stdio.write(nested(500))
        answer = stdio.read()
        assert answer["id"] == 7
        told = answer["result"]["structuredContent"]
        assert (told["outcome"], told["events"]) == ("accepted", 1)
        assert sandbox.received()[-1]["body"].count('{"a":') == 500
        assert stdio.call()["outcome"] == "accepted"


@pytest.mark.parametrize("how", ["end of input", "SIGTERM", "SIGINT"])
def test_an_end_with_a_call_on_its_way_is_quick_and_recorded(served, sandbox, how):
    sandbox.trouble("delay", seconds=20, times=1)
    log = Log(served)
    with Lines(served).begin() as stdio:
        stdio.write(json.dumps(message("tools/call", {"name": "replay", "arguments": ARGUMENTS["replay"]})).encode())
        wait_for(lambda: sandbox.count()["calls"] == 1)
        started = time.monotonic()
        if how == "end of input":
            stdio.process.stdin.close()
        else:
            stdio.process.send_signal(getattr(signal, how))
        assert stdio.process.wait(10) == 0
        assert time.monotonic() - started < 3.0
        assert b"Fatal" not in stdio.errors.read_bytes()
    row = log.one(seconds=0.1, result="unknown")
    assert (row["reason"], row["status"]) == ("cancelled", 504)


@pytest.mark.parametrize("how", ["end of input", "SIGTERM"])
def test_a_client_that_reads_nothing_does_not_keep_it_from_ending(served, sandbox, how):
    started = parameters(served)
    command = [started.command, *started.args]
    with subprocess.Popen(command, cwd=ROOT, env=started.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdin.write(json.dumps(message("initialize", hello(HANDSHAKES[-1]), 0)).encode() + b"\n")
        process.stdin.flush()
        assert process.stdout.readline()
        for number in range(1, 50):  # more than a pipe holds
            process.stdin.write(json.dumps(message("tools/list", {}, number)).encode() + b"\n")
        process.stdin.flush()
        time.sleep(1)
        began = time.monotonic()
        if how == "end of input":
            process.stdin.close()
        else:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            process.kill()
        assert time.monotonic() - began < 4.0


def test_a_client_that_closes_its_end_ends_it(served, sandbox):
    log = Log(served)
    with Lines(served).begin() as stdio:
        assert stdio.call()["outcome"] == "accepted"
        # The reading thread holds the stream, so its descriptor is put elsewhere under it.
        nothing = os.open(os.devnull, os.O_RDONLY)
        stdio.write(json.dumps(message("tools/list", {}, 1)).encode())
        stdio.read()
        os.dup2(nothing, stdio.process.stdout.fileno())
        os.close(nothing)
        stdio.write(json.dumps(message("tools/call", {"name": "replay", "arguments": ARGUMENTS["replay"]}, 2)).encode())
        stdio.write(json.dumps(message("tools/list", {}, 3)).encode())
        assert stdio.process.wait(20) == 0
        assert b"Traceback" not in stdio.errors.read_bytes()
    assert all(row["result"] == "accepted" or row["reason"] == "cancelled" for row in log.calls())
