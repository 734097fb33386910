"""MCP over HTTP: who is let in, what is a request, and what each version of the protocol is answered."""

import asyncio
import ipaddress
import json
import logging
from contextlib import suppress

import pytest
from django.db import connection

from gateway.access import keys
from gateway.audit.models import Call, Channel, Outcome
from gateway.ingress.credentials import _Strangers
from gateway.mcp_server import front as front_module
from gateway.mcp_server import server as server_module
from gateway.mcp_server.message import ENVELOPE
from gateway.mcp_server.tools import TOOLS
from tests.conftest import GOOD
from tests.mcp_server.door import Answer, Asgi, part, request, text_of
from tests.waiting import wait_for

HANDSHAKE = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
MODERN = "2026-07-28"
PARSE, INVALID, NO_METHOD, BAD_PARAMS, INTERNAL = -32700, -32600, -32601, -32602, -32603
REPLAY = {"name": "replay", "arguments": GOOD["replay"]}
ABOUT = {"name": "program", "version": "1.2"}


def initialize(version: str):
    return {"protocolVersion": version, "capabilities": {}, "clientInfo": ABOUT}


def envelope(params=None, version=MODERN, **meta):
    """Params of a request of 2026-07-28, which says all of itself."""
    about = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientInfo": ABOUT,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    return {**(params or {}), "_meta": {**about, **meta}}


def modern(method, name=None, version=MODERN):
    """Its headers."""
    return {"MCP-Protocol-Version": version, "Mcp-Method": method, **({"Mcp-Name": name} if name else {})}


def told(answer: Answer):
    """A refusal's status and reason, which is a problem as JSON."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["origin"]) == (answer.status, "gateway")
    assert problem["detail"]
    return answer.status, problem["reason"]


# who is let in


@pytest.mark.parametrize(
    "path", ["/mcp", "/", "/nope", "/.well-known/oauth-protected-resource", "/.well-known/oauth-authorization-server/mcp", "/readyz"]
)
@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Bearer nope", "Bearer rgw_aaaaaaaaaaaaaaaaaaaa", "Basic nope", "Digest x", "Bearer é"]
)
def test_who_has_no_key_is_a_stranger_everywhere(asgi, sandbox, monkeypatch, path, authorization):
    monkeypatch.setattr(front_module, "strangers", _Strangers())
    for method in ("POST", "GET", "DELETE"):
        answer = asgi.post(request("tools/call", REPLAY), {"Authorization": authorization}, method=method, path=path)
        assert told(answer) == (401, "no_key" if authorization is None else "no_such_key")
        assert answer.headers["www-authenticate"].startswith("Bearer ")
        assert "create_api_key" in answer.json()["detail"]
        assert "x-request-id" in answer.headers
    assert front_module.strangers.count == 3
    assert (Call.objects.count(), sandbox.count()["calls"]) == (0, 0)


def test_a_revoked_key_is_not_known(asgi):
    assert asgi.ask("ping").status == 200
    keys.revoke(asgi.key[:12], actor="tests", channel=Channel.CLI)
    assert told(asgi.ask("ping")) == (401, "no_such_key")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_of_the_key_is_in_any_letters(asgi, scheme):
    assert asgi.ask("ping", headers={"Authorization": f"{scheme} {asgi.key}"}).json()["result"] == {}


def test_health_needs_no_key_and_no_host(asgi):
    answer = asgi.post(b"", {"Authorization": None, "Host": "elsewhere.example"}, method="GET", path="/healthz")
    assert (answer.status, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/", "/mcp/", "/MCP", "/.well-known/oauth-protected-resource", "/v1/internal/v1/replay", "/sse"])
def test_another_path_is_404_for_who_has_a_key(asgi, path):
    assert told(asgi.post(b"{}", path=path)) == (404, "no_such_route")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_another_method_is_405_with_allow(asgi, method):
    answer = asgi.post(b"", method=method)
    assert (*told(answer), answer.headers["allow"]) == (405, "method_not_allowed", "POST")


@pytest.mark.parametrize("accept", [None, "", "text/html", "text/event-stream", "application/xml, text/*"])
def test_who_takes_no_json_gets_406(asgi, accept):
    assert told(asgi.ask("ping", headers={"Accept": accept})) == (406, "bad_accept")


@pytest.mark.parametrize(
    "accept", ["application/json", "text/event-stream, application/json", "*/*", "application/*;q=0.5", "APPLICATION/JSON ; q=1"]
)
def test_who_takes_json_gets_it(asgi, accept):
    answer = asgi.ask("ping", headers={"Accept": accept})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_what_is_not_called_json_is_415(asgi, content_type):
    assert told(asgi.ask("ping", headers={"Content-Type": content_type})) == (415, "bad_content_type")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_parameters_of_the_content_type_do_not_matter(asgi, content_type):
    assert asgi.ask("ping", headers={"Content-Type": content_type}).status == 200


@pytest.mark.parametrize("host", [None, "", "elsewhere.example", "localhost.elsewhere.example", "localhost@elsewhere.example", "[::1", "é"])
def test_a_host_that_is_not_ours_is_421(asgi, host):
    assert told(asgi.ask("ping", headers={"Host": host})) == (421, "bad_host")


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:9090", "LOCALHOST"])
def test_our_hosts_are_served_on_any_port(asgi, host):
    assert asgi.ask("ping", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "origin",
    ["http://elsewhere.example", "null", "", "https://localhost", "http://localhost.elsewhere.example", "http://localhost:1:2", "localhost", "é"],
)
def test_an_origin_that_is_not_ours_is_403(asgi, sandbox, origin):
    assert told(asgi.ask("tools/call", REPLAY, {"Origin": origin})) == (403, "bad_origin")
    assert (Call.objects.count(), sandbox.count()["calls"]) == (0, 0)


@pytest.mark.parametrize("origin", [None, "http://localhost", "http://localhost:6274", "http://127.0.0.1:1", "http://[::1]:8080"])
def test_our_origins_are_served_on_any_port(asgi, origin):
    assert asgi.ask("ping", headers={"Origin": origin}).status == 200


def test_an_origin_with_its_port_is_meant_exactly(asgi, settings):
    settings.GATEWAY_MCP_ORIGINS = ["https://tools.example:8443"]
    assert asgi.ask("ping", headers={"Origin": "https://tools.example:8443"}).status == 200
    for other in ("https://tools.example", "https://tools.example:8444", "https://tools.example:8443:1"):
        assert asgi.ask("ping", headers={"Origin": other}).status == (200 if other.endswith(":1") else 403)


@pytest.mark.parametrize("given", ["abc-123", "a" * 200])
def test_a_request_id_is_echoed_and_recorded(asgi, sandbox, given):
    answer = asgi.ask("tools/call", REPLAY, {"X-Request-Id": given})
    assert answer.headers["x-request-id"] == given
    assert Call.objects.get().request_id == given


@pytest.mark.parametrize("given", ["", "a" * 201, "a b", "é", None])
def test_a_request_id_that_is_none_is_made_anew(asgi, given):
    assert len(asgi.ask("ping", headers={"X-Request-Id": given}).headers["x-request-id"]) == 36


# bodies


@pytest.fixture
def small(settings):
    settings.GATEWAY_MAX_BODY_BYTES = 1000
    return 1000 + ENVELOPE


def test_a_message_that_is_too_large_is_413(asgi, small):
    for parts, length in (([], str(small + 1)), ([part(b" " * small, True), part(b"  ")], None)):
        headers = {"Content-Length": length, "Transfer-Encoding": None if length else "chunked"}
        answer = asgi.post(b"", headers, parts=parts)
        assert told(answer) == (413, "body_too_large")


def test_arguments_that_are_too_large_are_recorded(asgi, sandbox, small):
    shown = asgi.result("tools/call", {"name": "audience-list", "arguments": {"event": {"userId": "u" * 1000}}})["structuredContent"]
    assert (shown["status"], shown["reason"]) == (413, "body_too_large")
    assert Call.objects.get(id=shown["audit_id"]).channel == "mcp"


def test_a_body_that_ends_early_is_400_and_a_slow_one_408(asgi, settings):
    assert told(asgi.post(b"", {"Content-Length": "10"}, parts=[part(b"{", True), {"type": "http.disconnect"}])) == (400, "body_cut")
    settings.GATEWAY_BODY_SECONDS = 0.05
    assert told(asgi.post(b"", {"Content-Length": "10"}, parts=[part(b"{", True)])) == (408, "body_too_slow")


def test_more_than_may_be_held_is_503(asgi, settings):
    settings.GATEWAY_BUFFER_BYTES = 10
    answer = asgi.ask("ping")
    assert (*told(answer), answer.headers["retry-after"]) == (503, "busy", "1")


def test_what_was_held_is_let_go(asgi, sandbox):
    for content in (request("ping"), request("tools/call", REPLAY), b"{", b""):
        asgi.post(content)
    assert asgi.front._held.size == 0


def test_a_message_in_parts_is_one(asgi):
    text = text_of(request("ping"))
    answer = asgi.post(b"", {"Transfer-Encoding": "chunked"}, parts=[part(text[:10], True), part(b"", True), part(text[10:])])
    assert answer.json() == {"jsonrpc": "2.0", "id": 1, "result": {}}


def test_a_log_that_is_away_is_503_as_long_as_no_key_is_known(asgi):
    assert asgi.ask("ping").status == 200
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE access_apikey RENAME TO away")
    try:
        assert asgi.ask("ping").status == 200
        keys.forget()
        answer = asgi.ask("ping")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE away RENAME TO access_apikey")
    assert (*told(answer), answer.headers["retry-after"]) == (503, "log_unavailable", "1")
    assert asgi.ask("ping").status == 200


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


# what of the request counts


def test_the_original_callers_address_counts_as_far_as_proxies_are_trusted(asgi, sandbox, settings):
    forwarded = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9, 10.1.1.1"}
    asgi.result("tools/call", REPLAY, forwarded)
    settings.GATEWAY_TRUSTED_PROXIES = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("10.0.0.0/8")]
    asgi.result("tools/call", REPLAY, forwarded)
    asgi.result("tools/call", REPLAY, {"X-Forwarded-For": "no address"})
    assert [dict(request["headers"])["X-Forwarded-For"] for request in sandbox.received()] == ["127.0.0.1", "203.0.113.9", "127.0.0.1"]


def test_of_the_requests_headers_only_the_trace_goes_out_and_none_is_an_argument(asgi, sandbox):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    given = {
        "traceparent": trace,
        "User-Agent": "somebody",
        "AnonymousId": "a",
        "Cookie": "a=b",
        "X-Rudder-Source-Id": "src-2",
        "Idempotency-Key": "k",
    }
    asgi.result("tools/call", REPLAY, given)
    out = dict(sandbox.received()[0]["headers"])
    assert (out["traceparent"], out["User-Agent"], out["X-Rudder-Source-Id"]) == (trace, "rudder-audited-gateway", "rep-1")
    assert not {"AnonymousId", "Cookie", "Idempotency-Key", "Authorization"} & out.keys()
    call = Call.objects.get()
    kept = json.loads(call.headers)
    assert (kept["traceparent"], kept["User-Agent"], call.idempotency_key) == (trace, "somebody", "")


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
