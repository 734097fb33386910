"""Tools whose events become a job, and jobs as resources."""

import json
import uuid

import pytest
from jsonschema import Draft202012Validator

from gateway.audit.models import Outcome
from gateway.forwarding.answer import Refusal
from gateway.jobs import engine
from gateway.jobs.lease import claim
from gateway.jobs.models import Job
from gateway.mcp_server import resources
from gateway.mcp_server.schemas import EVENTS, OUTPUT
from gateway.mcp_server.tools import TOOLS
from gateway.upstream.flight import Cancellation
from tests.conftest import EVENT, GOOD, MESSAGE, Rest
from tests.jobs.making import arrived
from tests.mcp_server.door import Tools

pytestmark = pytest.mark.django_db(transaction=True)
SEVERAL = [{**EVENT, "messageId": f"m-{number}"} for number in range(3)]
IDS = [event["messageId"] for event in SEVERAL]
KEY = {"idempotency_key": "k-1"}
SINGLE = ["extract", "audiencelist"]


@pytest.fixture(autouse=True)
def storage(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def finish():
    while lease := claim():
        engine.work(lease, 30)


def shown(result):
    [content] = result.content
    assert json.loads(content.text) == result.structured_content
    Draft202012Validator(OUTPUT).validate(result.structured_content)
    return result.structured_content


def read(tools, uri):
    found = resources.read(uri, tools.caller())
    return None if found is None else json.loads(found.text)


@pytest.mark.parametrize("route", GOOD)
def test_a_job_is_no_error_and_names_its_resource(tools, sandbox, route):
    result = tools.send(route, GOOD[route], {"respond_async": True})
    told = shown(result)
    job = told["job"]
    assert (result.is_error, told["outcome"], told["status"], told["result"], told["retryable"]) == (False, "job", 202, None, False)
    assert (told["audit_id"], job["resource"], job["state"], told["events"]) == (job["id"], f"jobs://{job['id']}", "queued", None)
    assert (read(tools, job["resource"])["state"], sandbox.count()["calls"]) == ("queued", 0)
    finish()
    assert (read(tools, job["resource"])["state"], sandbox.count()["stored"]) == ("succeeded", 1)
    assert read(tools, f"calls://{told['audit_id']}")["result"] == "job"


@pytest.mark.parametrize("route", SINGLE)
@pytest.mark.parametrize("number", [1, 3])
def test_events_in_place_of_event_are_a_job(tools, sandbox, route, number):
    told = shown(tools.call(route, {EVENTS: SEVERAL[:number]}))
    assert told["outcome"] == "job"
    finish()
    assert arrived(sandbox) == IDS[:number]


def test_the_same_call_under_its_key_tells_how_far_the_job_is(tools, sandbox):
    arguments = {EVENTS: [*SEVERAL, {"userId": ""}], **KEY}
    first = shown(tools.call("audiencelist", arguments))
    finish()
    again = shown(tools.call("audiencelist", arguments))
    assert (again["job"]["id"], again["job"]["state"], again["events"]) == (first["job"]["id"], "succeeded", 3)
    assert (again["job"]["accepted"], again["job"]["refused"], again["job"]["possible_duplicates"]) == (3, 1, 0)
    other = shown(tools.call("audiencelist", {EVENTS: SEVERAL, **KEY}))
    assert (other["status"], other["reason"], other["errors"][0]["pointer"]) == (422, "idempotency_key_reused", "/idempotency_key")
    assert Job.objects.count() == 1


def test_a_batch_that_is_too_large_for_one_call_becomes_a_job_by_itself(tools, sandbox):
    batch = [{**event, "text": "x" * 1_400_000} for event in SEVERAL]
    assert shown(tools.call("retl", {"batch": batch}))["outcome"] == "job"
    finish()
    assert arrived(sandbox) == IDS


@pytest.mark.parametrize("route", SINGLE)
@pytest.mark.parametrize(
    ("arguments", "pointers"),
    [
        ({}, ["/event"]),
        ({"event": {}, EVENTS: [{}]}, ["/event"]),
        ({EVENTS: EVENT}, ["/events"]),
        ({EVENTS: json.dumps(SEVERAL)}, ["/events"]),
        ({EVENTS: None}, ["/events"]),
        ({"event": SEVERAL, "respond_async": True}, ["/event"]),
        ({"event": EVENT, "respond_async": "true"}, ["/respond_async"]),
        ({"event": EVENT, "respond_async": 1}, ["/respond_async"]),
    ],
)
def test_arguments_that_are_none_are_refused_and_nothing_is_made(tools, sandbox, route, arguments, pointers):
    told = shown(tools.call(route, arguments))
    assert (told["status"], told["reason"], [error["pointer"] for error in told["errors"]]) == (400, "bad_parameter", pointers)
    assert (Job.objects.count(), sandbox.count()["calls"]) == (0, 0)


@pytest.mark.parametrize("route", ["replay", "retl", "batch"])
def test_a_tool_that_takes_many_anyhow_has_no_events(tools, sandbox, route):
    told = shown(tools.send(route, GOOD[route], {EVENTS: []}))
    assert (told["reason"], told["errors"][0]["pointer"]) == ("bad_parameter", "/events")


@pytest.mark.parametrize(
    ("route", "arguments", "reason", "pointer"),
    [
        ("extract", {EVENTS: []}, "empty_input", None),
        ("extract", {EVENTS: [5, "text"]}, "not_an_event", "/events/0"),
        ("audiencelist", {EVENTS: [{"userId": ""}, {}]}, "missing_user", "/events/0/userId"),
        ("audiencelist", {"event": {"userId": ""}, "respond_async": True}, "missing_user", "/event/userId"),
        ("replay", {"batch": [EVENT, {}], "respond_async": True}, "missing_user", "/batch/1"),
        ("batch", {"messages": [MESSAGE, {}], "respond_async": True}, "missing_field", "/messages/1/properties/requestType"),
    ],
)
def test_what_makes_no_job_is_refused_with_its_place(tools, sandbox, route, arguments, reason, pointer):
    result = tools.call(route, arguments)
    told = shown(result)
    assert (result.is_error, told["outcome"], told["status"], told["reason"]) == (True, "refused", 400, reason)
    assert [error["pointer"] for error in told.get("errors", [])][:1] == ([pointer] if pointer else [])
    assert (str(Outcome.objects.get().call_id), Job.objects.count()) == (told["audit_id"], 0)


def test_who_went_away_or_waited_too_long_makes_no_job(tools, sandbox):
    gone = Cancellation()
    gone.ask()
    told = shown(tools.call("replay", {**GOOD["replay"], "respond_async": True}, cancellation=gone))
    assert (told["status"], told["reason"]) == (499, "cancelled")
    told = shown(tools.call("extract", {EVENTS: SEVERAL}, busy=Refusal(503, "busy", "Busy.", retry_after="1")))
    assert (told["status"], told["reason"], told["retryable"]) == (503, "busy", True)
    assert not Job.objects.exists()


def test_a_job_is_read_as_rest_shows_it_by_who_may_see_it(tools, make_key, sandbox):
    uri = shown(tools.send("replay", GOOD["replay"], {"respond_async": True}))["job"]["resource"]
    other, auditor = Tools(make_key("other")), Tools(make_key("auditor", scopes="audit"))
    assert read(tools, uri) == read(auditor, uri) == Rest(tools.key).get(f"/v1/jobs/{uri.removeprefix('jobs://')}").json()
    assert [read(tools, address) for address in ("jobs://", "jobs://nope", f"jobs://{uuid.uuid4()}")] == [None] * 3
    assert read(other, uri) is None
    listed = [[one for one in resources.resources_for(each.caller()) if one.uri == uri] for each in (tools, auditor, other)]
    assert [len(one) for one in listed] == [1, 1, 0]
    assert listed[0][0].title.startswith("replay as a job, at ")


def test_of_many_jobs_the_last_twenty_are_listed(tools, sandbox):
    ids = [shown(tools.send("replay", {"batch": [EVENT] * (number + 1)}, {"respond_async": True}))["job"]["id"] for number in range(22)]
    assert [one.name for one in resources.resources_for(tools.caller()) if one.uri.startswith("jobs://")] == ids[:1:-1]


@pytest.mark.parametrize("name", TOOLS)
def test_tools_say_how_a_job_is_made(name):
    assert "job" in TOOLS[name].input_schema["properties"]["respond_async"]["description"]


@pytest.mark.parametrize(("name", "said"), [("replay", "over RudderStack's limit"), ("extract", "argument events"), ("batch", "respond_async")])
def test_operations_say_when_a_job_is_made(tools, name, said):
    assert said in read(tools, f"operations://{name}")["rules"]["as_a_job"]
