"""The five routes: what goes out, and how upstream's answers come back."""

import json

import pytest
from tests.conftest import GOOD


@pytest.mark.parametrize("route", list(GOOD))
def test_a_good_body_is_accepted_on_every_route(rest, sandbox, route):
    answer = rest.send(route, GOOD[route])
    assert (answer.status_code, json.loads(answer.content)) == (200, {"result": "ok"})
    assert sandbox.count()["stored"] == 1
