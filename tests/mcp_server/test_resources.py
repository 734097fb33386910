"""What can be read: calls as far as they are the key's to see, and operations."""

import json
import uuid

import pytest
from django.db import connection

from gateway.audit.log import LogUnavailableError
from gateway.audit.models import Call
from gateway.contract.body import Body
from gateway.contract.faults import ANSWERS
from gateway.mcp_server import resources
from gateway.operations import OPERATIONS
from tests.audit.rows import written
from tests.conftest import GOOD
from tests.mcp_server.door import ROUTES, Tools


def read(tools, uri):
    """The document at an address, or None."""
    found = resources.read(uri, tools.caller())
    if found is None:
        return None
    assert (found.uri, found.mime_type) == (uri, "application/json")
    found.text.encode()
    return json.loads(found.text)


def listed(tools, kind):
    return [one for one in resources.resources_for(tools.caller()) if one.uri.startswith(kind)]


@pytest.fixture
def auditor(make_key, sandbox):
    return Tools(make_key("auditor", operations="retl", scopes="audit"))


def test_a_call_is_read_as_rest_shows_it(rest, sandbox):
    tools = Tools(rest.key)
    sent = tools.send("retl", GOOD["retl"], {"destination_id": "dst-1", "job_run_id": "jr"}).structured_content
    by_rest = rest.get(f"/v1/calls/{sent['audit_id']}").json()
    assert read(tools, f"calls://{sent['audit_id']}") == by_rest
    assert (by_rest["channel"], by_rest["result"], by_rest["destination"], by_rest["events"]) == ("mcp", "accepted", "dst-1", 1)


def test_a_refused_call_shows_where(tools, sandbox):
    sent = tools.send("replay", {"batch": [{"secret": "sesame"}]}).structured_content
    call = read(tools, f"calls://{sent['audit_id']}")
    assert (call["result"], call["status"], call["reason"], call["errors"][0]["pointer"]) == ("refused", 400, "missing_user", "/batch/0")
    assert "sesame" not in json.dumps(call)


def test_a_call_is_masked(tools, sandbox, settings):
    settings.RUDDERSTACK_WRITE_KEYS = {"src-1": "a-secret-write-key"}
    sent = tools.send("retl", GOOD["retl"], {"source": "a-secret-write-key", "job_run_id": tools.key}, request_id=tools.key).structured_content
    text = json.dumps(read(tools, f"calls://{sent['audit_id']}"))
    assert "a-secret-write-key" not in text
    assert tools.key not in text
    assert text.count("[masked]") == 3


def test_what_upstream_answered_is_not_shown(tools, sandbox):
    sandbox.trouble("answer", times=1, status=500, body="dial tcp 10.0.0.7:5432")
    sent = tools.send("retl", GOOD["retl"]).structured_content
    assert "10.0.0.7" not in json.dumps(read(tools, f"calls://{sent['audit_id']}"))


def test_a_client_reads_its_own_calls_and_an_auditor_all(tools, auditor, make_key, sandbox):
    other = Tools(make_key("other"))
    mine, theirs = (each.send("replay", GOOD["replay"]).structured_content["audit_id"] for each in (tools, other))
    assert read(tools, f"calls://{mine}")["id"] == mine
    assert read(tools, f"calls://{theirs}") is None
    assert read(tools, f"calls://{uuid.uuid4()}") is None
    assert read(auditor, f"calls://{mine}")["id"] == mine
    assert read(auditor, f"calls://{theirs}")["id"] == theirs


def test_another_key_of_the_client_reads_the_same(make_key, sandbox):
    first, second = Tools(make_key("one")), Tools(make_key("one", operations="extract"))
    sent = first.send("replay", GOOD["replay"]).structured_content["audit_id"]
    assert read(second, f"calls://{sent}")["id"] == sent


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "calls://",
        "calls://nope",
        "calls://01a20c8c-7b46-77ed-afd0-713e642ed7b3",
        "calls://../operations",
        "calls:/01a20c8c-7b46-77ed-afd0-713e642ed7b3",
        "CALLS://01a20c8c-7b46-77ed-afd0-713e642ed7b3",
        "operations://",
        "operations://nope",
        "operations://REPLAY",
        "operations://replay/",
        "operations://audience_list",
        "file:///etc/passwd",
        "http://127.0.0.1/",
        "calls://" + "9" * 100_000,
        "calls://\0",
        "calls://é",
    ],
    ids=range(17),
)
def test_what_there_is_not_is_none(tools, uri):
    assert read(tools, uri) is None


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_found_by_its_tool_too(tools, name):
    assert read(tools, f"operations://{OPERATIONS[name].tool}") == read(tools, f"operations://{name}")


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_says_what_it_takes(tools, name):
    operation, document = OPERATIONS[name], read(tools, f"operations://{name}")
    assert (document["name"], document["tool"]) == (name, operation.tool)
    assert operation.help in document["description"]
    [(_, example)] = document["example_arguments"].items()
    body = document["example_arguments"] if name in ("replay", "retl") else example
    assert Body.of(json.dumps(body).encode()).exact(operation).accepted
    rules = document["rules"]
    assert rules["refusals"] == {reason: {"status": status, "text": text} for reason, (status, text) in ANSWERS.items()}
    assert rules["size_limit_bytes"] <= 4_096_000 or operation.size_limit is None
    assert rules["default_source"] == {"replay": "rep-1", "internalbatch": None}.get(name, "src-1")


def test_an_operation_whose_default_is_not_set_has_none(tools, settings):
    settings.RUDDERSTACK_REPLAY_SOURCE_ID = ""
    assert read(tools, "operations://replay")["rules"]["default_source"] is None


def test_operations_hold_no_secret(tools):
    text = "".join(json.dumps(read(tools, f"operations://{name}")) for name in OPERATIONS)
    assert "wk-1" not in text
    assert "wk-rep-1" not in text


def test_the_operations_and_the_last_calls_are_listed(tools, sandbox):
    assert [one.uri for one in listed(tools, "operations://")] == [f"operations://{name}" for name in OPERATIONS]
    assert listed(tools, "calls://") == []
    sent = [tools.send(route, GOOD[route]).structured_content["audit_id"] for route in GOOD]
    found = listed(tools, "calls://")
    assert [one.uri for one in found] == [f"calls://{audit_id}" for audit_id in reversed(sent)]
    assert [one.title.split()[0] for one in found] == [ROUTES[route].name for route in reversed(GOOD)]
    assert all(one.title.endswith("UTC: accepted") and read(tools, one.uri) for one in found)


def test_of_many_calls_the_last_twenty_are_listed(tools):
    client = tools.caller().principal.client_id
    written_calls = [written("accepted", client=client) for _ in range(25)]
    newest = sorted((call.id for call in written_calls), reverse=True)[:20]
    assert [one.name for one in listed(tools, "calls://")] == [str(call_id) for call_id in newest]


def test_only_calls_that_the_key_may_see_are_listed(tools, auditor):
    written("accepted", client="another")
    assert listed(tools, "calls://") == []
    assert len(listed(auditor, "calls://")) == 1


def test_a_call_on_its_way_reads_so(tools):
    call = written(client=tools.caller().principal.client_id)
    assert read(tools, f"calls://{call.id}")["result"] == "in_flight"


def test_templates_are_of_what_can_be_read():
    assert [template.uri_template for template in resources.TEMPLATES] == ["calls://{id}", "jobs://{id}", "operations://{name}"]
    assert all(name in resources.TEMPLATES[2].description for name in OPERATIONS)


def test_a_log_that_cannot_be_read_is_no_missing_call(tools, sandbox):
    sent = tools.send("retl", GOOD["retl"]).structured_content["audit_id"]
    caller = tools.caller()
    assert Call.objects.filter(id=sent).exists()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_outcome RENAME TO away")
    with pytest.raises(LogUnavailableError):
        resources.read(f"calls://{sent}", caller)
