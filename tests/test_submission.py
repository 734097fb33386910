"""Call or job: what is asked for, what is too large for one call, what is refused at once, and one key for both."""

import gzip
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from gateway.audit.models import Action, Call, Outcome
from gateway.jobs import engine, making
from gateway.jobs.lease import claim
from gateway.jobs.models import Failure, Job
from tests.conftest import EVENT, GOOD, MESSAGE, Rest
from tests.jobs.making import arrived

pytestmark = pytest.mark.django_db(transaction=True)
ASYNC = {"Prefer": "respond-async"}
KEY = {"Idempotency-Key": "k-1"}
EVENTS = [{**EVENT, "messageId": f"m-{number}"} for number in range(3)]
IDS = [event["messageId"] for event in EVENTS]


def lines(events: list[Any]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def large(number: int = 5, size: int = 1_000_000) -> bytes:
    """A batch over what RudderStack takes at once."""
    return json.dumps({"batch": [{**EVENT, "messageId": f"m-{index}", "text": "x" * size} for index in range(number)]}).encode()


def finish() -> None:
    while lease := claim():
        engine.work(lease, 30)


def told(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("reason")


@pytest.fixture(autouse=True)
def storage(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


# a job is made


@pytest.mark.parametrize("route", GOOD)
def test_any_operation_is_a_job_where_that_is_asked_for(rest, sandbox, route):
    answer = rest.send(route, GOOD[route], ASYNC)
    job = answer.json()
    assert (answer.status_code, answer["Location"], answer["Preference-Applied"]) == (202, f"/v1/jobs/{job['id']}", "respond-async")
    assert job == rest.get(answer["Location"]).json()
    assert (job["state"], sandbox.count()["calls"]) == ("queued", 0)
    finish()
    done = rest.get(answer["Location"]).json()
    assert (done["state"], done["accepted"], sandbox.count()["stored"]) == ("succeeded", 1, 1)


def test_the_call_that_made_a_job_is_in_the_log_and_says_so(rest, sandbox):
    answer = rest.send("retl", GOOD["retl"], ASYNC | {"X-Rudder-Destination-Id": "dst-1", "X-Rudder-Job-Run-Id": "jr"})
    job = answer.json()
    call = rest.get(f"/v1/calls/{answer['X-Audit-Id']}").json()
    assert (call["id"], call["job"], call["result"], call["status"], call["channel"]) == (job["id"], job["id"], "job", 202, "rest")
    assert (call["source"], call["destination"], call["job_run_id"], call["attempts"]) == ("src-1", "dst-1", "jr", 0)
    assert call["bytes"] == len(json.dumps(GOOD["retl"]))
    assert [one["id"] for one in rest.get("/v1/calls?result=job").json()["results"]] == [job["id"]]
    assert [action.subject for action in Action.objects.filter(verb="job_made")] == [job["id"]]
    finish()
    [sent] = sandbox.received()
    assert {"X-Rudder-Destination-Id": "dst-1", "X-Rudder-Job-Run-Id": "jr"}.items() <= dict(sent["headers"]).items()


@pytest.mark.parametrize("route", ["extract", "audiencelist"])
@pytest.mark.parametrize("pack", [lambda body: body, lambda body: gzip.compress(body, mtime=0)], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("write", "count"),
    [(lines, 3), (lambda events: json.dumps(events, indent=2).encode(), 3), (lambda events: json.dumps(events[0], indent=2).encode(), 1)],
    ids=["lines", "array", "one event"],
)
def test_where_a_call_takes_one_event_a_job_takes_many(rest, sandbox, route, pack, write, count):
    body = pack(write(EVENTS))
    headers = {"Content-Encoding": "gzip"} if body[:1] == b"\x1f" else {}
    assert rest.send(route, body, ASYNC | headers).status_code == 202
    finish()
    assert arrived(sandbox) == IDS[:count]
    assert {request["operation"] for request in sandbox.received()} == {route}


@pytest.mark.parametrize("route", ["replay", "retl"])
@pytest.mark.parametrize(
    "body", [{"batch": EVENTS}, EVENTS, lines(EVENTS), gzip.compress(lines(EVENTS), mtime=0)], ids=["batch", "array", "lines", "gzip by its looks"]
)
def test_a_batch_may_be_written_as_for_the_route_of_jobs(rest, sandbox, route, body):
    assert rest.send(route, body, ASYNC).status_code == 202
    finish()
    assert arrived(sandbox) == IDS


def test_messages_may_be_lines_too(rest, sandbox):
    for body in ([MESSAGE] * 2, lines([MESSAGE] * 2)):
        assert rest.send("batch", body, ASYNC).status_code == 202
        finish()
    assert [len(json.loads(request["body"])) for request in sandbox.received()] == [2, 2]


@pytest.mark.parametrize("headers", [{}, ASYNC])
def test_a_batch_over_rudderstacks_limit_becomes_a_job(rest, sandbox, headers):
    answer = rest.send("replay", large(), headers)
    assert (answer.status_code, "Preference-Applied" in answer) == (202, bool(headers))
    finish()
    assert arrived(sandbox) == [f"m-{number}" for number in range(5)]
    assert len(sandbox.received()) > 1


def test_it_is_what_is_unpacked_that_counts(rest, sandbox):
    assert rest.send("retl", gzip.compress(large()), {"Content-Encoding": "gzip"}).status_code == 202
    assert sandbox.count()["calls"] == 0


def test_what_is_small_enough_is_a_call(rest, sandbox):
    assert rest.send("replay", large(4)).json() == {"result": "ok"}
    assert rest.send("replay", GOOD["replay"], {"Prefer": "wait=10"}).json() == {"result": "ok"}
    assert not Job.objects.exists()


def test_a_dry_run_of_a_job_is_a_job_that_sends_nothing(rest, sandbox):
    for body, headers in ((GOOD["replay"], ASYNC), (large(), {})):
        answer = rest.send("replay", body, headers, "?dry_run=true")
        assert (answer.status_code, answer.json()["dry_run"]) == (202, True)
        finish()
        assert rest.get(answer["Location"]).json()["state"] == "succeeded"
    assert sandbox.count()["calls"] == 0


def test_one_good_event_makes_a_job_and_the_others_are_its_failures(rest, sandbox):
    answer = rest.send("replay", lines([{"type": "track"}, EVENT, 5]), ASYNC)
    finish()
    assert (rest.get(answer["Location"]).json()["refused"], arrived(sandbox)) == (2, ["m-1"])
    assert list(Failure.objects.order_by("id").values_list("line", "reason")) == [(1, "missing_user"), (3, "not_an_event")]


# nothing is made


@pytest.mark.parametrize(
    ("route", "body", "expected", "pointer"),
    [
        ("replay", b"", (400, "empty_input"), None),
        ("replay", b" \n", (400, "empty_input"), None),
        ("replay", b"[]", (400, "empty_input"), None),
        ("extract", b"[]", (400, "empty_input"), None),
        ("replay", b'{"batch":[]}', (400, "empty_batch"), "/batch"),
        ("batch", b"[]", (400, "no_messages"), ""),
        ("replay", b"nonsense", (400, "invalid_json"), "/0"),
        ("replay", b'{"batch":[{"userId":"u"}', (400, "invalid_json"), "/0"),
        ("replay", b'[{"userId":"u"}', (400, "broken_input"), None),
        ("extract", b'[{"a":1}] x', (400, "broken_input"), None),
        ("extract", b'{"a":', (400, "invalid_json"), "/0"),
        ("extract", b"5", (400, "not_an_event"), "/0"),
        ("audiencelist", b'{"properties":{}}', (400, "missing_user"), ""),
        ("audiencelist", b'[{"properties":{}},{"userId":""}]', (400, "missing_user"), "/0"),
        ("replay", b'{"batch":[{"userId":"u"},{}]}', (400, "missing_user"), "/batch/1"),
        ("replay", b'[{},{"userId":" "}]', (400, "missing_user"), "/0"),
        ("replay", b'{"userId":" "}\n{}\n', (400, "missing_user"), "/0/userId"),
        ("batch", b"[{}]", (400, "missing_field"), "/0/properties/requestType"),
        ("extract", b'{"deep":' * 1001 + b"1" + b"}" * 1001, (400, "too_deep"), ""),
        ("extract", b"\x1f\x8bnonsense", (400, "broken_gzip"), None),
        ("extract", gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0), (400, "broken_gzip"), None),
        ("extract", b'{"v":"' + b"u" * 4_096_000 + b'"}', (413, "too_large"), ""),
        ("replay", b'{"batch":[{"userId":"' + b"u" * 4_096_000 + b'"}]}', (413, "too_large"), "/batch/0"),
    ],
)
def test_what_makes_no_job_is_refused_at_once_with_its_place(rest, sandbox, route, body, expected, pointer):
    answer = rest.send(route, body, ASYNC)
    assert told(answer) == expected
    assert [error["pointer"] for error in answer.json().get("errors", [])][:1] == ([pointer] if pointer is not None else [])
    outcome = Outcome.objects.get()
    assert (str(outcome.call_id), outcome.result, outcome.reason) == (answer["X-Audit-Id"], "refused", expected[1])
    assert not Job.objects.exists()


def test_a_line_is_named_where_places_are_lines(rest, sandbox):
    [error] = rest.send("replay", b'\n{"userId":""}\n', ASYNC).json()["errors"]
    assert (error["pointer"], error["detail"].partition(":")[0]) == ("/1/userId", "Line 2")


@pytest.mark.parametrize("headers", [{}, ASYNC])
def test_what_is_too_large_for_all_is_told_where_to_go(rest, sandbox, settings, headers):
    settings.GATEWAY_MAX_BODY_BYTES = 4_500_000
    for body, encoding in ((large(), {}), (gzip.compress(large()), {"Content-Encoding": "gzip"})):
        answer = rest.send("replay", body, headers | encoding)
        assert told(answer) == (413, "body_too_large")
        assert "POST /v1/jobs" in answer.json()["detail"]


def test_a_large_body_that_makes_no_job_is_answered_as_a_call(rest, sandbox):
    for body in (large()[:-1], b"x" * 5_000_000, lines([{**EVENT, "text": "x" * 5_000_000}] * 2)):
        assert told(rest.send("replay", body)) == (400, "invalid_json")
    for body in (json.dumps([{**EVENT, "text": "x" * 5_000_000}]).encode(), large(1, 5_000_000)):
        assert told(rest.send("replay", body)) == (413, "too_large")
    assert not Job.objects.exists()


def test_who_may_not_send_makes_no_job(make_key, sandbox):
    for rights, route, reason in (({"operations": "retl"}, "replay", "operation_not_allowed"), ({"sources": "rep-1"}, "retl", "source_not_allowed")):
        limited = Rest(make_key(f"limited {route}", **rights))
        for body, headers in ((GOOD[route], ASYNC), (large(), {})):
            assert told(limited.send(route, body, headers)) == (403, reason)
    assert Outcome.objects.filter(result="refused").count() == 4
    assert not Job.objects.exists()


def test_a_source_that_a_message_names_must_be_the_keys(make_key, sandbox):
    other = {**MESSAGE, "properties": {**MESSAGE["properties"], "sourceID": "src-2"}}
    limited = Rest(make_key("limited", sources="src-1"))
    answer = limited.send("batch", [MESSAGE, other], ASYNC)
    assert (told(answer), answer.json()["errors"][0]["pointer"]) == ((403, "source_not_allowed"), "/1/properties/sourceID")
    # Of lines each chunk is judged when it is sent.
    place = limited.send("batch", lines([other]), ASYNC)["Location"]
    finish()
    assert limited.get(place).json()["state"] == "paused"
    assert sandbox.count()["calls"] == 0


def test_bad_parameters_and_bad_keys_make_no_job(rest, sandbox):
    assert told(rest.send("replay", GOOD["replay"], ASYNC, "?dry_run=perhaps")) == (400, "bad_parameter")
    assert told(rest.send("replay", GOOD["replay"], ASYNC | {"Idempotency-Key": ""})) == (400, "bad_idempotency_key")
    assert told(rest.send("replay", large(), {"Idempotency-Key": ""})) == (400, "bad_idempotency_key")
    assert not Job.objects.exists()


def test_without_room_for_the_input_no_job_is_made(rest, sandbox, monkeypatch):
    def full(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(making.default_storage, "save", full)
    answer = rest.send("replay", GOOD["replay"], ASYNC)
    assert (told(answer), answer["Retry-After"]) == ((503, "no_disk"), "60")
    assert Outcome.objects.get().reason == "no_disk"
    assert not Job.objects.exists()


def test_without_a_log_no_job_is_made_and_no_input_kept(rest, sandbox, storage):
    rest.send("replay", GOOD["replay"])
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_outcome RENAME TO away")
    try:
        assert told(rest.send("replay", GOOD["replay"], ASYNC)) == (503, "log_unavailable")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE away RENAME TO audit_outcome")
    assert not Job.objects.exists()
    assert [path for path in storage.rglob("*") if path.is_file()] == []


# one key


def test_the_same_job_asked_for_again_is_told_as_it_is_now(rest, sandbox, storage):
    first = rest.send("replay", GOOD["replay"], ASYNC | KEY)
    finish()
    again = rest.send("replay", GOOD["replay"], ASYNC | KEY)
    assert (again.status_code, again["X-Audit-Id"], again.json()["id"]) == (202, first["X-Audit-Id"], first.json()["id"])
    assert (again.json()["state"], again.json()["accepted"]) == ("succeeded", 1)
    assert (Job.objects.count(), sandbox.count()["calls"], Call.objects.filter(idempotency_key="k-1").count()) == (1, 1, 1)
    assert len(list((storage / "uploads").iterdir())) == 1


def test_a_large_body_under_a_key_is_one_job(rest, sandbox):
    assert len({rest.send("replay", large(), KEY).json()["id"] for _ in range(2)}) == 1


def test_a_key_of_a_job_is_for_nothing_else(rest, sandbox):
    job = rest.send("retl", GOOD["retl"], ASYNC | KEY).json()["id"]
    for route, body, headers in (
        ("retl", GOOD["retl"], {}),
        ("retl", {"batch": [EVENT, EVENT]}, ASYNC),
        ("replay", GOOD["retl"], ASYNC),
        ("retl", GOOD["retl"], ASYNC | {"X-Rudder-Source-Id": "rep-1"}),
        ("retl", GOOD["retl"], ASYNC | {"X-Rudder-Destination-Id": "dst-1"}),
    ):
        assert told(rest.send(route, body, KEY | headers)) == (422, "idempotency_key_reused")
    assert job in rest.send("retl", GOOD["retl"], KEY).json()["detail"]
    assert told(rest.post("/v1/jobs?operation=retl", lines(EVENTS), KEY)) == (422, "idempotency_key_reused")
    assert rest.post("/v1/jobs?operation=retl", json.dumps(GOOD["retl"]).encode(), KEY).json()["id"] == job
    assert (Job.objects.count(), sandbox.count()["calls"]) == (1, 0)


def test_a_key_of_a_call_is_for_no_job(rest, sandbox):
    call = rest.send("replay", GOOD["replay"], KEY)["X-Audit-Id"]
    body = json.dumps(GOOD["replay"]).encode()
    for answer in (rest.send("replay", body, ASYNC | KEY), rest.post("/v1/jobs?operation=replay", body, KEY)):
        assert (told(answer), call in answer.json()["detail"]) == ((422, "idempotency_key_reused"), True)
    assert not Job.objects.exists()


def test_a_key_whose_call_is_on_its_way_or_unknown_waits(rest, sandbox):
    sandbox.trouble("reset_after", times=1)
    rest.send("replay", GOOD["replay"], KEY)
    assert told(rest.send("replay", GOOD["replay"], ASYNC | KEY)) == (409, "outcome_unknown")
    Outcome.objects.all().delete()
    assert told(rest.send("replay", GOOD["replay"], ASYNC | KEY)) == (409, "in_flight")


def test_a_key_whose_call_surely_sent_nothing_is_free_for_a_job(rest, sandbox, settings):
    settings.RUDDERSTACK_BASE_URL = "http://127.0.0.1:9"
    assert rest.send("replay", GOOD["replay"], KEY).status_code == 502
    settings.RUDDERSTACK_BASE_URL = sandbox.url
    job = rest.send("replay", GOOD["replay"], ASYNC | KEY)
    assert (job.status_code, Call.objects.get(id=job["X-Audit-Id"]).idempotency_try) == (202, 2)


def test_a_refusal_and_a_dry_run_use_no_key_up(rest, sandbox):
    assert rest.send("replay", {"batch": [{}]}, ASYNC | KEY).status_code == 400
    tried = [rest.send("replay", GOOD["replay"], ASYNC | KEY, "?dry_run=true").json()["id"] for _ in range(2)]
    job = rest.send("replay", GOOD["replay"], ASYNC | KEY).json()
    assert (job["dry_run"], len({*tried, job["id"]})) == (False, 3)


def test_a_key_outlives_its_job(rest, sandbox):
    rest.send("replay", GOOD["replay"], ASYNC | KEY)
    Job.objects.all().delete()
    answer = rest.send("replay", GOOD["replay"], ASYNC | KEY)
    assert (told(answer), "not kept any more" in answer.json()["detail"]) == ((422, "idempotency_key_reused"), True)


def test_keys_of_jobs_are_each_clients_own(make_key, sandbox):
    assert len({Rest(make_key(name)).send("replay", GOOD["replay"], ASYNC | KEY).json()["id"] for name in ("one", "two")}) == 2


def at_once(works: list[Callable[[], Any]]) -> list[Any]:
    """What each comes to, all begun together in threads of their own."""
    barrier, answers = threading.Barrier(len(works)), [None] * len(works)

    def run(number: int) -> None:
        barrier.wait()
        try:
            answers[number] = works[number]()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_of_calls_and_jobs_at_once_under_one_key_only_one_goes(rest, sandbox, monkeypatch):
    # All of them find the key free: what keeps them apart is the log's own rule.
    monkeypatch.setattr(making, "earlier_job", lambda *_: None)
    body = json.dumps(GOOD["replay"]).encode()
    winners = set()
    for number in range(12):
        key = {"Idempotency-Key": f"race {number}"}
        ways: list[Callable[[], Any]] = [
            lambda key=key: rest.send("replay", body, key),
            lambda key=key: rest.send("replay", body, key | ASYNC),
            lambda key=key: rest.post("/v1/jobs?operation=replay", body, key),
        ]
        before = sandbox.count()["calls"]
        turned = ways[number % 3 :] + ways[: number % 3]
        answers = at_once(turned * 2)
        sent, jobs = sandbox.count()["calls"] - before, Job.objects.filter(idempotency_key=f"race {number}")
        assert sent + jobs.count() == 1
        assert {answer.status_code for answer in answers} <= ({200, 409, 422} if sent else {202, 422})
        assert {answer.json()["id"] for answer in answers if answer.status_code == 202} == {str(job.id) for job in jobs}
        assert Call.objects.filter(idempotency_key=f"race {number}", idempotency_try__isnull=False).count() == 1
        winners.add("call" if sent else "job")
    assert len(making.default_storage.listdir("uploads")[1]) == Job.objects.count()
    assert winners


# what it costs


def test_a_call_costs_no_query_more(rest, sandbox):
    rest.send("replay", GOOD["replay"])
    with CaptureQueriesContext(connection) as without:
        rest.send("replay", GOOD["replay"])
    with CaptureQueriesContext(connection) as with_key:
        rest.send("replay", GOOD["replay"], KEY)
    kinds = [[query["sql"].split()[0] for query in queries if query["sql"].split()[0] in ("SELECT", "INSERT")] for queries in (without, with_key)]
    assert kinds == [["INSERT", "INSERT"], ["SELECT", "INSERT", "INSERT"]]
