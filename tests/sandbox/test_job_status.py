"""What became of a job run, as RudderStack's gateway tells it."""

import json

import pytest

from tests.conftest import MESSAGE
from tests.sandbox.wire import ask, replay


def status(sandbox, job_run, query=""):
    return ask(sandbox, f"/internal/v2/job-status/{job_run}{query}")


def run(job, task=None):
    return [("X-Rudder-Job-Run-Id", job), *([("X-Rudder-Task-Run-Id", task)] if task else [])]


def batch(count, **sources):
    event = {"userId": "u", "messageId": "m"}
    return json.dumps({"batch": [{**event, "context": {"sources": sources}} if sources else event] + [event] * (count - 1)}).encode()


def found(answer):
    """{(task, source): events in} of an answer."""
    return {(task["id"], source["id"]): source["stats"]["in"] for task in answer.json["tasks"] for source in task["sources"]}


def test_the_shape_of_a_status(sandbox):
    replay(sandbox, batch(2), run("jr", "tr"))
    answer = status(sandbox, "jr")
    assert (answer.status, answer.header("Content-Type"), answer.header("Cache-Control")) == (200, "application/json", "no-store")
    done = {"completed": True, "stats": {"in": 2, "out": 2, "failed": 0}}
    sources = [{"id": "rep-1", **done, "destinations": [{"id": "er-dst-1", **done}]}]
    assert answer.json == {"id": "jr", "tasks": [{"id": "tr", "sources": sources}]}


def test_only_enabled_destinations_are_listed(sandbox):
    ask(sandbox, "/internal/v1/retl", "POST", batch(1), [("X-Rudder-Source-Id", "src-1"), *run("jr")])
    (task,) = status(sandbox, "jr").json["tasks"]
    assert task["id"] == ""
    assert [destination["id"] for destination in task["sources"][0]["destinations"]] == ["dst-1"]


def test_an_unknown_source_has_no_destinations(sandbox):
    message = {"properties": {**MESSAGE["properties"], "sourceID": "elsewhere", "sourceJobRunID": "jr"}, "payload": MESSAGE["payload"]}
    assert ask(sandbox, "/internal/v1/batch", "POST", json.dumps([message]).encode()).status == 200
    assert status(sandbox, "jr").json["tasks"][0]["sources"][0]["destinations"] is None


def test_events_add_up(sandbox):
    for task in ("one", "one", "two"):
        replay(sandbox, batch(3), run("jr", task))
    assert found(status(sandbox, "jr")) == {("one", "rep-1"): 6, ("two", "rep-1"): 3}


@pytest.mark.parametrize("path", ["nobody", "", "jr?task_run_id=other", "jr?source_id=src-1", "jr?task_run_id=tr&source_id=src-1"])
def test_what_is_not_there_is_not_found(sandbox, path):
    replay(sandbox, batch(1), run("jr", "tr"))
    answer = status(sandbox, path)
    assert (answer.status, answer.body) == (404, b"status not found\n")
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"


def test_filters_by_task_and_source_may_be_repeated(sandbox):
    for task in ("one", "two", "three"):
        replay(sandbox, batch(1), run("jr", task))
    ask(sandbox, "/internal/v1/retl", "POST", batch(1), [("X-Rudder-Source-Id", "src-1"), *run("jr", "one")])
    assert found(status(sandbox, "jr", "?task_run_id=one")) == {("one", "rep-1"): 1, ("one", "src-1"): 1}
    assert set(found(status(sandbox, "jr", "?task_run_id=one&task_run_id=two"))) == {("one", "rep-1"), ("one", "src-1"), ("two", "rep-1")}
    assert set(found(status(sandbox, "jr", "?source_id=src-1"))) == {("one", "src-1")}
    assert set(found(status(sandbox, "jr", "?source_id=src-1&source_id=rep-1&task_run_id=one"))) == {("one", "src-1"), ("one", "rep-1")}


def test_the_first_events_run_wins_over_the_header(sandbox):
    replay(sandbox, batch(2, job_run_id="event", task_run_id="event-task"), run("header", "header-task"))
    assert found(status(sandbox, "event")) == {("event-task", "rep-1"): 2}
    assert status(sandbox, "header").status == 404


def test_job_and_task_win_each_for_itself(sandbox):
    replay(sandbox, batch(1, job_run_id="event"), run("header", "header-task"))
    replay(sandbox, batch(1, job_run_id="", task_run_id="event-task"), run("header", "header-task"))
    assert found(status(sandbox, "event")) == {("header-task", "rep-1"): 1}
    assert found(status(sandbox, "header")) == {("event-task", "rep-1"): 1}


def test_an_internal_batch_has_its_run_in_the_message_and_not_in_the_header(sandbox):
    properties = {**MESSAGE["properties"], "sourceJobRunID": "message", "sourceTaskRunID": "message-task"}
    text = json.dumps([{**MESSAGE, "properties": properties}]).encode()
    assert ask(sandbox, "/internal/v1/batch", "POST", text, run("header")).status == 200
    assert ask(sandbox, "/internal/v1/batch", "POST", json.dumps([MESSAGE]).encode(), run("header")).status == 200
    assert found(status(sandbox, "message")) == {("message-task", "src-1"): 1}
    assert status(sandbox, "header").status == 404


def test_refused_requests_leave_no_trace(sandbox):
    replay(sandbox, b'{"batch":[{}]}', run("jr"))
    sandbox.trouble("500", times=1)
    replay(sandbox, batch(1), run("jr"))
    assert status(sandbox, "jr").status == 404


def test_failed_records_of_an_unknown_run_are_none(sandbox):
    answer = status(sandbox, "nobody/failed-records")
    assert (answer.status, answer.json, answer.header("Cache-Control")) == (200, {"id": "nobody", "tasks": None}, "no-store")


def test_nothing_else_is_below_a_run(sandbox):
    assert status(sandbox, "jr/else").body == b"404 page not found\n"
