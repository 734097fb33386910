"""The five routes: what goes out, and how upstream's answers come back."""

import base64
import gzip
import ipaddress
import json

import pytest

from gateway.audit.models import Call, Outcome
from gateway.forwarding import forward
from gateway.operations import OPERATIONS
from tests.conftest import EVENT, GOOD, MESSAGE, Rest

ALL_ROUTES = list(GOOD)


def outcome_of(answer):
    return Outcome.objects.get(call=answer["X-Audit-Id"])


@pytest.mark.parametrize("route", ALL_ROUTES)
def test_a_good_body_is_accepted_and_ok_becomes_json(rest, sandbox, route):
    answer = rest.send(route, GOOD[route])
    assert (answer.status_code, answer["Content-Type"], json.loads(answer.content)) == (200, "application/json", {"result": "ok"})
    assert sandbox.count() == {"calls": 1, "stored": 1, "events": 1}
    call = Call.objects.get(id=answer["X-Audit-Id"])
    assert (call.operation, call.channel, call.actor, call.events) == (sandbox.received()[0]["operation"], "rest", "tester", 1)
    assert (outcome_of(answer).result, outcome_of(answer).upstream_status) == ("accepted", 200)


@pytest.mark.parametrize("route", ALL_ROUTES)
@pytest.mark.parametrize("zipped", [False, True])
def test_the_body_goes_out_byte_for_byte(rest, sandbox, route, zipped):
    body = json.dumps(GOOD[route], indent=3).encode().replace(b'"u-1"', b'"u-1", "n": 1e2, "long": 12345678901234567890123, "t": "{{x}} \xc3\xa9"', 1)
    body = gzip.compress(body, mtime=0) if zipped else body
    answer = rest.send(route, body, {"Content-Encoding": "gzip"} if zipped else {})
    assert answer.status_code == 200, answer.content
    received = sandbox.received()[0]
    assert base64.b64decode(received["body_base64"]) == body
    assert dict(received["headers"]).get("Content-Encoding") == ("gzip" if zipped else None)


def test_only_the_stated_headers_go_out(rest, sandbox):
    sent = {
        "X-Rudder-Source-Id": "src-1",
        "X-Rudder-Destination-Id": "dst-1",
        "X-Rudder-Job-Run-Id": "jr",
        "X-Rudder-Task-Run-Id": "tr",
        "AnonymousId": "a-1",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "Cookie": "a=b",
        "X-Other": "1",
        "Idempotency-Key": "k",
        "X-Forwarded-For": "203.0.113.9",
        "X-Batch-Size": "77",
        "User-Agent": "somebody",
    }
    assert rest.send("retl", GOOD["retl"], sent).status_code == 200
    out = dict(sandbox.received()[0]["headers"])
    host = out.pop("Host")
    assert host.startswith("127.0.0.1:")
    body = json.dumps(GOOD["retl"])
    assert out == {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Accept-Encoding": "identity",
        "User-Agent": "rudder-audited-gateway",
        "X-Forwarded-For": "127.0.0.1",
        **{name: sent[name] for name in list(sent)[:6]},
    }


@pytest.mark.parametrize("route", ALL_ROUTES)
def test_the_callers_key_never_goes_out_and_the_gateway_sets_the_credential(rest, sandbox, route):
    rest.send(route, GOOD[route])
    out = dict(sandbox.received()[0]["headers"])
    assert rest.key not in json.dumps(out)
    writes = route in ("audiencelist", "extract")
    assert out.get("Authorization") == (f"Basic {base64.b64encode(b'wk-1:').decode()}" if writes else None)
    assert out["X-Rudder-Source-Id"] == ("rep-1" if route == "replay" else "src-1")
    assert out.get("X-Batch-Size") == ("1" if route == "batch" else None)


@pytest.mark.parametrize("route", ["replay", "retl", "batch", "extract"])
def test_a_user_and_password_are_the_credential_on_every_route(rest, sandbox, settings, route):
    settings.RUDDERSTACK_USER, settings.RUDDERSTACK_PASS = "wk-1", "päss"
    assert rest.send(route, GOOD[route]).status_code == 200
    assert dict(sandbox.received()[0]["headers"])["Authorization"] == f"Basic {base64.b64encode('wk-1:päss'.encode()).decode()}"


def test_the_batch_size_counts_messages(rest, sandbox):
    rest.send("batch", [MESSAGE] * 7)
    assert dict(sandbox.received()[0]["headers"])["X-Batch-Size"] == "7"


def test_a_missing_source_names_the_setting(rest, sandbox, settings):
    settings.RUDDERSTACK_REPLAY_SOURCE_ID = ""
    answer = rest.send("replay", GOOD["replay"])
    assert answer.status_code == 400
    assert "RUDDERSTACK_REPLAY_SOURCE_ID" in answer.json()["detail"]
    assert outcome_of(answer).result == "refused"


def test_a_missing_write_key_names_the_setting(rest, sandbox):
    answer = rest.send("extract", GOOD["extract"], {"X-Rudder-Source-Id": "src-2"})
    assert (answer.status_code, answer.json()["reason"]) == (400, "no_write_key")
    assert "RUDDERSTACK_WRITE_KEYS" in answer.json()["detail"]
    assert sandbox.count()["calls"] == 0


def test_a_refusal_names_event_and_field_and_quotes_no_value(rest, sandbox):
    answer = rest.send("replay", {"batch": [EVENT, {"userId": " ", "secret": "sesame"}, 5]})
    problem = answer.json()
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert [error["pointer"] for error in problem["errors"]] == ["/batch/1/userId", "/batch/2"]
    assert all(error["detail"] and error["cure"] for error in problem["errors"])
    assert (problem["origin"], problem["outcome"], problem["retryable"], problem["reason"]) == ("gateway", "refused", False, "missing_user")
    assert problem["audit_id"] == answer["X-Audit-Id"]
    assert "sesame" not in answer.content.decode()
    assert sandbox.count()["calls"] == 0


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (b"", {}, 400, "invalid_json"),
        (b"{", {}, 400, "invalid_json"),
        (b"\x1f\x8b", {"Content-Encoding": "gzip"}, 400, "broken_gzip"),
        (b'{"batch":[{"userId":"u","a":' + b"[" * 1001 + b"]" * 1001 + b"}]}", {}, 400, "too_deep"),
        (b'{"batch":[{"userId":"' + b"u" * 4_096_000 + b'"}]}', {}, 413, "too_large"),
    ],
)
def test_bad_bodies_are_refused_with_a_reason(rest, sandbox, body, headers, status, reason):
    answer = rest.send("replay", body, headers)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert answer.json()["errors"]
    assert sandbox.count()["calls"] == 0


def test_a_nul_that_upstream_answers_with_500_is_refused_with_400(rest, sandbox):
    message = {**MESSAGE, "properties": {**MESSAGE["properties"], "workspaceID": "a\0b"}}
    answer = rest.send("batch", [message])
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/0/properties/workspaceID")


def test_a_body_over_the_gateways_limit_names_the_limit(rest, sandbox, settings):
    settings.GATEWAY_MAX_BODY_BYTES = 2000
    for body, headers in ((b" " * 2001, {}), (gzip.compress(b" " * 1_000_000, mtime=0), {"Content-Encoding": "gzip"})):
        answer = rest.send("audiencelist", body, headers)
        assert (answer.status_code, answer.json()["reason"]) == (413, "body_too_large")
        assert "2,000" in answer.json()["detail"]
        assert "GATEWAY_MAX_BODY_BYTES" in answer.json()["detail"]


def test_what_only_upstream_sees_is_explained_after_the_fact(rest, sandbox):
    answer = rest.send("replay", b'{"batch":[{"userId":"u","v":[1,1e400]}]}')
    problem = answer.json()
    assert (answer.status_code, problem["origin"], problem["detail"], problem["outcome"]) == (400, "upstream", "invalid json", "rejected")
    assert [error["pointer"] for error in problem["errors"]] == ["/batch/0/v/1"]
    assert json.loads(outcome_of(answer).faults)[0]["reason"] == "number_overflow"


def test_observe_sends_what_strict_refuses_and_records_what_would_have_been_said(rest, sandbox, settings):
    bad = {"batch": [{"event": "x"}]}
    assert rest.send("replay", bad).json()["origin"] == "gateway"
    settings.GATEWAY_VALIDATION = "observe"
    answer = rest.send("replay", bad)
    assert (answer.status_code, answer.json()["origin"]) == (400, "upstream")
    assert sandbox.count()["calls"] == 1
    sandbox.trouble("answer", times=1)
    answer = rest.send("replay", bad)
    assert json.loads(outcome_of(answer).faults)[0]["pointer"] == "/batch/0"


class TestAnswers:
    """Whatever upstream says, callers get JSON, and the log the truth."""

    def ask(self, rest, sandbox, kind, **order):
        sandbox.trouble(kind, times=1, **order)
        answer = rest.send("replay", GOOD["replay"])
        assert json.loads(answer.content) is not None
        return answer, outcome_of(answer)

    def test_json_passes_unchanged_with_its_status(self, rest, sandbox):
        body = '{"b": 1e2,  "a": 12345678901234567890123}'
        for status, result in ((200, "accepted"), (201, "accepted"), (409, "rejected")):
            answer, outcome = self.ask(rest, sandbox, "answer", status=status, content_type="application/json; charset=utf-8", body=body)
            assert (answer.status_code, answer.content.decode(), outcome.result) == (status, body, result)

    @pytest.mark.parametrize(("body", "result"), [("", None), ("ok\n", "ok"), ("<b>ok</b>", "<b>ok</b>"), ('{"a":1}', '{"a":1}')])
    def test_text_of_a_success_becomes_a_result(self, rest, sandbox, body, result):
        answer, outcome = self.ask(rest, sandbox, "answer", body=body)
        assert (answer.status_code, answer.json(), outcome.result) == (200, {"result": result}, "accepted")

    def test_what_says_json_and_is_none_is_text(self, rest, sandbox):
        for body in ("{", "NaN", "[" * 5000):
            answer, outcome = self.ask(rest, sandbox, "answer", content_type="application/json", body=body)
            assert (answer.status_code, answer.json(), outcome.result) == (200, {"result": body}, "accepted")

    def test_no_content_is_a_null_result(self, rest, sandbox):
        answer, outcome = self.ask(rest, sandbox, "204")
        assert (answer.status_code, answer.json(), outcome.result) == (200, {"result": None}, "accepted")

    def test_informational_answers_are_not_the_answer(self, rest, sandbox):
        answer, outcome = self.ask(rest, sandbox, "informational")
        assert (answer.status_code, answer.json(), outcome.result) == (200, {"result": "ok"}, "accepted")

    def test_invalid_utf8_and_surrogates_of_upstream_break_nothing(self, rest, sandbox):
        answer, outcome = self.ask(rest, sandbox, "answer", body="a\udcffb\0c")
        assert (answer.json(), outcome.answer) == ({"result": "a�b\0c"}, "a�b�c")

    def test_401_is_told_as_upstreams(self, rest, sandbox):
        answer, outcome = self.ask(rest, sandbox, "401")
        assert (answer.status_code, answer.json()["origin"], answer.json()["detail"]) == (401, "upstream", "invalid write key")
        assert outcome.result == "rejected"

    def test_429_keeps_its_retry_after(self, rest, sandbox):
        answer, _ = self.ask(rest, sandbox, "429", retry_after=7)
        assert (answer.status_code, answer["Retry-After"], answer.json()["retryable"]) == (429, "7", True)
        answer, _ = self.ask(rest, sandbox, "429")
        assert (answer.status_code, "Retry-After" in answer) == (429, False)

    def test_413_and_503_keep_their_status(self, rest, sandbox):
        answer, outcome = self.ask(rest, sandbox, "answer", status=413, body="request size exceeds max limit")
        assert (answer.status_code, answer.json()["detail"], outcome.result) == (413, "request size exceeds max limit", "rejected")
        answer, outcome = self.ask(rest, sandbox, "answer", status=503, body="Service Unavailable", headers={"Retry-After": "3"})
        assert (answer.status_code, answer["Retry-After"], outcome.result) == (503, "3", "failed")

    @pytest.mark.parametrize("content_type", ["text/plain", "application/json", "text/html"])
    def test_a_5xx_names_nothing_to_callers_and_all_to_the_log(self, rest, sandbox, content_type):
        said = '{"error": "dial tcp 10.0.0.7:5432: connect: connection refused"}'
        answer, outcome = self.ask(rest, sandbox, "answer", status=500, content_type=content_type, body=said)
        assert (answer.status_code, outcome.result, outcome.answer) == (500, "failed", said)
        assert "10.0.0.7" not in answer.content.decode()

    def test_the_500_of_a_database_is_masked(self, rest, sandbox):
        answer, outcome = self.ask(rest, sandbox, "500")
        assert (answer.status_code, "10.0.0.7" in answer.content.decode(), "10.0.0.7" in outcome.answer) == (500, False, True)

    def test_a_redirect_is_not_followed(self, rest, sandbox):
        answer, outcome = self.ask(rest, sandbox, "redirect", location="/internal/v1/retl")
        assert (answer.status_code, outcome.result, outcome.upstream_status) == (502, "failed", 302)
        assert sandbox.count()["calls"] == 1

    @pytest.mark.parametrize("status", [502, 504])
    def test_a_proxys_giving_up_is_unknown(self, rest, sandbox, status):
        answer, outcome = self.ask(rest, sandbox, "html", status=status)
        assert (answer.status_code, answer.json()["outcome"], outcome.result) == (504, "unknown", "unknown")

    @pytest.mark.parametrize("kind", ["reset_before", "reset_after", "half_answer", "endless"])
    def test_an_answer_that_is_not_whole_is_unknown(self, rest, sandbox, kind):
        answer, outcome = self.ask(rest, sandbox, kind)
        assert (answer.status_code, answer.json()["outcome"], answer.json()["retryable"]) == (504, "unknown", False)
        assert (outcome.result, outcome.attempts) == ("unknown", 1)
        assert sandbox.count()["stored"] == (0 if kind == "reset_before" else 1)

    def test_an_answer_that_comes_too_late_is_unknown(self, rest, sandbox, settings):
        settings.GATEWAY_DEADLINE_SECONDS, settings.GATEWAY_READ_SECONDS = 0.5, 0.4
        for kind, seconds in (("delay", 2), ("dripped_answer", 0.2)):
            answer, outcome = self.ask(rest, sandbox, kind, seconds=seconds)
            assert (answer.status_code, outcome.result, outcome.reason) == (504, "unknown", "no_answer_in_time")

    def test_a_content_length_that_lies_is_unknown_or_cut(self, rest, sandbox, settings):
        settings.GATEWAY_READ_SECONDS = 0.3
        answer, outcome = self.ask(rest, sandbox, "answer", body="ok", headers={"Content-Length": "50"})
        assert (answer.status_code, outcome.result) == (504, "unknown")
        answer, outcome = self.ask(rest, sandbox, "answer", body="ok and more", headers={"Content-Length": "2"})
        assert (answer.json(), outcome.result) == ({"result": "ok"}, "accepted")
        assert rest.send("replay", GOOD["replay"]).json() == {"result": "ok"}

    def test_nobody_there_is_failed_and_safe_to_send_again(self, rest, sandbox, settings):
        settings.RUDDERSTACK_BASE_URL = "http://127.0.0.1:9"
        answer = rest.send("replay", GOOD["replay"])
        outcome = outcome_of(answer)
        assert (answer.status_code, answer.json()["outcome"], answer.json()["retryable"]) == (502, "failed", True)
        assert (outcome.result, outcome.reason, outcome.attempts) == ("failed", "connect_failed", 3)

    def test_a_circuit_that_is_open_says_when_to_come_back(self, rest, sandbox, settings):
        settings.RUDDERSTACK_BASE_URL, settings.GATEWAY_BREAKER_FAILURES, settings.GATEWAY_BREAKER_SECONDS = "http://127.0.0.1:9", 2, 0.3
        assert [rest.send("replay", GOOD["replay"]).status_code for _ in range(2)] == [502, 502]
        answer = rest.send("replay", GOOD["replay"])
        assert (answer.status_code, answer.json()["reason"], answer["Retry-After"]) == (503, "circuit_open", "1")
        assert outcome_of(answer).result == "failed"

    def test_a_failure_of_our_own_after_sending_is_written_down_at_once(self, rest, sandbox, monkeypatch):
        monkeypatch.setattr(forward, "of_reply", lambda *_: 1 / 0)
        assert rest.send("replay", GOOD["replay"]).status_code == 500
        assert [(row.result, row.reason) for row in Outcome.objects.all()] == [("unknown", "internal")]

    def test_upstreams_echo_of_a_secret_reaches_nobody(self, rest, sandbox, settings):
        settings.RUDDERSTACK_USER, settings.RUDDERSTACK_PASS = "wk-1", "a-long-password"
        for content_type in ("text/plain", "application/json"):
            answer, outcome = self.ask(rest, sandbox, "answer", status=400, content_type=content_type, body='{"no": "a-long-password"}')
            assert "a-long-password" not in answer.content.decode() + outcome.answer


@pytest.mark.parametrize("route", ALL_ROUTES)
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_another_method_is_405_with_allow(rest, method, route):
    answer = rest.request(method, f"/v1/internal/v1/{route}")
    assert (answer.status_code, answer["Allow"], answer["Content-Type"]) == (405, "POST", "application/problem+json")


@pytest.mark.parametrize("path", ["/v1/internal/v1/replay/", "/v1/internal/v1/REPLAY", "/internal/v1/replay", "/v1/internal/v1/nope", "/x"])
def test_another_path_is_a_json_404(rest, path):
    answer = rest.request("POST", path, b"{}")
    assert (answer.status_code, answer["Content-Type"], answer.json()["reason"]) == (404, "application/problem+json", "no_such_route")
    assert "X-Request-Id" in answer


@pytest.mark.parametrize("given", ["abc-123", "a" * 200])
def test_a_request_id_is_echoed_and_recorded(rest, sandbox, given):
    answer = rest.send("replay", GOOD["replay"], {"X-Request-Id": given})
    assert answer["X-Request-Id"] == given
    assert Call.objects.get(id=answer["X-Audit-Id"]).request_id == given


@pytest.mark.parametrize("given", ["", "a" * 201, "a b", "é"])
def test_a_request_id_that_is_none_is_made_anew(rest, sandbox, given):
    answer = rest.send("replay", GOOD["replay"], {"X-Request-Id": given})
    assert len(answer["X-Request-Id"]) == 36


def test_dry_run_says_what_would_be_sent_and_sends_nothing(rest, sandbox):
    body = {"batch": [EVENT, {"userId": "u", "context": {"sources": {"job_run_id": "jr"}}}]}
    answer = rest.send("replay", body, {"X-Rudder-Job-Run-Id": "other"}, "?dry_run=true")
    assert answer.status_code == 200
    document = answer.json()
    assert document == {
        "dry_run": True,
        "operation": "replay",
        "target": f"{sandbox.url}/internal/v1/replay",
        "source": "rep-1",
        "destination": None,
        "job_run_id": "other",
        "events": 2,
        "bytes": len(json.dumps(body)),
        "events_without_message_id": 1,
        "errors": [],
    }
    assert outcome_of(answer).result == "dry_run"
    assert sandbox.count()["calls"] == 0


def test_dry_run_of_what_the_quick_check_lets_pass_is_checked_exactly(rest, sandbox):
    answer = rest.send("replay", b'{"batch":[{"userId":"u","v":1e400}]}', query="?dry_run=true")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/batch/0/v")
    assert outcome_of(answer).result == "dry_run"


def test_dry_run_with_another_value_sends_nothing(rest, sandbox):
    answer = rest.send("replay", GOOD["replay"], query="?dry_run=yes")
    assert (answer.status_code, answer.json()["reason"], sandbox.count()["calls"]) == (400, "bad_parameter", 0)
    assert outcome_of(answer).result == "refused"
    assert rest.send("replay", GOOD["replay"], query="?dry_run=false").status_code == 200


def test_the_first_events_job_run_wins_over_the_header(rest, sandbox):
    body = {"batch": [{"userId": "u", "context": {"sources": {"job_run_id": "jr-1"}}}, EVENT]}
    answer = rest.send("replay", body, {"X-Rudder-Job-Run-Id": "other"})
    assert Call.objects.get(id=answer["X-Audit-Id"]).job_run_id == "jr-1"


def test_the_original_callers_address_counts_as_far_as_proxies_are_trusted(rest, sandbox, settings):
    forwarded = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9, 10.1.1.1"}
    rest.send("replay", GOOD["replay"], forwarded)
    settings.GATEWAY_TRUSTED_PROXIES = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("10.0.0.0/8")]
    rest.send("replay", GOOD["replay"], forwarded)
    rest.send("replay", GOOD["replay"], {"X-Forwarded-For": "not an address"})
    assert [dict(request["headers"])["X-Forwarded-For"] for request in sandbox.received()] == ["127.0.0.1", "203.0.113.9", "127.0.0.1"]


def test_basic_with_the_key_as_user_name_works(rest, sandbox):
    basic = f"Basic {base64.b64encode(f'{rest.key}:'.encode()).decode()}"
    assert rest.send("replay", GOOD["replay"], {"Authorization": basic}).status_code == 200


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer nope", "Basic nope", "Basic !!", "Digest x", "Bearer rgw_aaaaaaaaaaaaaaaaaaaa", "Basic 4pyT"]
)
def test_no_key_or_an_unknown_one_is_401_with_a_challenge_and_no_row(rest, sandbox, authorization):
    answer = rest.send("replay", GOOD["replay"], {"Authorization": authorization})
    assert (answer.status_code, Call.objects.count(), sandbox.count()["calls"]) == (401, 0, 0)
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_accept_is_not_looked_at(rest, sandbox):
    assert rest.send("replay", GOOD["replay"], {"Accept": "application/xml"}).json() == {"result": "ok"}


def test_the_routes_are_the_operations(rest):
    assert {operation.path for operation in OPERATIONS.values()} == {f"v1/internal/v1/{route}" for route in ALL_ROUTES}


def test_a_secret_sent_as_an_id_is_masked_in_the_row(rest, sandbox, settings):
    settings.RUDDERSTACK_WRITE_KEYS = {"src-1": "a-secret-write-key"}
    for secret in ("a-secret-write-key", rest.key):
        for name in ("X-Rudder-Source-Id", "X-Rudder-Destination-Id", "X-Rudder-Job-Run-Id", "X-Request-Id", "traceparent", "User-Agent"):
            rest.send("retl", GOOD["retl"], {name: secret})
        assert rest.send("retl", GOOD["retl"], {"Idempotency-Key": secret}).json()["reason"] == "bad_idempotency_key"
        assert not [row for row in Call.objects.values() if secret in str(row)]
        assert not [row for row in Outcome.objects.values() if secret in str(row)]


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ("?a=1&b=%20x&writeKey=k", "?a=1&b=%20x&writeKey=k"),
        ("?dry_run=false&a=1", "?a=1"),
        ("?", ""),
        ("?a", "?a"),
        ("?" + "a=1&" * 1500 + "a=2", "?" + "a=1&" * 1500 + "a=2"),
    ],
    ids=range(5),
)
def test_the_query_goes_out_without_what_is_meant_for_the_gateway(rest, sandbox, query, sent):
    assert rest.send("replay", GOOD["replay"], query=query).json() == {"result": "ok"}
    assert sandbox.received()[0]["path"] == f"/internal/v1/replay{sent}"


@pytest.mark.parametrize(
    "query",
    ["?dryrun=true", "?dry-run=true", "?DRY_RUN=true", "?dryRun=1", "?dry_run=true&dry_run=false", "?dry_run&dry_run=1", "?dryrun&dry_run=false"],
)
def test_a_dry_run_that_is_spelled_wrongly_or_not_sure_sends_nothing(rest, sandbox, query):
    answer = rest.send("replay", GOOD["replay"], query=query)
    assert (answer.status_code, answer.json()["reason"], sandbox.count()["calls"]) == (400, "bad_parameter", 0)


@pytest.mark.parametrize(("body", "headers"), [(gzip.compress(b"{}", mtime=0), {}), (b"x", {"Content-Encoding": "deflate"})])
def test_an_encoding_that_upstream_does_not_undo_is_named(rest, sandbox, body, headers):
    assert "Content-Encoding: gzip" in rest.send("replay", body, headers).json()["errors"][0]["cure"]


def test_a_batch_refused_for_its_sources_records_them(make_key, sandbox):
    message = {**MESSAGE, "properties": {**MESSAGE["properties"], "sourceID": "src-2"}}
    answer = Rest(make_key(sources="src-1")).send("batch", [MESSAGE, message])
    call = Call.objects.get(id=answer["X-Audit-Id"])
    assert (answer.status_code, call.source, call.events, outcome_of(answer).result) == (403, "src-1,src-2", 2, "refused")
