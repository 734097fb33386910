"""The OpenAPI document against the gateway that serves it: whatever is asked, by whomever, is answered as the document says."""

import json
from pathlib import Path

import pytest
import schemathesis
from hypothesis import core, given, note
from hypothesis.vendor.pretty import RepresentationPrinter
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from gateway.contract.faults import ANSWERS
from tests.fuzz.effort import EFFORTS

# Schemathesis puts one in its place that prints nothing, and so takes the examples out of every other test's failure.
core.RepresentationPrinter = RepresentationPrinter

CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]

schemathesis.serializer.alias("application/x-ndjson", "text/plain")

ROUTES = [f"{method.upper()} {path}" for path, methods in json.loads(Path("docs/openapi.json").read_text())["paths"].items() for method in methods]
UNKNOWN = "rgw_unknown"


@pytest.fixture(scope="package")
def document(_live):
    """What the gateway serves."""
    return schemathesis.openapi.from_url(f"{_live.url}/openapi.json")


@pytest.mark.parametrize("route", ROUTES)
@EFFORTS
def test_every_answer_is_a_documented_one(live, document, route, effort):
    operation = document.find_operation_by_label(route)

    @effort
    @given(operation.as_strategy(GenerationMode.POSITIVE) | operation.as_strategy(GenerationMode.NEGATIVE))
    def check(case):
        for key in (live.key, UNKNOWN, None):
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            note(case.as_curl_command(headers))
            answer = case.call(base_url=live.url, session=live.http, headers=headers)
            case.validate_response(answer, checks=CHECKS, headers=headers)
            assert answer.status_code < 500, answer.text
            assert answer.headers["x-request-id"]
            # What a line of NDJSON must be no schema of the document can say.
            if case.meta.generation.mode is GenerationMode.POSITIVE and answer.status_code == 400 and case.media_type != "application/x-ndjson":
                assert answer.json()["reason"] not in ANSWERS, answer.text
            if "operations" in operation.tags:
                assert ("x-audit-id" in answer.headers) == (key == live.key), (answer.status_code, answer.text)

    check()
