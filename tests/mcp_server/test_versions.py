"""MCP over HTTP: what is a message, and what each version of the protocol is answered."""

import json

import pytest

from gateway.audit.models import Call
from gateway.mcp_server.tools import TOOLS
from tests.mcp_server.door import Asgi, request
from tests.mcp_server.protocol import BAD_PARAMS, HANDSHAKE, INVALID, MODERN, NO_METHOD, PARSE, REPLAY, envelope, initialize, modern, told

# messages


@pytest.mark.parametrize(
    ("content", "code", "request_id"),
    [
        (b"", PARSE, None),
        (b"{sesame", PARSE, None),
        (b"\xff", PARSE, None),
        (b"[" * 50_000, PARSE, None),
        ([], INVALID, None),
        ([request("ping")], INVALID, None),
        ([request("ping"), request("tools/call", REPLAY, 2)], INVALID, None),
        ("sesame", INVALID, None),
        ({"jsonrpc": "1.0", "id": 1, "method": "ping"}, INVALID, None),
        ({"jsonrpc": "2.0", "id": 1}, INVALID, 1),
        ({"jsonrpc": "2.0", "id": 1, "method": 5}, INVALID, 1),
        ({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}, INVALID, 1),
        (request("ping", request_id=None), INVALID, None),
        (request("ping", request_id=1.5), INVALID, None),
        (request("ping", request_id="x" * 501), INVALID, None),
        (request("ping", request_id="\ud800"), INVALID, None),
        (request("\ud800"), INVALID, 1),
    ],
    ids=range(17),
)
def test_what_is_no_message_is_400_with_a_json_rpc_error(asgi, sandbox, content, code, request_id):
    answer = asgi.post(content)
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
    error = answer.json()
    assert (error["jsonrpc"], error["id"], error["error"]["code"]) == ("2.0", request_id, code)
    assert b"sesame" not in answer.content
    assert (Call.objects.count(), sandbox.count()["calls"]) == (0, 0)


@pytest.mark.parametrize(
    "content",
    [
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
        {"jsonrpc": "2.0", "method": "notifications/nope", "params": {"x": 1}},
        {"jsonrpc": "2.0", "method": "tools/call", "params": REPLAY},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "no"}},
    ],
    ids=range(6),
)
@pytest.mark.parametrize("version", [None, *HANDSHAKE, MODERN])
def test_what_asks_for_no_answer_is_taken_and_does_nothing(asgi, sandbox, content, version):
    answer = asgi.post(content, {"MCP-Protocol-Version": version})
    assert (answer.status, answer.content) == (202, b"")
    assert (Call.objects.count(), sandbox.count()["calls"]) == (0, 0)


@pytest.mark.parametrize("request_id", [0, -7, 2**60, "", "é", "a b", "x" * 500])
def test_an_answer_has_the_id_of_its_request(asgi, request_id):
    assert asgi.post(request("ping", request_id=request_id)).json() == {"jsonrpc": "2.0", "id": request_id, "result": {}}


@pytest.mark.parametrize("method", ["nope", "", "tools/nope", "tools/call ", "sampling/createMessage", "logging/setLevel"])
def test_an_unknown_method_is_told_so(asgi, method):
    answer = asgi.ask(method, {"level": "debug"})
    assert (answer.status, answer.json()["error"]["code"]) == (200, NO_METHOD)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", None),
        ("tools/call", {}),
        ("tools/call", {"name": 5}),
        ("tools/call", {"name": "nope"}),
        ("tools/call", {"name": "REPLAY"}),
        ("tools/call", {"name": "internalbatch"}),
        ("tools/call", {"name": "\ud800"}),
        ("tools/call", {"name": "replay", "arguments": []}),
        ("tools/call", {"name": "replay", "arguments": "sesame"}),
        ("tools/list", {"cursor": "sesame"}),
        ("tools/list", {"cursor": 5}),
        ("resources/list", {"cursor": "sesame"}),
        ("resources/templates/list", {"cursor": "sesame"}),
        ("prompts/list", {"cursor": "sesame"}),
        ("resources/read", {}),
        ("resources/read", {"uri": 5}),
        ("prompts/get", {}),
        ("prompts/get", {"name": "nope"}),
        ("prompts/get", {"name": "investigate-failed-calls", "arguments": {"hours": "sesame"}}),
        ("prompts/get", {"name": "investigate-failed-calls", "arguments": {"hours": 5}}),
        ("prompts/get", {"name": "investigate-failed-calls", "arguments": {"sesame": "x"}}),
        ("initialize", {}),
        ("initialize", {"protocolVersion": 5}),
        ("initialize", {**initialize("2025-11-25"), "clientInfo": "sesame"}),
    ],
    ids=range(24),
)
def test_params_that_are_none_are_told_so_without_their_values(asgi, sandbox, method, params):
    answer = asgi.ask(method, params)
    assert (answer.status, answer.json()["id"], answer.json()["error"]["code"]) == (200, 1, BAD_PARAMS)
    assert b"sesame" not in answer.content
    assert b"pydantic" not in answer.content
    assert (Call.objects.count(), sandbox.count()["calls"]) == (0, 0)


# the handshake versions


@pytest.mark.parametrize("version", HANDSHAKE)
def test_a_handshake_begins_a_session_whose_client_is_recorded(asgi, sandbox, version):
    answer = asgi.ask("initialize", initialize(version))
    result = answer.json()["result"]
    assert (result["protocolVersion"], result["serverInfo"]["name"]) == (version, "rudder-gateway")
    assert set(result["capabilities"]) == {"tools", "resources", "prompts"}
    assert "idempotency_key" in result["instructions"]
    session = answer.headers["mcp-session-id"]
    headers = {"Mcp-Session-Id": session, **({"MCP-Protocol-Version": version} if version >= "2025-06-18" else {})}
    assert asgi.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, headers).status == 202
    called = asgi.ask("tools/call", REPLAY, headers)
    assert "mcp-session-id" not in called.headers
    assert called.json()["result"]["structuredContent"]["outcome"] == "accepted"
    kept = json.loads(Call.objects.get().headers)
    assert (kept["MCP-Client"], kept["MCP-Protocol-Version"]) == ("program/1.2", version)


@pytest.mark.parametrize("version", ["1.0", "2027-01-01", "", "x" * 1000])
def test_a_handshake_in_an_unknown_version_is_answered_in_the_latest(asgi, version):
    answer = asgi.ask("initialize", initialize(version))
    assert answer.json()["result"]["protocolVersion"] == HANDSHAKE[-1]
    assert "mcp-session-id" in answer.headers


def test_a_handshake_that_fails_begins_no_session(asgi):
    assert "mcp-session-id" not in asgi.ask("initialize", {}).headers


@pytest.mark.parametrize("session", [None, "", "nope", "é", "A" * 5000])
def test_without_a_session_of_ours_calls_are_served_too(asgi, sandbox, session):
    shown = asgi.result("tools/call", REPLAY, {"Mcp-Session-Id": session})["structuredContent"]
    assert shown["outcome"] == "accepted"
    assert "MCP-Client" not in json.loads(Call.objects.get().headers)


def test_a_session_is_no_right(asgi, make_key, sandbox):
    session = asgi.ask("initialize", initialize("2025-11-25")).headers["mcp-session-id"]
    narrow = Asgi(asgi.front, make_key("narrow", operations="retl"))
    shown = narrow.result("tools/call", REPLAY, {"Mcp-Session-Id": session})["structuredContent"]
    assert (shown["status"], Call.objects.get().actor) == (403, "narrow")
    assert told(Asgi(asgi.front, None).ask("ping", None, {"Mcp-Session-Id": session})) == (401, "no_key")


def test_lists_are_of_what_the_key_may_use_and_see(asgi, make_key, sandbox):
    assert [tool["name"] for tool in asgi.result("tools/list")["tools"]] == list(TOOLS)
    narrow = Asgi(asgi.front, make_key("narrow", operations="retl"))
    assert [tool["name"] for tool in narrow.result("tools/list")["tools"]] == ["retl"]
    audit_id = asgi.result("tools/call", REPLAY)["structuredContent"]["audit_id"]
    uris = [[one["uri"] for one in each.result("resources/list")["resources"]] for each in (asgi, narrow)]
    assert [f"calls://{audit_id}" in each for each in uris] == [True, False]
    assert len(asgi.result("resources/templates/list")["resourceTemplates"]) == 3
    assert len(asgi.result("prompts/list")["prompts"]) == 2


def test_a_tool_as_listed_has_all_its_parts(asgi):
    for tool in asgi.result("tools/list")["tools"]:
        assert {"name", "title", "description", "inputSchema", "outputSchema", "annotations"} <= tool.keys()
        hints = {"title": tool["title"], "readOnlyHint": False, "destructiveHint": False, "idempotentHint": False}
        assert tool["annotations"] == hints
        assert (tool["inputSchema"], tool["outputSchema"]) == (TOOLS[tool["name"]].input_schema, TOOLS[tool["name"]].output_schema)


def test_resources_and_prompts_are_read(asgi, make_key, sandbox):
    audit_id = asgi.result("tools/call", REPLAY)["structuredContent"]["audit_id"]
    [content] = asgi.result("resources/read", {"uri": f"calls://{audit_id}"})["contents"]
    assert (json.loads(content["text"])["id"], content["mimeType"]) == (audit_id, "application/json")
    [content] = asgi.result("resources/read", {"uri": "operations://replay"})["contents"]
    assert json.loads(content["text"])["tool"] == "replay"
    [message] = asgi.result("prompts/get", {"name": "prepare-a-replay", "arguments": {"source": "rep-9"}})["messages"]
    assert "rep-9" in message["content"]["text"]


@pytest.mark.parametrize(("version", "code"), [(None, -32002), *((version, -32002) for version in HANDSHAKE), (MODERN, BAD_PARAMS)])
def test_a_resource_that_is_not_there_and_one_of_another_client_are_answered_alike(asgi, make_key, sandbox, version, code):
    theirs = Asgi(asgi.front, make_key("other")).result("tools/call", REPLAY)["structuredContent"]["audit_id"]
    errors = []
    for uri in (f"calls://{theirs}", "calls://01a20c8c-7b46-77ed-afd0-713e642ed7b3", "calls://nope", "operations://nope", "x"):
        params, headers = {"uri": uri}, {"MCP-Protocol-Version": version}
        error = asgi.error(
            "resources/read", envelope(params) if version == MODERN else params, modern("resources/read", uri) if version == MODERN else headers
        )
        assert error.pop("data") == {"uri": uri}
        errors.append(error)
    assert errors == [{"code": code, "message": "There is no such resource, or it is not this key's to see."}] * 5


# 2026-07-28


def test_a_request_that_says_all_of_itself_is_served(asgi, sandbox):
    result = asgi.result("tools/call", envelope(REPLAY), modern("tools/call", "replay"))
    assert (result["structuredContent"]["outcome"], result["isError"]) == ("accepted", False)
    kept = json.loads(Call.objects.get().headers)
    assert (kept["MCP-Client"], kept["MCP-Protocol-Version"]) == ("program/1.2", MODERN)
    assert [tool["name"] for tool in asgi.result("tools/list", envelope(), modern("tools/list"))["tools"]] == list(TOOLS)
    assert asgi.result("server/discover", envelope(), modern("server/discover"))["supportedVersions"] == [MODERN]


@pytest.mark.parametrize(
    ("headers", "params"),
    [
        (modern("tools/list", "replay"), envelope(REPLAY)),
        (modern("tools/call", "retl"), envelope(REPLAY)),
        (modern("tools/call"), envelope(REPLAY)),
        ({"MCP-Protocol-Version": MODERN}, envelope(REPLAY)),
        (modern("tools/call", "replay"), envelope(REPLAY, "2025-11-25")),
        ({**modern("tools/call", "replay"), "Mcp-Method": ["tools/call", "tools/call"]}, envelope(REPLAY)),
        ({**modern("tools/call", "replay"), "Mcp-Name": ["retl", "replay"]}, envelope(REPLAY)),
        ({**modern("tools/call", "replay"), "MCP-Protocol-Version": ["2025-11-25", MODERN]}, envelope(REPLAY)),
    ],
    ids=range(8),
)
def test_headers_that_are_not_the_messages_are_400_and_nothing_is_sent(asgi, sandbox, headers, params):
    answer = asgi.ask("tools/call", params, headers)
    assert (answer.status, answer.json()["id"], answer.json()["error"]["code"]) == (400, 1, -32020)
    assert (Call.objects.count(), sandbox.count()["calls"]) == (0, 0)


@pytest.mark.parametrize("version", ["2027-01-01", "1.0", "", "x", "é"])
def test_an_unsupported_version_is_400_and_says_which_there_are(asgi, sandbox, version):
    for content in (request("tools/call", envelope(REPLAY, version)), {"jsonrpc": "2.0", "method": "notifications/initialized"}):
        answer = asgi.post(content, modern("tools/call", "replay", version))
        assert (answer.status, answer.json()["error"]["code"]) == (400, -32022)
        assert MODERN in answer.json()["error"]["data"]["supported"]
    assert (Call.objects.count(), sandbox.count()["calls"]) == (0, 0)


@pytest.mark.parametrize(
    "params", [None, {}, {"_meta": {}}, {"_meta": 5}, {"_meta": None}, envelope(**{"io.modelcontextprotocol/clientInfo": "sesame"})]
)
def test_a_request_that_does_not_say_all_of_itself_is_400(asgi, params):
    answer = asgi.ask("tools/list", params, modern("tools/list"))
    assert (answer.status, answer.json()["error"]["code"]) == (400, BAD_PARAMS)
    assert b"sesame" not in answer.content


@pytest.mark.parametrize(("method", "status", "code"), [("nope", 404, NO_METHOD), ("initialize", 404, NO_METHOD), ("ping", 404, NO_METHOD)])
def test_an_unknown_method_has_a_status_too(asgi, method, status, code):
    answer = asgi.ask(method, envelope(), modern(method))
    assert (answer.status, answer.json()["error"]["code"]) == (status, code)


def test_a_refusal_of_a_tool_is_a_result_all_the_same(asgi, sandbox):
    arguments = {"name": "replay", "arguments": {"batch": [{}]}}
    for params, headers in ((arguments, {}), (envelope(arguments), modern("tools/call", "replay"))):
        result = asgi.result("tools/call", params, headers)
        assert (result["isError"], result["structuredContent"]["reason"]) == (True, "missing_user")
