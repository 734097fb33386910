"""Arguments: what they are refused for, and the one body that they make."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gateway.audit.models import Call, Outcome
from gateway.contract.body import Body
from gateway.forwarding.answer import Refusal
from gateway.mcp_server import message
from gateway.mcp_server.arguments import body_of, headers_of, refusal_of, serialise
from gateway.mcp_server.schemas import OPTIONS, OUTPUT, example_arguments, input_schema
from gateway.operations import OPERATIONS, Shape
from tests.conftest import EVENT, GOOD
from tests.mcp_server.door import Tools

ALL = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
RETL = OPERATIONS["retl"]
ANY_TEXT = st.text(st.characters(exclude_categories=()))
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=20,
)


def read(text: bytes):
    """A value as a message brings it."""
    return message.read(b'{"jsonrpc":"2.0","method":"x","params":{"value":%s}}' % text).params["value"]


# serialise


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (b'{ "b" : 1 , "a" : [ true , null ] }', b'{"b":1,"a":[true,null]}'),
        (b"9007199254740993", b"9007199254740993"),
        (b"-9007199254740993", b"-9007199254740993"),
        (b"1" + b"0" * 4000, b"1" + b"0" * 4000),
        (b"0.1", b"0.1"),
        (b"0.30000000000000004", b"0.30000000000000004"),
        (b"1E2", b"100.0"),
        (b"-0.0", b"-0.0"),
        (b"5e-324", b"5e-324"),
        (b"1.7976931348623157e308", b"1.7976931348623157e+308"),
        ('"é 😀 \u2028"'.encode(), '"é 😀 \u2028"'.encode()),
        (b'"\\u00e9\\u0041"', '"éA"'.encode()),
        (b'"\\ud83d\\ude00"', "\U0001f600".join('""').encode()),
        (b'"\\ud800"', b'"\\ud800"'),
        (b'"\\udc00\\ud800 \xc3\xa9"', b'"\\udc00\\ud800 \xc3\xa9"'),
        (b'{"\\udfff":1}', b'{"\\udfff":1}'),
        (b'"\\\\ud800"', b'"\\\\ud800"'),
        (b'"\\u0000\\u001f\x7f\\n\\/"', b'"\\u0000\\u001f\x7f\\n/"'),
        (b"[1e400,-1e400,1]", b"[1e999,-1e999,1]"),
        (b'{"a":{"b":[1e309]},"\\ud800":"\\ud800"}', b'{"a":{"b":[1e999]},"\\ud800":"\\ud800"}'),
        (b'"1e999"', b'"1e999"'),
        (b"[]", b"[]"),
        (b'""', b'""'),
    ],
)
def test_a_value_is_written_compactly_and_exactly(text, written):
    assert serialise(read(text)) == written


@given(ANY_JSON)
def test_what_is_written_reads_as_the_same(value):
    written = serialise(value)
    again = json.loads(written)
    assert again == value
    assert json.dumps(again) == json.dumps(value)
    assert written == serialise(again)


def test_what_is_nested_too_deeply_is_refused():
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Refusal) as refused:
        serialise(deep)
    assert (refused.value.status, refused.value.reason) == (400, "too_deep")


@ALL
def test_a_number_beyond_a_double_is_refused_by_the_contract_with_its_place(operation):
    text = json.dumps(example_arguments(operation)).replace("{", '{"huge": [1, 1e400], ', 2).encode()
    arguments = read(text) if operation.name != "internalbatch" else read(text.replace(b'{"huge": [1, 1e400], ', b"{", 1))
    arguments.pop("huge", None)
    verdict = body_of(operation, arguments).exact(operation)
    pointers = {fault.pointer.removesuffix("/huge/1") for fault in verdict.faults if fault.reason == "number_overflow"}
    assert verdict.accepted == (not pointers)
    assert pointers == {"audiencelist": {""}, "extract": {""}, "replay": {"/batch/0"}, "retl": {"/batch/0"}, "internalbatch": set()}[operation.name]


def test_what_is_too_deep_to_write_is_recorded_as_a_refusal(tools, sandbox, monkeypatch):
    def give_up(value):
        raise RecursionError

    monkeypatch.setattr("gateway.mcp_server.arguments._dump", give_up)
    shown = tools.send("replay", GOOD["replay"]).structured_content
    assert (shown["status"], shown["outcome"], shown["reason"]) == (400, "refused", "too_deep")
    call = Call.objects.get(id=shown["audit_id"])
    assert (call.bytes, call.sha256, Outcome.objects.get(call=call).reason) == (None, "", "too_deep")
    assert sandbox.count()["calls"] == 0


def test_the_body_is_made_when_it_is_asked_for():
    body = body_of(RETL, {"batch": [{"type": "record"}], "source": "src-1"})
    assert not body.was_read
    assert body.received == b'{"batch":[{"type":"record"}]}'


def test_arguments_beside_the_body_are_headers():
    arguments = {"batch": [], "source": "s", "destination_id": "d", "job_run_id": "j", "task_run_id": "t", "dry_run": True, "idempotency_key": "k"}
    assert headers_of(arguments) == {
        "Content-Type": "application/json",
        "X-Rudder-Source-Id": "s",
        "X-Rudder-Destination-Id": "d",
        "X-Rudder-Job-Run-Id": "j",
        "X-Rudder-Task-Run-Id": "t",
    }
    assert headers_of({"source": 5, "destination_id": None}) == {"Content-Type": "application/json"}


# what is no argument

BAD_OPTIONS = [
    ("source", 5),
    ("source", None),
    ("source", ["src-1"]),
    ("source", "é"),
    ("source", " src-1"),
    ("source", "src-1 "),
    ("source", "a\nb"),
    ("source", "src-1\n"),
    ("source", "a\0b"),
    ("source", "a\x7fb"),
    ("source", " "),
    ("destination_id", 7),
    ("destination_id", "dst-1\r\nX-Other: 1"),
    ("job_run_id", {}),
    ("job_run_id", "\ud800"),
    ("task_run_id", "\t"),
    ("task_run_id", True),
    ("dry_run", "true"),
    ("dry_run", "yes"),
    ("dry_run", 1),
    ("dry_run", 0),
    ("dry_run", None),
    ("idempotency_key", ""),
    ("idempotency_key", " "),
    ("idempotency_key", "k" * 256),
    ("idempotency_key", "é"),
    ("idempotency_key", "a\x7fb"),
    ("idempotency_key", "k\n"),
    ("idempotency_key", 1),
    ("idempotency_key", None),
    ("dryRun", True),
    ("dry-run", True),
    ("DRY_RUN", True),
    ("event", {}),
    ("headers", {"X-Rudder-Source-Id": "src-1"}),
    ("", 1),
    ("a/b~c", 1),
    ("\ud800", 1),
]


@pytest.mark.parametrize(("name", "value"), BAD_OPTIONS, ids=range(len(BAD_OPTIONS)))
def test_what_breaks_the_schema_is_refused_and_recorded(tools, sandbox, name, value):
    arguments = {**GOOD["retl"], name: value}
    assert not Draft202012Validator(input_schema(RETL)).is_valid(arguments)
    result = tools.call("retl", json.dumps(arguments).encode())
    shown = result.structured_content
    reason = "bad_idempotency_key" if name == "idempotency_key" else "bad_parameter"
    assert (result.is_error, shown["status"], shown["outcome"], shown["reason"], shown["retryable"]) == (True, 400, "refused", reason, False)
    escaped = name.replace("~", "~0").replace("/", "~1").replace("\ud800", "\N{REPLACEMENT CHARACTER}")
    assert [error["pointer"] for error in shown["errors"]] == [f"/{escaped}"]
    assert all(error["detail"] and error["cure"] for error in shown["errors"])
    assert sandbox.count()["calls"] == 0
    row = Outcome.objects.get(call=shown["audit_id"])
    assert (row.result, row.reason) == ("refused", reason)


def test_a_dry_run_that_is_not_sure_sends_nothing(tools, sandbox):
    for wish in ("true", "yes", "1", 1, 0, None, [], {}):
        shown = tools.send("replay", GOOD["replay"], {"dry_run": wish}).structured_content
        assert (shown["status"], shown["reason"], sandbox.count()["calls"]) == (400, "bad_parameter", 0)


@ALL
def test_a_missing_body_is_named_with_all_else_that_is_wrong(tools, sandbox, operation):
    shown = tools.call(operation.route, {"nope": 1, "other": 2, "dry_run": "x"}).structured_content
    name = next(name for name in ("event", "batch", "messages") if name in input_schema(operation)["properties"])
    assert (shown["status"], shown["reason"]) == (400, "bad_parameter")
    assert sorted(error["pointer"] for error in shown["errors"]) == sorted([f"/{name}", "/dry_run", "/nope", "/other"])
    assert name in " ".join(error["cure"] for error in shown["errors"])


def test_refusals_quote_no_value(tools, sandbox):
    for name in (*OPTIONS, "surplus"):
        result = tools.send("replay", GOOD["replay"], {name: {"a": "sesame"}})
        assert result.is_error
        assert "sesame" not in result.content[0].text
    assert "sesame" not in "".join(Outcome.objects.values_list("faults", flat=True))


@ALL
def test_good_arguments_are_not_refused(operation):
    options = {"source": "src-1", "destination_id": "", "job_run_id": "a b", "task_run_id": "~", "dry_run": False, "idempotency_key": "k" * 255}
    assert refusal_of(operation, {**example_arguments(operation), **options}) is None


# schemas


@ALL
def test_schemas_are_valid_and_say_one_type_each(operation):
    for schema in (input_schema(operation), OUTPUT):
        Draft202012Validator.check_schema(schema)
        assert (schema["$schema"], schema["type"]) == ("https://json-schema.org/draft/2020-12/schema", "object")
        assert all(isinstance(kind, str) for kind in types_in(schema))


def types_in(schema):
    if isinstance(schema, list):
        return [kind for each in schema for kind in types_in(each)]
    if not isinstance(schema, dict):
        return []
    own = [schema["type"]] if "type" in schema and not isinstance(schema["type"], dict) else []
    return own + [kind for name, each in schema.items() if name not in ("examples", "example", "default", "enum") for kind in types_in(each)]


@ALL
def test_arguments_are_described_and_only_the_body_is_asked_for(operation):
    schema = input_schema(operation)
    bodies = [name for name in schema["properties"] if name not in OPTIONS]
    assert list(schema["properties"]) == [*bodies, *OPTIONS]
    # Of one event and several, exactly one is asked for, which a schema that every client takes cannot say.
    assert (bodies, schema["required"]) == ((["event", "events"], []) if operation.shape is Shape.EVENT else (bodies[:1], bodies[:1]))
    assert schema["additionalProperties"] is False
    assert all(each["description"] for each in schema["properties"].values())
    assert all(each.get("description") or "anyOf" in each or each["type"] for each in OUTPUT["properties"].values())


@ALL
def test_an_argument_without_effect_says_so(operation):
    schema = input_schema(operation)["properties"]
    idle = {name for name in OPTIONS if "no effect" in schema[name]["description"]}
    assert ("destination_id" in idle) == (operation.name != "retl")
    assert ("source" in idle) == (operation.name == "internalbatch")
    assert all({**schema[name], "description": ""} == {**OPTIONS[name], "description": ""} for name in OPTIONS)


@ALL
def test_examples_are_accepted_by_schema_and_contract(operation):
    schema, example = input_schema(operation), example_arguments(operation)
    Draft202012Validator(schema).validate(example)
    assert refusal_of(operation, example) is None
    assert body_of(operation, example).exact(operation).accepted
    [name] = example
    for shown in schema["properties"][name]["examples"]:
        Draft202012Validator(schema).validate({name: shown})
        body = {name: shown} if name == "batch" else shown
        assert Body.of(json.dumps(body).encode()).exact(operation).accepted


def test_texts_of_the_schema_count_to_their_very_end():
    for name in ("source", "destination_id", "job_run_id", "task_run_id", "idempotency_key"):
        validator = Draft202012Validator(OPTIONS[name])
        assert validator.is_valid("a b")
        assert not validator.is_valid("a\n")


def test_of_many_wrong_arguments_a_hundred_are_named_and_of_long_names_the_beginning(tools, sandbox):
    shown = tools.send("replay", GOOD["replay"], {f"x{number}": 1 for number in range(1000)}).structured_content
    assert len(shown["errors"]) == 100
    shown = tools.send("replay", GOOD["replay"], {"x" * 100_000: 1}).structured_content
    assert len(shown["errors"][0]["pointer"]) < 500


@pytest.mark.parametrize("observe", [False, True])
@pytest.mark.parametrize(
    ("route", "body", "cure"),
    [
        ("extract", {"event": json.dumps({"recordId": "1"})}, "Send an object itself, not its text."),
        ("extract", {"event": None}, "Send an object."),
        ("replay", {"batch": EVENT}, "Send an array."),
    ],
)
def test_what_upstream_takes_and_the_schema_does_not_is_refused(make_key, sandbox, settings, route, body, cure, observe):
    settings.GATEWAY_VALIDATION = "observe" if observe else "strict"
    shown = Tools(make_key()).call(route, body).structured_content
    assert (shown["status"], shown["outcome"], shown["errors"][0]["cure"]) == (400, "refused", cure)
    assert sandbox.count()["calls"] == 0
