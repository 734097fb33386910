"""What a tool gives: the truth about the call, in a shape that every client can read."""

import json
import uuid

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from mcp_types import CallToolResult

from gateway.audit.log import LogUnavailableError
from gateway.audit.models import Call, Outcome, Result
from gateway.forwarding import forward
from gateway.mcp_server import results, tools
from gateway.mcp_server.schemas import OUTPUT
from tests.conftest import EVENT, GOOD, MESSAGE
from tests.mcp_server.door import Tools

OUTPUT_SCHEMA = Draft202012Validator(OUTPUT)
SUCCESS = ["audit_id", "outcome", "status", "result", "events", "duration_ms", "retryable"]


def shown(result: CallToolResult):
    """The structured content, which must be readable by all and the same as the text."""
    [content] = result.content
    assert json.loads(content.text) == result.structured_content
    content.text.encode()
    result.model_dump_json()
    OUTPUT_SCHEMA.validate(result.structured_content)
    assert result.is_error == (result.structured_content["outcome"] not in ("accepted", "dry_run") or result.structured_content["status"] >= 400)
    return result.structured_content


def ask(tools, sandbox, kind, **order):
    sandbox.trouble(kind, times=1, **order)
    return shown(tools.send("replay", GOOD["replay"]))


def outcome_of(told):
    return Outcome.objects.get(call=told["audit_id"])


@pytest.mark.parametrize("route", GOOD)
def test_a_success_says_little(tools, sandbox, route):
    told = shown(tools.send(route, GOOD[route]))
    assert list(told) == SUCCESS
    assert (told["outcome"], told["status"], told["result"], told["events"], told["retryable"]) == ("accepted", 200, "ok", 1, False)
    call = Call.objects.get(id=told["audit_id"])
    assert (call.channel, call.events, outcome_of(told).duration_ms) == ("mcp", 1, told["duration_ms"])


def test_a_refusal_names_argument_and_field_and_quotes_no_value(tools, sandbox):
    told = shown(tools.send("replay", {"batch": [EVENT, {"userId": " ", "secret": "sesame"}, 5]}))
    assert [error["pointer"] for error in told["errors"]] == ["/batch/1/userId", "/batch/2"]
    assert all(error["detail"] and error["cure"] for error in told["errors"])
    assert (told["origin"], told["outcome"], told["retryable"], told["reason"]) == ("gateway", "refused", False, "missing_user")
    assert "sesame" not in json.dumps(told)
    assert sandbox.count()["calls"] == 0


@pytest.mark.parametrize(
    ("route", "body", "pointer"),
    [
        ("audiencelist", {"userId": ""}, "/event/userId"),
        ("audiencelist", [], "/event"),
        ("extract", [], "/event"),
        ("retl", {"batch": []}, "/batch"),
        ("retl", {"batch": [5]}, "/batch/0"),
        ("batch", [], "/messages"),
        ("batch", [{**MESSAGE, "properties": {**MESSAGE["properties"], "workspaceID": "a\0b"}}], "/messages/0/properties/workspaceID"),
    ],
)
def test_pointers_lead_into_the_arguments(tools, sandbox, route, body, pointer):
    assert shown(tools.send(route, body))["errors"][0]["pointer"] == pointer


def test_a_pointer_to_a_source_that_is_not_the_keys_leads_into_the_messages(make_key, sandbox):
    message = {**MESSAGE, "properties": {**MESSAGE["properties"], "sourceID": "src-2"}}
    told = shown(Tools(make_key(sources="src-1")).send("batch", [MESSAGE, message]))
    assert (told["status"], told["errors"][0]["pointer"]) == (403, "/messages/1/properties/sourceID")
    call = Call.objects.get(id=told["audit_id"])
    assert (call.source, call.events, outcome_of(told).result) == ("src-1,src-2", 2, "refused")


def test_what_only_upstream_sees_is_explained_after_the_fact(tools, sandbox):
    told = shown(tools.send("extract", b'{"v":[1,1e400]}'))
    assert (told["status"], told["origin"], told["detail"], told["outcome"]) == (400, "upstream", "invalid json", "rejected")
    assert [error["pointer"] for error in told["errors"]] == ["/event/v/1"]
    assert json.loads(outcome_of(told).faults)[0]["pointer"] == "/v/1"


# what RudderStack says


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"b": 1e2,  "a": 12345678901234567890123}', {"b": 100.0, "a": 12345678901234567890123}),
        ("null", None),
        ('"ok"', "ok"),
        ("[]", []),
        ("0", 0),
        ("false", False),
        ("[" * 100 + "]" * 100, json.loads("[" * 100 + "]" * 100)),
        ("[" * 101 + "]" * 101, "[" * 101 + "]" * 101),
        ('{"a":' * 300 + "1" + "}" * 300, '{"a":' * 300 + "1" + "}" * 300),
        ("[" * 5000, "[" * 5000),
        ('"\\ud800"', '"\\ud800"'),
        ('{"\\udfff": 1}', '{"\\udfff": 1}'),
        ("[1e400]", "[1e400]"),
        ("[NaN]", "[NaN]"),
        ("1" + "0" * 4000, int("1" + "0" * 4000)),
        ("1" + "0" * 5000, "1" + "0" * 5000),
        ("{", "{"),
        ('{"a":1,"a":2}', {"a": 2}),
        ("\ufeff{}", "\ufeff{}"),
        ("", None),
    ],
    ids=range(20),
)
@pytest.mark.parametrize("status", [200, 201, 299])
def test_json_of_a_success_is_shown_as_json_or_at_least_as_text(tools, sandbox, text, said, status):
    told = ask(tools, sandbox, "answer", status=status, content_type="application/json", body=text)
    assert (told["outcome"], told["status"], told["result"]) == ("accepted", status, said)


@pytest.mark.parametrize(
    ("body", "result"), [("", None), ("ok\n", "ok"), ("<b>ok</b>", "<b>ok</b>"), ('{"a":1}', '{"a":1}'), ("a\udcffb\0c", "a�b\0c")]
)
def test_text_of_a_success_is_the_result(tools, sandbox, body, result):
    told = ask(tools, sandbox, "answer", body=body)
    assert (told["outcome"], told["status"], told["result"]) == ("accepted", 200, result)


def test_no_content_and_informational_answers_are_a_success(tools, sandbox):
    assert [ask(tools, sandbox, kind)["result"] for kind in ("204", "informational")] == [None, "ok"]


def test_json_of_a_refusal_is_shown_beside_its_text(tools, sandbox):
    told = ask(tools, sandbox, "answer", status=409, content_type="application/json", body='{"no": [1]}')
    assert (told["outcome"], told["status"], told["origin"], told["result"], told["detail"]) == (
        "rejected",
        409,
        "upstream",
        {"no": [1]},
        '{"no": [1]}',
    )


def test_401_is_told_as_upstreams(tools, sandbox):
    told = ask(tools, sandbox, "401")
    assert (told["status"], told["origin"], told["detail"], told["outcome"]) == (401, "upstream", "invalid write key", "rejected")


def test_429_keeps_its_retry_after(tools, sandbox):
    told = ask(tools, sandbox, "429", retry_after=7)
    assert (told["status"], told["retry_after"], told["retryable"], told["outcome"]) == (429, "7", True, "rejected")
    assert "retry_after" not in ask(tools, sandbox, "429")


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "text/html"])
def test_a_5xx_names_nothing_to_callers_and_all_to_the_log(tools, sandbox, content_type):
    said = '{"error": "dial tcp 10.0.0.7:5432: connect: connection refused"}'
    told = ask(tools, sandbox, "answer", status=500, content_type=content_type, body=said)
    assert (told["status"], told["outcome"], told["result"], outcome_of(told).answer) == (500, "failed", None, said)
    assert "10.0.0.7" not in json.dumps(told)


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "half_answer", "endless"])
def test_an_answer_that_is_not_whole_is_unknown(tools, sandbox, kind):
    told = ask(tools, sandbox, kind)
    assert (told["status"], told["outcome"], told["retryable"], told["result"]) == (504, "unknown", False, None)
    assert "may have the events or not" in told["detail"]


def test_a_circuit_that_is_open_says_when_to_come_back(tools, sandbox, settings):
    settings.RUDDERSTACK_BASE_URL, settings.GATEWAY_BREAKER_FAILURES, settings.GATEWAY_BREAKER_SECONDS = "http://127.0.0.1:9", 2, 0.3
    assert [shown(tools.send("replay", GOOD["replay"]))["status"] for _ in range(2)] == [502, 502]
    told = shown(tools.send("replay", GOOD["replay"]))
    assert (told["status"], told["reason"], told["retry_after"], told["retryable"], told["outcome"]) == (503, "circuit_open", "1", True, "failed")


def test_upstreams_echo_of_a_secret_reaches_nobody(tools, sandbox, settings):
    settings.RUDDERSTACK_USER, settings.RUDDERSTACK_PASS = "wk-1", "a-long-password"
    for status in (200, 400):
        for content_type in ("text/plain", "application/json"):
            told = ask(tools, sandbox, "answer", status=status, content_type=content_type, body='{"no": "a-long-password"}')
            assert "a-long-password" not in json.dumps(told) + outcome_of(told).answer


def test_a_replayed_answer_says_so(tools, sandbox):
    first, again = (shown(tools.send("replay", GOOD["replay"], {"idempotency_key": "k"})) for _ in range(2))
    assert again == {**first, "replayed": True}
    assert sandbox.count()["calls"] == 1


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    status=st.integers(200, 999),
    body=st.text(st.characters(exclude_categories=()), max_size=50) | st.sampled_from(["ok", '{"a":1}', "[1e400]", '"\\ud800"']),
    content_type=st.sampled_from(["text/plain", "application/json", "text/html; charset=x", "application/x+json", ""]),
)
def test_whatever_upstream_says_is_told_as_the_log_has_it(tools, sandbox, status, body, content_type):
    told = ask(tools, sandbox, "answer", status=status, content_type=content_type, body=body)
    outcome = outcome_of(told)
    assert (told["outcome"], told["status"]) == (outcome.result, outcome.status)
    assert (told["outcome"] == "accepted") == (200 <= status < 300)
    sandbox.reset()


# dry runs


def test_a_dry_run_says_what_would_be_sent_and_sends_nothing(tools, sandbox):
    body = {"batch": [EVENT, {"userId": "u", "context": {"sources": {"job_run_id": "jr"}}}]}
    told = shown(tools.send("replay", body, {"job_run_id": "other", "dry_run": True}))
    assert (told["outcome"], told["status"], told["events"]) == ("dry_run", 200, 2)
    assert told["result"] == {
        "dry_run": True,
        "operation": "replay",
        "target": f"{sandbox.url}/internal/v1/replay",
        "source": "rep-1",
        "destination": None,
        "job_run_id": "other",
        "events": 2,
        "bytes": len(json.dumps(body, separators=(",", ":"))),
        "events_without_message_id": 1,
        "errors": [],
    }
    assert outcome_of(told).result == "dry_run"
    assert sandbox.count()["calls"] == 0


def test_a_dry_run_of_what_would_be_refused_is_an_error(tools, sandbox):
    told = shown(tools.send("replay", b'{"batch":[{"userId":"u","v":1e400}]}', {"dry_run": True}))
    assert (told["status"], told["outcome"], told["errors"][0]["pointer"]) == (400, "dry_run", "/batch/0/v")


def test_half_a_surrogate_pair_in_what_would_be_sent_breaks_nothing(tools, sandbox):
    body = b'{"batch":[{"userId":"u","context":{"sources":{"job_run_id":"a\\ud800b"}}}]}'
    assert shown(tools.send("replay", body, {"dry_run": True}))["result"]["job_run_id"] == "a?b"
    message = json.dumps([{**MESSAGE, "properties": {**MESSAGE["properties"], "sourceID": "\ud800"}}]).encode()
    assert shown(tools.send("batch", message, {"dry_run": True}))["result"]["source"] == "?"
    assert shown(tools.send("replay", body))["outcome"] == "accepted"


# where the gateway fails


def test_a_log_that_takes_no_row_sends_nothing(tools, sandbox):
    tools.send("replay", GOOD["replay"])
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_outcome RENAME TO away_outcome")
        cursor.execute("ALTER TABLE audit_call RENAME TO away_call")
    told = shown(tools.send("replay", GOOD["replay"]))
    assert (told["status"], told["reason"], told["outcome"], told["retryable"], told["retry_after"]) == (503, "log_unavailable", "failed", True, "1")
    assert "audit log" in told["detail"]
    assert uuid.UUID(told["audit_id"])
    assert sandbox.count()["calls"] == 1


def test_a_log_that_is_away_before_there_is_a_call_has_no_audit_id():
    told = shown(results.log_unavailable(LogUnavailableError("away")))
    assert (told["audit_id"], told["status"], told["outcome"]) == (None, 503, "failed")


def test_an_outcome_that_cannot_be_written_is_pending_and_the_answer_goes_out(tools, sandbox):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_outcome RENAME TO away")
    told = shown(tools.send("replay", GOOD["replay"]))
    assert (told["status"], told["outcome"], told["result"], told["audit_state"]) == (200, "accepted", "ok", "pending")


def test_a_failure_of_our_own_after_sending_is_unknown_and_tells_nothing(tools, sandbox, monkeypatch, caplog):
    def fail(*_):
        raise ValueError("@".join(["jane", "example.com"]))

    monkeypatch.setattr(forward, "of_reply", fail)
    told = shown(tools.send("replay", GOOD["replay"]))
    assert (told["status"], told["outcome"], told["reason"], told["retryable"]) == (500, "unknown", "internal", False)
    assert [(row.result, row.reason) for row in Outcome.objects.all()] == [("unknown", "internal")]
    assert "jane@example.com" not in json.dumps(told) + caplog.text
    assert "ValueError" in caplog.text


def test_a_failure_of_our_own_before_sending_tells_nothing(tools, sandbox, monkeypatch, caplog):
    def fail(submission):
        raise ValueError("@".join(["jane", "example.com"]))

    monkeypatch.setattr("gateway.mcp_server.tools.submit", fail)
    told = shown(tools.send("replay", GOOD["replay"]))
    assert (told["status"], told["outcome"], told["reason"]) == (500, "unknown", "internal")
    assert "jane@example.com" not in json.dumps(told) + caplog.text


def test_every_outcome_has_its_word_in_the_schema():
    assert OUTPUT["properties"]["outcome"]["enum"] == list(Result.values)
    assert all(tool.output_schema == OUTPUT for tool in tools.TOOLS.values())
