"""Arbitrary messages and arguments: whatever comes in, what goes out is JSON-RPC, and the log has each call once."""

import asyncio
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from mcp_types import jsonrpc_message_adapter

from gateway.audit.models import Call, Outcome
from gateway.mcp_server import message
from gateway.mcp_server.message import BadMessageError
from gateway.mcp_server.schemas import OUTPUT
from gateway.mcp_server.tools import TOOLS
from tests.conftest import GOOD
from tests.mcp_server.door import ROUTES

METHODS = [
    "initialize",
    "ping",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "prompts/list",
    "prompts/get",
    "server/discover",
    "notifications/initialized",
    "notifications/cancelled",
    "logging/setLevel",
    "completion/complete",
    "subscriptions/listen",
]
VERSIONS = [None, "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "2027-01-01", ""]
WORDS = [
    "name",
    "arguments",
    "uri",
    "cursor",
    "_meta",
    "protocolVersion",
    "capabilities",
    "clientInfo",
    "version",
    "requestId",
    "progressToken",
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/clientCapabilities",
    "replay",
    "investigate-failed-calls",
    "hours",
    "calls://x",
    "operations://replay",
    "2025-11-25",
    "2026-07-28",
    *TOOLS,
]
TEXT = st.text(st.characters(exclude_categories=()), max_size=20) | st.sampled_from(WORDS)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT | st.just("HUGE"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from([*TOOLS, "investigate-failed-calls", "prepare-a-replay"]) | VALUE,
        "arguments": st.dictionaries(st.sampled_from(["hours", "source", "events"]) | TEXT, VALUE, max_size=3) | VALUE,
        "uri": st.sampled_from(["operations://replay", "calls://x", "calls://01a20c8c-7b46-77ed-afd0-713e642ed7b3"]) | VALUE,
        "cursor": VALUE,
        "_meta": st.dictionaries(st.sampled_from(WORDS), VALUE, max_size=4) | VALUE,
        "protocolVersion": st.sampled_from([version for version in VERSIONS if version]) | VALUE,
        "capabilities": VALUE,
        "clientInfo": st.fixed_dictionaries({"name": TEXT, "version": TEXT}) | VALUE,
        "requestId": VALUE,
    },
)
MESSAGE = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0") | VALUE, "method": st.sampled_from(METHODS) | VALUE},
    optional={"id": st.integers() | TEXT | VALUE, "params": PARAMS | VALUE, "result": VALUE, "error": VALUE},
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "source": st.sampled_from(["src-1", "rep-1", ""]) | VALUE,
        "destination_id": st.sampled_from(["dst-1", ""]) | VALUE,
        "job_run_id": TEXT,
        "task_run_id": TEXT,
        "dry_run": st.booleans() | VALUE,
        "idempotency_key": st.sampled_from(["k-1", "k-2"]) | VALUE,
    },
)
HURRIED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
OUTPUT_SCHEMA = Draft202012Validator(OUTPUT)


def as_text(value) -> bytes:
    """JSON, with numbers beyond a double now and then."""
    return json.dumps(value).replace('"HUGE"', "1e400").encode()


def check(answer, asked: bytes) -> None:
    """One answer of JSON-RPC, under the request's id."""
    if answer.status == 202:
        assert answer.content == b""
        return
    assert answer.status in (200, 400, 404)
    document = answer.json()
    assert document["jsonrpc"] == "2.0"
    assert ("result" in document) != ("error" in document)
    if "error" in document:
        assert isinstance(document["error"]["code"], int)
        assert document["error"]["code"] != -32603
        assert isinstance(document["error"]["message"], str)
        assert "Traceback" not in document["error"]["message"]
    else:
        assert document["id"] == json.loads(asked)["id"]
    if document["id"] is not None:
        assert document["id"] == json.loads(asked)["id"]


@HURRIED
@given(content=MESSAGE.map(as_text) | VALUE.map(as_text) | st.binary(max_size=60), version=st.sampled_from(VERSIONS), data=st.data())
def test_any_message_is_answered_by_json_rpc(asgi, content, version, data):
    headers = {"MCP-Protocol-Version": version}
    if version and data.draw(st.booleans()):
        headers |= {"Mcp-Method": data.draw(st.sampled_from(METHODS)), "Mcp-Name": data.draw(st.sampled_from([*TOOLS, "x"]))}
    check(asgi.post(content, headers), content)


@HURRIED
@given(params=PARAMS, name=st.sampled_from(METHODS), version=st.sampled_from(VERSIONS))
def test_any_params_are_answered_by_json_rpc(asgi, params, name, version):
    content = as_text({"jsonrpc": "2.0", "id": 1, "method": name, "params": params})
    check(asgi.post(content, {"MCP-Protocol-Version": version, "Mcp-Method": name}), content)


@HURRIED
@given(route=st.sampled_from(list(GOOD)), body=VALUE, good=st.booleans(), options=OPTIONS, surplus=st.dictionaries(TEXT, VALUE, max_size=1))
def test_any_arguments_are_answered_by_what_the_log_has(tools, sandbox, route, body, good, options, surplus):
    name = next(iter(TOOLS[ROUTES[route].tool].input_schema["properties"]))
    own = (GOOD[route]["batch"] if name == "batch" else GOOD[route]) if good else body
    calls, before = Call.objects.count(), sandbox.count()
    result = tools.call(route, as_text({**surplus, **options, name: own}))
    shown = result.structured_content
    OUTPUT_SCHEMA.validate(shown)
    assert json.loads(message.write(shown)) == json.loads(result.content[0].text) == shown
    assert result.is_error == (shown["status"] >= 400)
    assert Call.objects.count() == calls + ("replayed" not in shown)
    outcome = Outcome.objects.get(call=shown["audit_id"])
    assert (outcome.result, outcome.status) == (shown["outcome"], shown["status"])
    after = sandbox.count()
    assert after["stored"] - before["stored"] == (shown["outcome"] == "accepted" and "replayed" not in shown)
    if after["calls"] > before["calls"]:
        assert shown["outcome"] in ("accepted", "rejected")
        assert "replayed" not in shown


@HURRIED
@given(content=MESSAGE.map(as_text))
def test_a_message_that_is_read_is_one_for_the_protocols_types_too(content):
    try:
        read = message.read(content)
    except BadMessageError as error:
        jsonrpc_message_adapter.validate_python(error.answer, by_name=False)
        return
    if read.method is not None:
        jsonrpc_message_adapter.validate_python(read.content, by_name=False)


def test_many_at_once_are_each_answered(asgi, sandbox):
    async def work():
        contents = [{"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": {"name": "replay", "arguments": GOOD["replay"]}} for n in range(20)]
        return await asyncio.gather(*(asgi.asked(content, {}, "POST", "/mcp", None, None) for content in contents))

    answers = [answer.json() for answer in asyncio.run(work())]
    assert [answer["id"] for answer in answers] == list(range(20))
    assert {answer["result"]["structuredContent"]["outcome"] for answer in answers} == {"accepted"}
    assert (Call.objects.count(), sandbox.count()["stored"]) == (20, 20)
