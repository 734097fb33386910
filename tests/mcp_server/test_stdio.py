"""MCP over a process's own streams, here over pipes: one answer to each request, and no line that stops the server."""

import json
import os
import threading

import anyio
import pytest
from django.db import connections

from gateway.access import keys
from gateway.audit.models import Call, Channel
from gateway.mcp_server import stdio
from tests.conftest import GOOD
from tests.mcp_server.door import request, text_of

PARSE, INVALID, NO_METHOD, BAD_PARAMS = -32700, -32600, -32601, -32602
INITIALIZE = request("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "program", "version": "1.2"}}, "i")
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
REPLAY = request("tools/call", {"name": "replay", "arguments": GOOD["replay"]}, "c")
PING = request("ping", None, "ping")


@pytest.fixture
def talk(transactional_db, make_key, sandbox, settings, monkeypatch):
    """Gives lines to a server, and returns what it says until it has answered a last ping, and what else is awaited."""
    settings.GATEWAY_API_KEY = make_key()
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)

    def run(*lines, awaited=()):
        (from_client, to_server), (from_server, to_client) = os.pipe(), os.pipe()
        said = []

        def drive():
            with open(from_server, "rb") as answers, open(to_server, "wb") as server:
                for line in [INITIALIZE, INITIALIZED, *lines, PING]:
                    server.write(text_of(line) + b"\n")
                    server.flush()
                for answer in answers:
                    said.append(json.loads(answer))
                    if {each["id"] for each in said} >= {"ping", *awaited}:
                        break

        driver = threading.Thread(target=drive)
        with open(from_client, "rb") as stdin, open(to_client, "wb") as stdout:
            driver.start()
            anyio.run(stdio._run, stdin, stdout)
        driver.join(20)
        assert not driver.is_alive()
        answers = {answer["id"]: answer for answer in said}
        assert len(answers) == len(said)
        assert answers["ping"] == {"jsonrpc": "2.0", "id": "ping", "result": {}}
        return answers

    return run


def test_a_handshake_and_a_ping_are_answered(talk):
    said = talk()
    assert list(said) == ["i", "ping"]
    assert said["i"]["result"]["serverInfo"]["name"] == "rudder-gateway"


@pytest.mark.parametrize(
    ("line", "code", "request_id"),
    [
        (b"", PARSE, None),
        (b"{sesame", PARSE, None),
        (b"\xff", PARSE, None),
        (b"[" * 50_000, PARSE, None),
        ([PING], INVALID, None),
        ({"jsonrpc": "1.0", "id": 1, "method": "ping"}, INVALID, None),
        (request("ping", request_id="\ud800"), INVALID, None),
        (request("\ud800", request_id=7), INVALID, 7),
        (request("nope", request_id=7), NO_METHOD, 7),
        (request("tools/call", {"name": "nope"}, 7), BAD_PARAMS, 7),
        (request("tools/call", {"name": "sesame", "arguments": 5}, 7), BAD_PARAMS, 7),
        (request("resources/read", {"uri": "calls://\ud800"}, 7), -32002, 7),
        (request("prompts/get", {"name": "investigate-failed-calls", "arguments": {"hours": "sesame"}}, 7), BAD_PARAMS, 7),
    ],
    ids=range(13),
)
def test_a_bad_line_is_answered_and_the_server_goes_on(talk, line, code, request_id):
    answer = talk(line, awaited=[request_id])[request_id]
    assert (answer["jsonrpc"], answer["error"]["code"]) == ("2.0", code)
    assert "sesame" not in json.dumps(answer)


@pytest.mark.parametrize(
    "line",
    [
        INITIALIZED,
        {"jsonrpc": "2.0", "method": "notifications/nope"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "nope"}},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": [1]}},
        {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"\ud800": "\ud800"}},
        {"jsonrpc": "2.0", "id": 7, "result": {}},
        {"jsonrpc": "2.0", "id": 7, "error": {"code": 1, "message": "no"}},
        {"jsonrpc": "2.0", "id": 7, "result": 5},
        {"jsonrpc": "2.0", "id": 7, "error": "sesame"},
        {"jsonrpc": "2.0", "id": 7, "error": {"code": "x", "message": 5}},
    ],
    ids=range(10),
)
def test_what_asks_for_no_answer_gets_none(talk, line):
    assert list(talk(line)) == ["i", "ping"]


def test_a_call_is_served_and_recorded_without_an_address(talk, sandbox, settings):
    shown = talk(REPLAY, awaited=["c"])["c"]["result"]["structuredContent"]
    assert (shown["outcome"], sandbox.count()["stored"]) == ("accepted", 1)
    call = Call.objects.get(id=shown["audit_id"])
    assert (call.channel, call.address, call.key_prefix) == ("mcp", "", settings.GATEWAY_API_KEY[:12])
    assert json.loads(call.headers)["MCP-Client"] == "program/1.2"
    assert "X-Forwarded-For" not in dict(sandbox.received()[0]["headers"])


def test_texts_of_any_kind_come_through(talk, sandbox):
    line = text_of(REPLAY).replace(b"u-1", b"\\ud800 \\u0000 \xc3\xa9")
    assert talk(line, awaited=["c"])["c"]["result"]["structuredContent"]["outcome"] == "accepted"
    sandbox.trouble("answer", times=1, body="\u2028 \xe9 \n \r")
    assert talk(REPLAY, awaited=["c"])["c"]["result"]["structuredContent"]["result"] == "\u2028 \xe9 \n \r"


def test_500_levels_come_through(talk, sandbox):
    deep = b'{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"extract","arguments":{"event":%s}}}'
    line = deep % (b'{"a":' * 500 + b"1" + b"}" * 500)
    assert talk(line, awaited=["c"])["c"]["result"]["structuredContent"]["outcome"] == "accepted"


def test_a_line_that_is_too_long_is_answered_and_the_server_goes_on(talk, settings):
    settings.GATEWAY_MAX_BODY_BYTES = 1000
    answer = talk(b" " * 200_000, awaited=[None])[None]
    assert (answer["error"]["code"], "GATEWAY_MAX_BODY_BYTES" in answer["error"]["message"]) == (INVALID, True)


def test_a_key_that_is_revoked_calls_nothing(talk, sandbox, settings):
    keys.revoke(settings.GATEWAY_API_KEY[:12], actor="tests", channel=Channel.CLI)
    answer = talk(REPLAY, awaited=["c"])["c"]
    assert (answer["error"]["code"], "create_api_key" in answer["error"]["message"]) == (INVALID, True)
    assert (Call.objects.count(), sandbox.count()["calls"]) == (0, 0)


def test_an_exceptions_text_reaches_nobody(talk, monkeypatch):
    def fail(*_):
        raise ValueError("sesame")

    monkeypatch.setattr("gateway.mcp_server.server.tools.tools_for", fail)
    answer = talk(request("tools/list", None, "c"), awaited=["c"])["c"]
    assert (answer["error"]["code"], "sesame" in json.dumps(answer)) == (-32603, False)
