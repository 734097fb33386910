"""MCP over HTTP: failures whose words reach nobody, texts that come through whole, and calls that are given up."""

import asyncio
import json
import logging
from contextlib import suppress

import pytest
from django.db import connection

from gateway.audit.models import Outcome
from gateway.mcp_server import server as server_module
from tests.conftest import GOOD
from tests.mcp_server.door import Asgi, request
from tests.mcp_server.protocol import (
    HANDSHAKE,
    INTERNAL,
    MODERN,
    REPLAY,
    envelope,
    initialize,
    modern,
)
from tests.waiting import wait_for

# failures


@pytest.mark.parametrize("version", [*HANDSHAKE, MODERN])
@pytest.mark.parametrize(
    ("method", "params", "name", "broken"),
    [
        ("tools/list", {}, None, "tools.tools_for"),
        ("tools/call", REPLAY, "replay", "tools.call"),
        ("resources/list", {}, None, "resources.resources_for"),
        ("resources/read", {"uri": "operations://replay"}, "operations://replay", "resources.read"),
        ("prompts/list", {}, None, "prompts.prompts"),
        ("prompts/get", {"name": "prepare-a-replay"}, "prepare-a-replay", "prompts.prompt"),
    ],
)
def test_the_text_of_an_exception_reaches_nobody(asgi, monkeypatch, caplog, version, method, params, name, broken):
    def fail(*_):
        raise ValueError("@".join(["jane", "example.com"]))

    monkeypatch.setattr(f"gateway.mcp_server.server.{broken}", fail)
    headers = modern(method, name) if version == MODERN else {"MCP-Protocol-Version": version}
    with caplog.at_level(logging.INFO):
        answer = asgi.ask(method, envelope(params) if version == MODERN else params, headers)
    assert answer.json()["error"] == {"code": INTERNAL, "message": "The gateway failed. The log of its process has the place."}
    assert "jane@example.com" not in answer.content.decode() + caplog.text
    assert "ValueError" in caplog.text


def test_the_text_of_an_exception_outside_the_handlers_reaches_nobody(asgi, monkeypatch, caplog):
    async def fail(*_, **__):
        raise ValueError("@".join(["jane", "example.com"]))

    monkeypatch.setattr("gateway.mcp_server.exchange.serve_one", fail)
    answer = asgi.ask("ping")
    assert answer.json()["error"]["code"] == INTERNAL
    assert "jane@example.com" not in answer.content.decode() + caplog.text


def test_a_log_that_cannot_be_read_is_told_without_its_words(asgi, sandbox):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_outcome RENAME TO away_outcome")
        cursor.execute("ALTER TABLE audit_call RENAME TO away_call")
    try:
        read = [asgi.error("resources/list"), asgi.error("resources/read", {"uri": "calls://01a20c8c-7b46-77ed-afd0-713e642ed7b3"})]
        read.append(asgi.error("prompts/get", {"name": "investigate-failed-calls"}))
        called = asgi.result("tools/call", REPLAY)["structuredContent"]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE away_outcome RENAME TO audit_outcome")
            cursor.execute("ALTER TABLE away_call RENAME TO audit_call")
    assert read == [{"code": INTERNAL, "message": server_module._NO_LOG}] * 3
    assert (called["status"], called["reason"], sandbox.count()["calls"]) == (503, "log_unavailable", 0)


def test_a_call_that_waited_too_long_for_a_thread_is_not_sent(asgi, sandbox, monkeypatch):
    monkeypatch.setattr("gateway.mcp_server.threads.QUEUE_SECONDS", -1.0)
    shown = asgi.result("tools/call", REPLAY)["structuredContent"]
    assert (shown["status"], shown["reason"], shown["retry_after"]) == (503, "busy", "1")
    assert (Outcome.objects.get().reason, sandbox.count()["calls"]) == ("busy", 0)


# texts on their way through


def test_numbers_and_texts_come_through_whole(asgi, sandbox):
    arguments = b'{"batch":[{"userId":"\\ud800 \\u0000 {{x}} \xc3\xa9","n":[9007199254740993,0.1,12345678901234567890123]}]}'
    content = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"replay","arguments":%s}}' % arguments
    assert asgi.post(content).json()["result"]["structuredContent"]["outcome"] == "accepted"
    assert sandbox.count()["stored"] == 1


def test_500_levels_come_through_by_every_version(asgi, sandbox):
    deep = json.loads(b'{"a":' * 500 + b"1" + b"}" * 500)
    params = {"name": "extract", "arguments": {"event": deep}}
    assert asgi.result("tools/call", params)["structuredContent"]["outcome"] == "accepted"
    assert asgi.result("tools/call", envelope(params), modern("tools/call", "extract"))["structuredContent"]["outcome"] == "accepted"


@pytest.mark.parametrize("text", ['{"a": 1' + "0" * 400 + "}", "[" * 100 + "]" * 100, '"\\ud800"', "[1e400]", '"\\u0000"'])
def test_whatever_upstream_says_comes_through(asgi, sandbox, text):
    sandbox.trouble("answer", times=1, content_type="application/json", body=text)
    result = asgi.result("tools/call", REPLAY)
    assert result["structuredContent"] == json.loads(result["content"][0]["text"])
    assert result["structuredContent"]["outcome"] == "accepted"


def test_half_a_surrogate_pair_in_names_breaks_no_answer(asgi, sandbox):
    for arguments in ({"\ud800": 1}, {**GOOD["replay"], "\ud800": "\ud800"}, {**GOOD["replay"], "source": "\ud800"}):
        shown = asgi.result("tools/call", {"name": "replay", "arguments": arguments})["structuredContent"]
        assert (shown["status"], shown["outcome"]) == (400, "refused")


def test_half_a_surrogate_pair_that_an_answer_repeats_is_a_question_mark(asgi):
    assert asgi.error("resources/read", {"uri": "calls://\ud800"})["data"] == {"uri": "calls://?"}
    [content] = asgi.result("prompts/get", {"name": "prepare-a-replay", "arguments": {"events": "a\udfffb"}})["messages"]
    assert "Events: a?b" in content["content"]["text"]


# hanging up, and cancelling by name


def hang(asgi, sandbox, headers, then, request_id="c-1"):
    """Ask for a call that takes long, and do `then` once it is on its way; the answer, or None where nobody was there to take it."""
    sandbox.trouble("delay", times=1, seconds=20)

    async def work():
        gone = asyncio.Event()
        asking = asyncio.create_task(asgi.asked(request("tools/call", REPLAY, request_id), headers, "POST", "/mcp", None, gone))
        while sandbox.sandbox.trouble is not None:
            await asyncio.sleep(0.01)
        await then(gone, asking)
        with suppress(asyncio.CancelledError):
            return await asking

    return asyncio.run(work())


def test_a_client_that_hangs_up_stops_its_call(asgi, sandbox):
    async def leave(gone, _):
        gone.set()

    hang(asgi, sandbox, {}, leave)
    outcome = wait_for(lambda: Outcome.objects.first())
    assert (outcome.result, outcome.reason) == ("unknown", "cancelled")


@pytest.mark.parametrize("named", ["c-1", "c-2", 1])
def test_a_client_cancels_its_call_by_its_id_alone(asgi, make_key, sandbox, named):
    session = asgi.ask("initialize", initialize("2025-11-25")).headers["mcp-session-id"]
    headers, other = {"Mcp-Session-Id": session}, Asgi(asgi.front, make_key("other"))

    async def cancel(gone, asking):
        note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": named}}
        for who, by in ((other, headers), (asgi, {}), (asgi, headers)):
            assert not asking.done()
            assert (await who.asked(note, by, "POST", "/mcp", None, None)).status == 202
        if named != "c-1":
            await asyncio.sleep(0)
            assert not asking.done()
            gone.set()

    answer = hang(asgi, sandbox, headers, cancel)
    if named == "c-1":
        assert answer.json() == {"jsonrpc": "2.0", "id": "c-1", "error": {"code": -32800, "message": "The request was cancelled."}}
    outcome = wait_for(lambda: Outcome.objects.first())
    assert (outcome.result, outcome.reason) == ("unknown", "cancelled")


@pytest.mark.parametrize("request_id", [0, ""])
def test_a_client_cancels_the_call_that_it_numbered_with_nothing(asgi, sandbox, request_id):
    headers = {"Mcp-Session-Id": asgi.ask("initialize", initialize("2025-11-25")).headers["mcp-session-id"]}

    async def cancel(gone, asking):
        note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": request_id}}
        await asgi.asked(note, headers, "POST", "/mcp", None, None)
        _, waiting = await asyncio.wait([asking], timeout=5)
        gone.set()
        assert not waiting

    answer = hang(asgi, sandbox, headers, cancel, request_id)
    assert answer.json() == {"jsonrpc": "2.0", "id": request_id, "error": {"code": -32800, "message": "The request was cancelled."}}
    outcome = wait_for(lambda: Outcome.objects.first())
    assert (outcome.result, outcome.reason) == ("unknown", "cancelled")


def test_a_request_that_the_server_gives_up_stops_its_call(asgi, sandbox):
    async def give_up(_, asking):
        asking.cancel()

    assert hang(asgi, sandbox, {}, give_up) is None
    outcome = wait_for(lambda: Outcome.objects.first())
    assert (outcome.result, outcome.reason) == ("unknown", "cancelled")
    assert asgi.front._held.size == 0
