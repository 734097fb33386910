"""The OpenAPI document and its page."""

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from gateway.api.openapi import document
from gateway.contract.body import Body
from gateway.operations import OPERATIONS
from tests.conftest import GOOD, MESSAGE, Rest

COMMITTED = Path("docs/openapi.json")


def test_the_committed_copy_is_the_generated_one():
    assert COMMITTED.read_text() == document(), "run `make openapi`"


def test_it_is_served_as_json(client, db):
    answer = client.get("/openapi.json")
    assert (answer.status_code, answer["Content-Type"], answer.json()["openapi"]) == (200, "application/json", "3.1.1")


def test_it_has_every_route_with_schema_example_and_problems():
    paths = json.loads(document())["paths"]
    operations = {f"/{operation.path}" for operation in OPERATIONS.values()}
    of_a_job = ("failures", "retry-failed", "pause", "resume", "cancel", "rate")
    jobs = {"/v1/jobs", "/v1/jobs/{job_id}", *(f"/v1/jobs/{{job_id}}/{name}" for name in of_a_job)}
    assert operations | jobs | {"/v1/calls", "/v1/calls/{call_id}", "/healthz", "/readyz"} == set(paths)
    for operation in OPERATIONS.values():
        post = paths[f"/{operation.path}"]["post"]
        content = post["requestBody"]["content"]["application/json"]
        assert content["schema"]
        assert content["examples"]
        assert {"200", "400", "401", "403", "404", "405", "408", "409", "413", "422", "429", "500", "502", "503", "504"} == set(post["responses"])
        assert all("application/problem+json" in answer["content"] for status, answer in post["responses"].items() if status != "200")


@pytest.mark.parametrize("operation", list(OPERATIONS.values()), ids=lambda operation: operation.name)
def test_every_example_is_one_that_upstream_accepts(operation, make_key, sandbox):
    example = next(iter(_post(operation)["requestBody"]["content"]["application/json"]["examples"].values()))["value"]
    body = json.dumps(example).encode()
    assert Body.of(body).exact(operation).accepted
    assert Rest(make_key()).send(operation.route, body).json() == {"result": "ok"}


def test_every_answer_has_a_request_id_and_every_body_but_for_jobs_is_needed():
    for operation in (operation for methods in json.loads(document())["paths"].values() for operation in methods.values()):
        assert operation.get("requestBody", {"required": True})["required"] is ("requestBody" not in operation or operation["tags"] != ["jobs"])
        assert all(answer["headers"]["X-Request-Id"]["required"] for answer in operation["responses"].values())


@pytest.mark.parametrize("key", ["", " ", "é", "a\tb", "a" * 256])
def test_the_idempotency_keys_that_are_refused_are_not_in_the_document(key):
    parameters = _post(OPERATIONS["replay"])["parameters"]
    [schema] = [parameter["schema"] for parameter in parameters if parameter["name"] == "Idempotency-Key"]
    assert not (re.search(schema["pattern"], key) and len(key) <= schema["maxLength"])
    assert re.search(schema["pattern"], "a b")


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("audiencelist", {"userId": ""}),
        ("audiencelist", {"userId": "\u200b"}),
        ("replay", {"batch": [{"type": "track"}]}),
        ("retl", {"batch": [{"userId": " "}]}),
        ("batch", [{**MESSAGE, "payload": {name: value for name, value in MESSAGE["payload"].items() if name != "type"}}]),
        ("batch", [{**MESSAGE, "properties": {**MESSAGE["properties"], "receivedAt": "0001-01-01T00:00:00Z"}}]),
        ("batch", [{**MESSAGE, "properties": {**MESSAGE["properties"], "receivedAt": "2026-01-02t03:04:05z"}}]),
        ("batch", [{**MESSAGE, "properties": {**MESSAGE["properties"], "workspaceID": "a\0b"}}]),
    ],
)
def test_no_body_that_keeps_to_the_schema_is_refused(route, body):
    [operation] = [operation for operation in OPERATIONS.values() if operation.route == route]
    validator = Draft202012Validator(_post(operation)["requestBody"]["content"]["application/json"]["schema"])
    assert validator.is_valid(GOOD[route])
    assert not validator.is_valid(body)
    assert not Body.of(json.dumps(body).encode()).exact(operation).accepted


def test_the_page_loads_nothing_from_elsewhere(client, db):
    page = client.get("/docs").content.decode()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert "/static/" in page


def _post(operation):
    return json.loads(document())["paths"][f"/{operation.path}"]["post"]
