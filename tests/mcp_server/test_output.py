"""A tool's result is judged by its schema, each combination of types and choices once."""

import uuid

import pytest
from jsonschema import ValidationError

from gateway.mcp_server import results
from gateway.mcp_server.schemas import OUTPUT

SHOWN = {
    "audit_id": str(uuid.uuid4()),
    "outcome": "accepted",
    "status": 200,
    "result": "OK",
    "events": 1,
    "duration_ms": 3,
    "retryable": False,
}


@pytest.mark.parametrize("wrong", [{"outcome": "sent"}, {"status": "200"}, {"status": True}, {"events": 1.5}, {"other": 1}, {"errors": [{}]}])
def test_what_is_promised_is_checked_whatever_was_good_before(wrong):
    results._check(SHOWN)
    fault = {"pointer": "/batch", "detail": "This is wrong.", "cure": "Change it."}
    results._check({**SHOWN, "errors": [fault]})
    for _ in range(2):
        with pytest.raises(ValidationError):
            results._check({**SHOWN, **wrong})


def test_types_and_choices_are_all_that_the_schema_asks_for():
    """Else a combination of them could be good once and bad the next time. `errors` are judged every time; `format` is a note."""
    for name, schema in OUTPUT["properties"].items():
        if name != "errors":
            kinds = schema.get("anyOf", [schema])
            assert all(set(kind) <= {"type", "enum", "description", "format"} for kind in kinds)
    assert set(OUTPUT) == {"$schema", "type", "properties", "required", "additionalProperties"}
    assert results._OUTPUT.format_checker is None
