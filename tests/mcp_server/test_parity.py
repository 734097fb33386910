"""REST and MCP decide alike: the same inputs by both doors, with the same answer, the same rows, and the same request at RudderStack's side."""

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from gateway.audit.models import Call, Outcome
from gateway.jobs.models import Job
from gateway.mcp_server.results import _PLACES
from gateway.mcp_server.schemas import BODY
from gateway.operations import Shape
from gateway.upstream import client as upstream_client
from tests.conftest import Rest, RunningSandbox
from tests.mcp_server.cases import CASES, Case, Step
from tests.mcp_server.door import ROUTES, Tools

HEADERS = {
    "source": "X-Rudder-Source-Id",
    "destination_id": "X-Rudder-Destination-Id",
    "job_run_id": "X-Rudder-Job-Run-Id",
    "task_run_id": "X-Rudder-Task-Run-Id",
    "idempotency_key": "Idempotency-Key",
}
"""What is an argument here and a header there; dry_run is a parameter there, and respond_async a preference."""
PROGRESS = ("id", "state", "reason", "events", "submitted", "accepted", "refused", "possible_duplicates")
EACH_DOORS_OWN = {
    Call: {"id", "at", "deadline_at", "channel", "headers", "request_id", "address", "bytes", "sha256"},
    Job: {"id", "channel", "request_id", "address", "sha256", "input", "created_at", "due_at"},
    Outcome: {"id", "call_id", "at", "duration_ms", "upstream_ms"},
}
OWN_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
AT_THE_SANDBOX = {"Content-Length", "Host"}


EXPECTED = {
    "good replay": (200, "accepted"),
    "dry run of a good batch": (200, "dry_run"),
    "audiencelist 0": (400, "refused"),
    "dry run of a bad replay": (400, "dry_run"),
    "beyond a double": (400, "rejected"),
    "too large for upstream": (413, "refused"),
    "too large for the gateway": (413, "refused"),
    "no write key": (400, "refused"),
    "no default source": (400, "refused"),
    "a source that upstream does not know": (401, "rejected"),
    "an operation that the key may not use": (403, "refused"),
    "a message's source that the key may not send to": (403, "refused"),
    "500 levels": (200, "accepted"),
    "lone surrogates": (200, "accepted"),
    "a key used for another 0": (422, "refused"),
    "a key on its way": (409, "refused"),
    "a key of unknown outcome": (409, "refused"),
    "a bad key 0": (400, "refused"),
    "upstream 0 429": (429, "rejected"),
    "upstream 2 500": (500, "failed"),
    "upstream 4 html": (504, "unknown"),
    "upstream 8 redirect": (502, "failed"),
    "upstream 9 half_answer": (504, "unknown"),
    "nobody there": (502, "failed"),
    "extract as a job": (202, "job"),
    "dry run of batch as a job": (202, "job"),
    "too large for one call": (202, "job"),
    "a job asked for again": (202, "job"),
    "a key of a job used for a call": (422, "refused"),
    "a key of a call used for a job": (422, "refused"),
    "a bad replay as a job": (400, "refused"),
    "too large for a job": (413, "refused"),
    "a job of a message's source that the key may not send to": (403, "refused"),
}
"""What the last call of some cases comes to: else the doors could be alike in refusing everything."""


def by_rest(rest: Rest, step: Step) -> dict[str, Any]:
    """What REST tells, in the words of the other door."""
    headers = {HEADERS[name]: value for name, value in step.options.items() if name in HEADERS}
    headers |= {"Prefer": "respond-async"} if step.options.get("respond_async") else {}
    query = f"?dry_run={str(step.options['dry_run']).lower()}" if "dry_run" in step.options else ""
    answer = rest.send(
        step.route, step.body if isinstance(step.body, bytes) else json.dumps(step.body, separators=(",", ":")).encode(), headers, query
    )
    told = {"status": answer.status_code, "retry_after": answer.headers.get("Retry-After"), "replayed": "Idempotency-Replayed" in answer}
    if answer.status_code == 202:
        assert answer["X-Audit-Id"] == answer.json()["id"]
        return {**told, "job": {name: answer.json()[name] for name in PROGRESS}}
    if answer["Content-Type"] != "application/problem+json" or "reason" not in answer.json():
        return {**told, "said": answer.json()}
    problem = answer.json()
    start = "" if ROUTES[step.route].shape is Shape.BATCH else f"/{BODY[ROUTES[step.route].shape]}"
    errors = [{**error, "pointer": start + error["pointer"]} for error in problem.get("errors", [])]
    return {**told, "errors": errors, **{name: problem[name] for name in ("outcome", "reason", "detail", "origin", "retryable")}}


def by_mcp(tools: Tools, step: Step, expected: dict[str, Any]) -> dict[str, Any]:
    """What the tool tells, as far as REST told it."""
    result = tools.send(step.route, step.body, step.options)
    shown = result.structured_content
    assert json.loads(result.content[0].text) == shown
    told = {name: shown.get(name) for name in ("status", "retry_after")} | {"replayed": shown.get("replayed", False)}
    if "job" in expected:
        assert (result.is_error, shown["outcome"], shown["audit_id"]) == (False, "job", shown["job"]["id"])
        assert shown["job"].pop("resource") == f"jobs://{shown['job']['id']}"
        return {**told, "job": shown["job"]}
    if "said" not in expected:
        assert result.is_error
        # Of an argument that REST has in a header only the tool has a place.
        errors = shown.get("errors", []) if expected["errors"] or shown["reason"] not in _PLACES else []
        return {**told, "errors": errors, **{name: shown[name] for name in ("outcome", "reason", "detail", "origin", "retryable")}}
    assert result.is_error == (expected["status"] >= 400)
    return {**told, "said": expected["said"] if expected["said"] in (shown["result"], {"result": shown["result"]}) else shown["result"]}


def rows() -> list[dict[str, Any]]:
    found = [{name: value for name, value in vars(job).items() if name not in EACH_DOORS_OWN[Job] | {"_state"}} for job in Job.objects.order_by("id")]
    for row in found:
        row["job_run_id"] = OWN_ID.sub("ID", row["job_run_id"])
    for call in Call.objects.order_by("id"):
        outcomes = list(Outcome.objects.filter(call=call).order_by("number"))
        for row in (call, *outcomes):
            values = {name: value for name, value in vars(row).items() if name not in EACH_DOORS_OWN[type(row)] | {"_state"}}
            if isinstance(row, Call):
                values |= {"was read": row.bytes is not None, "job": row.job == row.id, "job_run_id": OWN_ID.sub("ID", row.job_run_id)}
            found.append(values)
    return found


def arrived(sandbox: RunningSandbox) -> list[Any]:
    return [
        (
            request["operation"],
            request["path"],
            {name: value for name, value in request["headers"] if name not in AT_THE_SANDBOX},
            json.loads(base64.b64decode(request["body_base64"])),
        )
        for request in sandbox.received()
    ]


def run(case: Case, sandbox: RunningSandbox, send: Callable[[int, Step], dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Any], list[Any]]:
    """Answers, rows, and what arrived; nothing of it stays."""
    upstream_client.close()
    answers = []
    for number, step in enumerate(case.steps):
        if step.forget:
            Outcome.objects.all().delete()
        if step.trouble:
            sandbox.trouble(**{"times": 1, **step.trouble})
        answers.append(send(number, step))
    for answer in answers:
        if "detail" in answer:
            answer["detail"] = OWN_ID.sub("ID", answer["detail"])
        if "job" in answer:
            assert Job.objects.filter(id=answer["job"].pop("id")).exists()
    told = answers, rows(), arrived(sandbox)
    Job.objects.all().delete()
    Outcome.objects.all().delete()
    Call.objects.all().delete()
    sandbox.reset()
    return told


@pytest.mark.parametrize("name", CASES)
def test_both_doors_answer_record_and_send_the_same(make_key, sandbox, settings, tmp_path, name):
    settings.MEDIA_ROOT = tmp_path
    case = CASES[name]
    key = make_key(**case.rights)
    for name, value in case.settings.items():
        setattr(settings, name, value)
    rest, tools = Rest(key), Tools(key)
    answers, rest_rows, rest_arrived = run(case, sandbox, lambda _, step: by_rest(rest, step))
    told, mcp_rows, mcp_arrived = run(case, sandbox, lambda number, step: by_mcp(tools, step, answers[number]))
    if not case.where:
        for each in (*answers, *told):
            assert each.pop("errors") is not None
            each.pop("detail")
        for row in (*rest_rows, *mcp_rows):
            row.pop("faults", None)
    assert told == answers
    assert mcp_rows == rest_rows
    assert mcp_arrived == rest_arrived
    assert len(mcp_rows) > 0
    if name in EXPECTED:
        assert (told[-1]["status"], mcp_rows[-1]["result"]) == EXPECTED[name]


def test_what_is_expected_is_of_cases():
    assert EXPECTED.keys() <= CASES.keys()
