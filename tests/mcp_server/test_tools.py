"""The five tools: how they are listed, who may use them, and what a call of one sends and records."""

import base64
import json
import threading

import pytest
from jsonschema import Draft202012Validator

from gateway.audit.models import Call, Outcome
from gateway.contract.body import Body
from gateway.forwarding.answer import Refusal
from gateway.mcp_server.arguments import refusal_of, serialise
from gateway.mcp_server.tools import BY_NAME, TOOLS, tools_for
from gateway.operations import OPERATIONS
from gateway.upstream.flight import Cancellation
from tests.conftest import EVENT, GOOD, MESSAGE
from tests.mcp_server.door import ROUTES, Tools
from tests.waiting import wait_for

ALL_ROUTES = list(GOOD)


def sent(sandbox):
    """Headers of what arrived, each request's."""
    return [dict(request["headers"]) for request in sandbox.received()]


def row_of(result):
    return Call.objects.get(id=result.structured_content["audit_id"])


def told(result):
    return tuple(result.structured_content[name] for name in ("status", "reason"))


# how they are listed


def test_there_are_the_five_in_the_published_order():
    assert list(TOOLS) == ["audience-list", "batch", "extract", "replay", "retl"] == [operation.tool for operation in OPERATIONS.values()]


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_is_described_by_its_operation(name):
    tool, operation = TOOLS[name], BY_NAME[name]
    assert (tool.name, tool.title) == (operation.tool, operation.description)
    assert tool.description.startswith(f"{operation.description}. {operation.help}")
    hints = tool.annotations
    assert (hints.title, hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint) == (operation.description, False, False, False)
    assert "{" not in tool.description.partition("Example")[0]
    assert len(tool.description) < 2000


@pytest.mark.parametrize("name", TOOLS)
def test_a_description_names_other_tools_that_there_are(name):
    text = TOOLS[name].description
    named = [other for other in TOOLS if other != name and other in text]
    assert named


@pytest.mark.parametrize("name", TOOLS)
def test_a_descriptions_example_is_accepted(name):
    tool, operation = TOOLS[name], BY_NAME[name]
    example = json.loads(tool.description.partition("Example arguments: ")[2])
    Draft202012Validator(tool.input_schema).validate(example)
    assert refusal_of(operation, example) is None
    [(argument, value)] = example.items()
    body = serialise({argument: value} if argument == "batch" else value)
    assert Body.of(body).exact(operation).accepted


@pytest.mark.parametrize("name", TOOLS)
def test_an_example_can_be_called(tools, sandbox, name):
    example = json.loads(TOOLS[name].description.partition("Example arguments: ")[2])
    assert tools.call(BY_NAME[name].route, example).structured_content["outcome"] == "accepted"


def test_a_key_is_shown_what_it_may_use(make_key):
    for rights, expected in (
        ({}, list(TOOLS)),
        ({"operations": "replay"}, ["replay"]),
        ({"operations": "retl,internalbatch"}, ["batch", "retl"]),
        ({"sources": "none-of-ours"}, list(TOOLS)),
    ):
        assert [tool.name for tool in tools_for(Tools(make_key(**rights)).caller())] == expected


# what goes out


@pytest.mark.parametrize("route", ALL_ROUTES)
def test_a_good_call_is_accepted(tools, sandbox, route):
    result = tools.send(route, GOOD[route])
    assert (result.is_error, result.structured_content["result"]) == (False, "ok")
    assert sandbox.count() == {"calls": 1, "stored": 1, "events": 1}
    call = row_of(result)
    assert (call.operation, call.channel, call.actor, call.events) == (ROUTES[route].name, "mcp", "tester", 1)
    assert (call.key_prefix, call.request_id, call.address) == (tools.key[:12], "r-1", "127.0.0.1")
    outcome = Outcome.objects.get(call=call)
    assert (outcome.result, outcome.upstream_status) == ("accepted", 200)


@pytest.mark.parametrize("route", ALL_ROUTES)
def test_what_is_recorded_is_of_the_bytes_that_went_out(tools, sandbox, route):
    call = row_of(tools.send(route, json.dumps(GOOD[route], indent=3).replace("u-1", "\N{EURO SIGN} {{x}}").encode()))
    body = base64.b64decode(sandbox.received()[0]["body_base64"])
    assert (call.bytes, call.sha256) == (len(body), Body.of(body).digest)
    assert json.loads(body) == json.loads(json.dumps(GOOD[route]).replace("u-1", "\\u20ac {{x}}"))


def test_only_the_stated_headers_go_out(tools, sandbox):
    options = {"source": "src-1", "destination_id": "dst-1", "job_run_id": "jr", "task_run_id": "tr", "idempotency_key": "k"}
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = {"traceparent": trace, "User-Agent": "somebody", "Cookie": "a=b", "Authorization": f"Bearer {tools.key}", "X-Batch-Size": "77"}
    assert not tools.send("retl", GOOD["retl"], options, headers=headers, client="program/1", protocol="2025-11-25").is_error
    [out] = sent(sandbox)
    assert out.pop("Host").startswith("127.0.0.1:")
    assert out == {
        "Content-Type": "application/json",
        "Content-Length": str(len(serialise(GOOD["retl"]))),
        "Accept-Encoding": "identity",
        "User-Agent": "rudder-audited-gateway",
        "X-Forwarded-For": "127.0.0.1",
        "X-Rudder-Source-Id": "src-1",
        "X-Rudder-Destination-Id": "dst-1",
        "X-Rudder-Job-Run-Id": "jr",
        "X-Rudder-Task-Run-Id": "tr",
        "traceparent": trace,
    }


def test_the_row_tells_of_the_program_that_called(tools, sandbox):
    call = row_of(tools.send("retl", GOOD["retl"], headers={"User-Agent": "somebody"}, client="program/1", protocol="2025-11-25"))
    assert json.loads(call.headers) == {
        "Content-Type": "application/json",
        "MCP-Client": "program/1",
        "MCP-Protocol-Version": "2025-11-25",
        "User-Agent": "somebody",
    }


@pytest.mark.parametrize("route", ALL_ROUTES)
def test_the_callers_key_never_goes_out_and_the_gateway_sets_the_credential(tools, sandbox, route):
    tools.send(route, GOOD[route])
    [out] = sent(sandbox)
    assert tools.key not in json.dumps(out)
    writes = route in ("audiencelist", "extract")
    assert out.get("Authorization") == (f"Basic {base64.b64encode(b'wk-1:').decode()}" if writes else None)
    assert out["X-Rudder-Source-Id"] == ("rep-1" if route == "replay" else "src-1")
    assert out.get("X-Batch-Size") == ("1" if route == "batch" else None)


def test_the_batch_size_counts_messages(tools, sandbox):
    tools.send("batch", [MESSAGE] * 7)
    assert sent(sandbox)[0]["X-Batch-Size"] == "7"


def test_without_an_address_none_is_passed_on(tools, sandbox):
    call = row_of(tools.send("retl", GOOD["retl"], address=""))
    assert (call.address, "X-Forwarded-For" in sent(sandbox)[0]) == ("", False)


def test_the_first_events_job_run_wins_over_the_argument(tools, sandbox):
    body = {"batch": [{"userId": "u", "context": {"sources": {"job_run_id": "jr-1"}}}, EVENT]}
    assert row_of(tools.send("replay", body, {"job_run_id": "other"})).job_run_id == "jr-1"


# what is refused


def test_a_missing_source_names_the_setting(tools, sandbox, settings):
    settings.RUDDERSTACK_REPLAY_SOURCE_ID = ""
    result = tools.send("replay", GOOD["replay"])
    assert told(result) == (400, "no_source")
    assert "RUDDERSTACK_REPLAY_SOURCE_ID" in result.structured_content["detail"]


@pytest.mark.parametrize(
    ("options", "reason", "place"),
    [
        ({}, "no_source", "/source"),
        ({"source": "src-9"}, "source_not_allowed", "/source"),
        ({"source": "src-2"}, "no_write_key", "/source"),
        ({"source": "src-2", "dry_run": True}, "no_write_key", "/source"),
        ({"source": "src-1", "idempotency_key": "rgw_" + "a" * 40}, "bad_idempotency_key", "/idempotency_key"),
        ({"source": "src-1", "idempotency_key": "used"}, "idempotency_key_reused", "/idempotency_key"),
    ],
)
def test_a_refusal_of_an_argument_points_to_it(make_key, sandbox, settings, options, reason, place):
    settings.RUDDERSTACK_SOURCE_ID = ""
    tools = Tools(make_key(sources="src-1,src-2"))
    tools.send("extract", GOOD["extract"] | {"another": 1}, {"source": "src-1", "idempotency_key": "used"})
    shown = tools.send("extract", GOOD["extract"], options).structured_content
    assert (shown["reason"], [error["pointer"] for error in shown["errors"]]) == (reason, [place])


def test_a_missing_write_key_names_the_setting(tools, sandbox):
    result = tools.send("extract", GOOD["extract"], {"source": "src-2"})
    assert told(result) == (400, "no_write_key")
    assert "RUDDERSTACK_WRITE_KEYS" in result.structured_content["detail"]
    assert sandbox.count()["calls"] == 0


def test_a_body_over_the_gateways_limit_names_the_limit(tools, sandbox, settings):
    settings.GATEWAY_MAX_BODY_BYTES = 2000
    result = tools.send("audiencelist", {"userId": "u" * 2000})
    assert told(result) == (413, "body_too_large")
    assert "2,000" in result.structured_content["detail"]
    assert "GATEWAY_MAX_BODY_BYTES" in result.structured_content["detail"]


@pytest.mark.parametrize("route", ALL_ROUTES)
def test_a_tool_that_the_key_may_not_use_is_refused_without_a_look_at_the_body(make_key, sandbox, route):
    others = ",".join(OPERATIONS.keys() - {ROUTES[route].name})
    result = Tools(make_key(operations=others)).send(route, GOOD[route])
    assert told(result) == (403, "operation_not_allowed")
    call = row_of(result)
    assert (call.bytes, call.sha256, Outcome.objects.get(call=call).result, sandbox.count()["calls"]) == (None, "", "refused", 0)


def test_a_call_that_cannot_be_taken_now_is_recorded(tools, sandbox):
    busy = Refusal(503, "busy", "Too many.", retry_after="1")
    result = tools.send("replay", GOOD["replay"], busy=busy)
    assert told(result) == (503, "busy")
    assert (result.structured_content["retryable"], result.structured_content["retry_after"]) == (True, "1")
    assert Outcome.objects.get(call=row_of(result)).reason == "busy"
    assert sandbox.count()["calls"] == 0


def test_a_secret_sent_as_an_argument_is_masked_in_the_row(tools, sandbox, settings):
    settings.RUDDERSTACK_WRITE_KEYS = {"src-1": "a-secret-write-key"}
    for secret in ("a-secret-write-key", tools.key):
        for name in ("source", "destination_id", "job_run_id", "task_run_id"):
            tools.send("retl", GOOD["retl"], {name: secret})
        tools.send("retl", GOOD["retl"], request_id=secret, client=secret, headers={"User-Agent": secret, "traceparent": secret})
        assert told(tools.send("retl", GOOD["retl"], {"idempotency_key": secret})) == (400, "bad_idempotency_key")
        assert not [row for row in Call.objects.values() if secret in str(row)]
        assert not [row for row in Outcome.objects.values() if secret in str(row)]


# idempotency


KEY = {"idempotency_key": "k-1"}


def test_an_unsent_try_can_be_sent_again(tools, sandbox, settings):
    settings.RUDDERSTACK_BASE_URL = "http://127.0.0.1:9"
    assert tools.send("replay", GOOD["replay"], KEY).structured_content["status"] == 502
    settings.RUDDERSTACK_BASE_URL = sandbox.url
    assert "replayed" not in tools.send("replay", GOOD["replay"], KEY).structured_content
    assert list(Call.objects.order_by("id").values_list("idempotency_try", flat=True)) == [1, 2]
    assert tools.send("replay", GOOD["replay"], KEY).structured_content["replayed"]


def test_a_refusal_after_a_sent_try_does_not_open_the_key(make_key, tools, sandbox):
    tools.send("replay", GOOD["replay"], KEY)
    assert told(Tools(make_key(operations="retl")).send("replay", GOOD["replay"], KEY))[0] == 403
    assert tools.send("replay", GOOD["replay"], KEY).structured_content["replayed"]
    assert sandbox.count()["calls"] == 1


def test_keys_are_each_clients_own(make_key, sandbox):
    for name in ("one", "two"):
        assert "replayed" not in Tools(make_key(name)).send("replay", GOOD["replay"], KEY).structured_content
    assert sandbox.count()["calls"] == 2


def test_a_key_is_the_same_by_both_doors(rest, sandbox):
    body = serialise(GOOD["replay"])
    first = rest.send("replay", body, {"Idempotency-Key": "k-1"})
    again = Tools(rest.key).send("replay", body, KEY).structured_content
    assert (again["audit_id"], again["replayed"], again["result"]) == (first["X-Audit-Id"], True, "ok")
    other = Tools(rest.key).send("retl", GOOD["retl"], {"idempotency_key": "k-2"}).structured_content
    replayed = rest.send("retl", serialise(GOOD["retl"]), {"Idempotency-Key": "k-2"})
    assert (replayed["X-Audit-Id"], replayed["Idempotency-Replayed"]) == (other["audit_id"], "true")


def test_arguments_in_another_order_are_the_same_call_but_members_of_an_event_are_not(tools, sandbox):
    first = tools.call("retl", {**GOOD["retl"], "source": "src-1", **KEY})
    again = tools.call("retl", {**KEY, "source": "src-1", **GOOD["retl"]})
    assert again.structured_content["audit_id"] == first.structured_content["audit_id"]
    event = GOOD["retl"]["batch"][0]
    turned = dict(reversed(event.items()))
    assert told(tools.call("retl", {"batch": [turned], "source": "src-1", **KEY})) == (422, "idempotency_key_reused")


# cancelled


def test_a_call_that_is_cancelled_before_it_is_sent_is_not(tools, sandbox):
    cancellation = Cancellation()
    cancellation.ask()
    result = tools.send("replay", GOOD["replay"], cancellation=cancellation)
    assert told(result) == (499, "cancelled")
    assert (result.structured_content["outcome"], sandbox.count()["calls"]) == ("refused", 0)


def test_a_call_that_is_cancelled_on_its_way_is_unknown(tools, sandbox):
    sandbox.trouble("delay", times=1, seconds=20)
    cancellation = Cancellation()

    def ask():
        wait_for(lambda: cancellation._socket is not None and sandbox.sandbox.trouble is None)
        cancellation.ask()

    asking = threading.Thread(target=ask)
    asking.start()
    result = tools.send("replay", GOOD["replay"], cancellation=cancellation)
    asking.join()
    assert told(result) == (504, "cancelled")
    assert result.structured_content["outcome"] == "unknown"
    assert Outcome.objects.get(call=row_of(result)).result == "unknown"
