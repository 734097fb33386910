"""The OpenAPI document and its page."""

import json
from pathlib import Path

import pytest

from gateway.api.openapi import document
from gateway.contract.body import Body
from gateway.operations import OPERATIONS
from tests.conftest import Rest

COMMITTED = Path("docs/openapi.json")


def test_the_committed_copy_is_the_generated_one():
    assert COMMITTED.read_text() == document(), "run `make openapi`"


def test_it_is_served_as_json(client, db):
    answer = client.get("/openapi.json")
    assert (answer.status_code, answer["Content-Type"], answer.json()["openapi"]) == (200, "application/json", "3.1.1")


def test_it_has_every_route_with_schema_example_and_problems():
    paths = json.loads(document())["paths"]
    assert {f"/{operation.path}" for operation in OPERATIONS.values()} | {"/v1/calls", "/v1/calls/{call_id}", "/healthz", "/readyz"} == set(paths)
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


def test_the_page_loads_nothing_from_elsewhere(client, db):
    page = client.get("/docs").content.decode()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert "/static/" in page


def _post(operation):
    return json.loads(document())["paths"][f"/{operation.path}"]["post"]
