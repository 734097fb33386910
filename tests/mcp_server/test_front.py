"""MCP over HTTP: who is let in, how bodies come in, and what of a request counts."""

import ipaddress
import json

import pytest
from django.db import connection

from gateway.access import keys
from gateway.audit.models import Call, Channel
from gateway.ingress.credentials import _Strangers
from gateway.mcp_server import front as front_module
from gateway.mcp_server.message import ENVELOPE
from tests.mcp_server.door import part, request, text_of
from tests.mcp_server.protocol import (
    REPLAY,
    told,
)

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
