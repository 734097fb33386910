"""What RudderStack answered never reads otherwise: each recorded answer, and each recorded body that arguments can hold, through the tools."""

import json
from collections import Counter

import pytest
from jsonschema import Draft202012Validator

from gateway.audit.models import Call, Outcome
from gateway.mcp_server.schemas import OUTPUT, input_schema
from gateway.operations import OPERATIONS, Shape
from tests.conftest import GOOD
from tests.mcp_server.door import Tools, arguments_of
from tests.recorded import Recorded, recorded

# What no tool takes: the text of an event in its place, and an event in place of an array.
NO_EVENTS = {"extract/body-null", "extract/body-number", "extract/body-string", "extract/body-true"}
ONE_EVENT = {"replay/body-batch-object", "retl/body-batch-object"}
OTHERWISE = {
    "internalbatch/received-raw-escaped": "accepted",  # a time written with escapes, which the arguments are written without
    'internalbatch/extra-SOURCEID-"x"': "refused",  # keys that can be read in two ways, which the gateway sends by no door
    'internalbatch/extra-REQUESTTYPE-"batch"': "refused",
    **dict.fromkeys(NO_EVENTS | ONE_EVENT, "refused"),
}
OUTPUT_SCHEMA = Draft202012Validator(OUTPUT)
ANSWERS = sorted({(row.status, row.answer, row.content_type or "") for row in recorded()})
ABOUT_BODIES = [row for row in recorded() if row.is_about_the_body]


class DoubledError(Exception):
    """A key is there twice, of which RudderStack and Python take different ones."""


def once(pairs):
    if len(dict(pairs)) < len(pairs):
        raise DoubledError
    return dict(pairs)


def arguments(row: Recorded) -> bytes | None:
    """The arguments that make a recorded body; None where there are none, as it is packed, no JSON, or a batch with members beside the events."""
    operation = OPERATIONS[row.operation]
    if row.headers.get("Content-Encoding") == "gzip":
        return None
    try:
        value = json.loads(row.body.decode(), object_pairs_hook=once, parse_constant=lambda name: 1 / 0)
    except (ValueError, ArithmeticError, RecursionError, DoubledError):
        return None
    if operation.shape is Shape.BATCH and not (isinstance(value, dict) and value.keys() == {"batch"}):
        return None
    return arguments_of(operation.route, row.body)


@pytest.mark.parametrize(("status", "text", "content_type"), ANSWERS, ids=range(len(ANSWERS)))
def test_every_recorded_answer_reads_as_what_it_is(tools, sandbox, status, text, content_type):
    sandbox.trouble("answer", times=1, status=status, body=text, content_type=content_type)
    result = tools.send("retl", GOOD["retl"])
    shown = result.structured_content
    OUTPUT_SCHEMA.validate(shown)
    outcome = Outcome.objects.get(call=shown["audit_id"])
    assert result.is_error == (status != 200)
    assert (outcome.upstream_status, outcome.result) == (status, shown["outcome"])
    said = text.removesuffix("\n")
    if status == 200:
        assert (shown["outcome"], shown["status"], shown["result"]) == ("accepted", 200, said)
    elif status < 500:
        assert (shown["outcome"], shown["status"], shown["origin"], shown["detail"]) == ("rejected", status, "upstream", said)
    else:
        assert (shown["outcome"], shown["result"], said in result.content[0].text) == ("failed", None, False)


def test_the_recorded_answers_are_of_all_kinds():
    assert {status // 100 for status, _, _ in ANSWERS} == {2, 4, 5}


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_every_recorded_body_reads_as_what_became_of_it(make_key, sandbox, operation):
    tools, counted, wrong = Tools(make_key()), Counter(), []
    for row in [row for row in ABOUT_BODIES if row.operation == operation]:
        text = arguments(row)
        if text is None:
            continue
        stored = sandbox.count()["stored"]
        result = tools.call(OPERATIONS[operation].route, text)
        accepted = sandbox.count()["stored"] > stored
        shown = result.structured_content
        OUTPUT_SCHEMA.validate(shown)
        counted[row.status] += 1
        reads_true = (shown["outcome"] == "accepted") == accepted == (not result.is_error)
        expected = {OTHERWISE[row.name]} if row.name in OTHERWISE else {"accepted"} if row.status == 200 else {"refused", "rejected"}
        if not reads_true or shown["outcome"] not in expected:
            wrong.append((row.name, row.status, shown["status"], shown["outcome"]))
    assert wrong == []
    assert counted[200] > 10
    assert counted[400] > 10
    assert Call.objects.count() == sum(counted.values())


def test_the_schemas_take_every_recorded_body_that_upstream_accepts_but_those_that_nobody_means():
    schemas = {name: Draft202012Validator(input_schema(operation)) for name, operation in OPERATIONS.items()}
    taken, left = Counter(), set()
    for row in ABOUT_BODIES:
        if row.status == 200 and (text := arguments(row)):
            good = schemas[row.operation].is_valid(json.loads(text))
            taken[row.operation] += good
            left |= set() if good else {row.name}
    assert left == NO_EVENTS | ONE_EVENT
    assert all(taken[name] > 10 for name in OPERATIONS)
