"""/v1/jobs: made of uploads, seen by their client, steered; the same order under the same key makes one job."""

import gzip
import json
import uuid

import pytest

from gateway.audit.models import Action, Outcome
from gateway.jobs import control, engine, failures
from gateway.jobs.lease import claim
from gateway.jobs.models import Job
from tests.conftest import EVENT, Rest

pytestmark = pytest.mark.django_db(transaction=True)
EVENTS = [{**EVENT, "messageId": f"m-{number}"} for number in range(5)]
NDJSON = b"".join(json.dumps(event).encode() + b"\n" for event in EVENTS)


@pytest.fixture(autouse=True)
def storage(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    settings.CELERY_BROKER_URL = ""


def make(rest, body=NDJSON, query="operation=replay", **headers):
    return rest.post(f"/v1/jobs?{query}", body, headers)


def finish():
    while lease := claim():
        engine.work(lease, 30)


@pytest.mark.parametrize("body", [NDJSON, json.dumps(EVENTS).encode(), json.dumps({"batch": EVENTS}).encode(), gzip.compress(NDJSON, mtime=0)])
def test_an_upload_becomes_a_job_that_sends_all_of_it(rest, sandbox, body):
    answer = make(rest, body)
    assert answer.status_code == 202, answer.content
    job = answer.json()
    assert (job["state"], answer["Location"]) == ("queued", f"/v1/jobs/{job['id']}")
    assert [(action.verb, action.subject) for action in Action.objects.filter(verb="job_made")] == [("job_made", job["id"])]
    finish()
    done = rest.get(answer["Location"]).json()
    assert (done["state"], done["events"], done["submitted"], done["accepted"], done["refused"]) == ("succeeded", 5, 5, 5, 0)
    sent = [event["messageId"] for call in sandbox.received() for event in json.loads(call["body"])["batch"]]
    assert sent == [f"m-{number}" for number in range(5)]
    assert ["x-rudder-job-run-id", job["id"]] in [[name.lower(), value] for name, value in sandbox.received()[0]["headers"]]


def test_a_faulty_line_is_a_failure_with_its_line(rest, sandbox):
    answer = make(rest, NDJSON + b'{"type": "track"}\nnonsense\n')
    finish()
    assert rest.get(answer["Location"]).json()["refused"] == 2
    found = rest.get(f"{answer['Location']}/failures")
    assert found["Content-Type"] == "application/x-ndjson"
    rows = [json.loads(line) for line in found.content.splitlines()]
    assert [(row["line"], row["reason"]) for row in rows] == [(6, "missing_user"), (7, "invalid_json")]
    assert json.loads(rest.get(f"{answer['Location']}/failures?reason=invalid_json&after={rows[0]['id']}").content)["line"] == 7


def test_pause_resume_cancel_and_rate(rest, sandbox):
    place = make(rest)["Location"]
    assert rest.post(f"{place}/resume").status_code == 409
    assert rest.post(f"{place}/pause").json()["state"] == "paused"
    finish()
    assert sandbox.count()["calls"] == 0
    assert rest.post(f"{place}/rate?rate=100").json()["rate"] == 100
    assert rest.post(f"{place}/rate?rate=0").status_code == 400
    assert rest.post(f"{place}/rate").json()["rate"] is None
    assert rest.post(f"{place}/resume").json()["state"] == "queued"
    assert rest.post(f"{place}/cancel").json()["state"] == "cancelling"
    finish()
    assert rest.get(place).json()["state"] == "cancelled"
    assert rest.post(f"{place}/resume").json()["reason"] == "not_possible"
    assert sandbox.count()["calls"] == 0
    verbs = list(Action.objects.filter(subject=place.rpartition("/")[2]).order_by("id").values_list("verb", flat=True))
    assert verbs == ["job_made", "job_paused", "job_rate_changed", "job_rate_changed", "job_resumed", "job_cancelled"]


def test_the_same_order_under_the_same_key_is_one_job(rest, sandbox):
    first, again = (make(rest, **{"Idempotency-Key": "k"}).json()["id"] for _ in range(2))
    assert first == again
    assert make(rest, NDJSON + NDJSON, **{"Idempotency-Key": "k"}).status_code == 422
    assert make(rest, query="operation=retl", **{"Idempotency-Key": "k"}).status_code == 422
    assert Job.objects.count() == 1
    rest.send("replay", {"batch": EVENTS}, {"Idempotency-Key": "call"})
    assert make(rest, **{"Idempotency-Key": "call"}).status_code == 422


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ("", NDJSON, 400),
        ("operation=nope", NDJSON, 400),
        ("operation=replay&rate=0", NDJSON, 400),
        ("operation=replay&colour=red", NDJSON, 400),
        ("operation=replay&format=archive", NDJSON, 400),
        ("operation=replay", b"", 400),
        ("operation=replay&window=22:00", NDJSON, 400),
    ],
)
def test_an_order_that_cannot_be_is_refused(rest, sandbox, query, body, status):
    assert make(rest, body, query).status_code == status
    assert not Job.objects.exists()


def test_who_may_not_send_makes_no_job_and_the_refusal_is_recorded(make_key, sandbox):
    stranger, limited = Rest(None), Rest(make_key("limited", operations="retl"))
    assert make(stranger).status_code == 401
    assert make(limited).status_code == 403
    assert make(limited, query="operation=retl", **{"X-Rudder-Source-Id": "src-1"}).status_code == 202
    assert Outcome.objects.get(result="refused").reason == "operation_not_allowed"


def test_jobs_are_seen_by_their_client_and_by_who_may_see_all(rest, make_key, sandbox):
    place = make(rest)["Location"]
    other, auditor = Rest(make_key("other")), Rest(make_key("auditor", scopes="audit"))
    for path in (place, f"{place}/failures"):
        assert (rest.get(path).status_code, other.get(path).status_code, auditor.get(path).status_code) == (200, 404, 200)
    assert other.post(f"{place}/cancel").status_code == 404
    assert [len(who.get("/v1/jobs").json()["results"]) for who in (rest, other, auditor)] == [1, 0, 1]
    assert rest.get(f"/v1/jobs/{uuid.uuid4()}").status_code == 404


def test_the_list_has_pages_and_filters(rest, sandbox):
    ids = [make(rest, NDJSON + b" " * number).json()["id"] for number in range(3)]
    control.cancel(uuid.UUID(ids[0]), actor="tests", channel="rest")
    first = rest.get("/v1/jobs?limit=2").json()
    assert [job["id"] for job in first["results"]] == [ids[2], ids[1]]
    assert [job["id"] for job in rest.get(first["next"].partition("testserver")[2]).json()["results"]] == [ids[0]]
    assert [job["id"] for job in rest.get("/v1/jobs?state=queued").json()["results"]] == [ids[2], ids[1]]
    assert rest.get("/v1/jobs?colour=red").status_code == 400


def test_a_dry_run_sends_nothing_and_counts(rest, sandbox):
    answer = make(rest, NDJSON + b'{"userId": "u"}\n', "operation=replay&dry_run=true")
    finish()
    job = rest.get(answer["Location"]).json()
    assert (job["state"], job["events"], job["without_message_id"], job["submitted"]) == ("succeeded", 6, 1, 0)
    assert sandbox.count()["calls"] == 0


def test_a_list_of_large_failures_is_given_in_parts(rest, monkeypatch):
    place = make(rest, NDJSON + b"".join(b"%d nonsense\n" % number for number in range(5)))["Location"]
    finish()
    monkeypatch.setattr(failures, "MOST_CHARACTERS", 25)
    parts, after = [], 0
    while rows := [json.loads(line) for line in rest.get(f"{place}/failures?after={after}").content.splitlines()]:
        parts.append([row["event"] for row in rows])
        after = rows[-1]["id"]
    assert parts == [["0 nonsense", "1 nonsense"], ["2 nonsense", "3 nonsense"], ["4 nonsense"]]
    monkeypatch.setattr(failures, "MOST_CHARACTERS", 1)
    assert len(rest.get(f"{place}/failures").content.splitlines()) == 1


def test_failures_are_sent_again_as_they_were_or_corrected(rest, make_key, sandbox):
    place = make(rest, NDJSON + b'{"type": "track", "messageId": "m-5"}\nnonsense\n')["Location"]
    finish()
    assert [json.loads(line) for line in rest.get(f"{place}/failures?summary=true").content.splitlines()] == [
        {"reason": "invalid_json", "failures": 1},
        {"reason": "missing_user", "failures": 1},
    ]
    answer = rest.post(f"{place}/retry-failed?reason=invalid_json", headers={"Idempotency-Key": "k"})
    again = rest.post(f"{place}/retry-failed?reason=invalid_json", headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer["Location"], again["Location"]) == (202, f"/v1/jobs/{answer.json()['id']}", answer["Location"])
    assert (answer.json()["retry_of"], answer.json()["format"]) == (place.rpartition("/")[2], "ndjson")
    rows = [json.loads(line) for line in rest.get(f"{place}/failures").content.splitlines()]
    assert [row["retried_by"] for row in rows] == [None, answer.json()["id"]]
    bad = rest.post(f"{place}/retry-failed", json.dumps({**rows[1], "event": {}}).encode())
    assert (bad.status_code, bad.json()["reason"]) == (400, "bad_correction")
    fixed = json.dumps({**rows[0], "event": {**EVENTS[0], "messageId": "m-5"}}).encode()
    auditor = Rest(make_key("auditor", scopes="audit"))
    assert auditor.post(f"{place}/retry-failed", fixed).status_code == 403
    assert Rest(make_key("other")).post(f"{place}/retry-failed", fixed).status_code == 404
    corrected = rest.post(f"{place}/retry-failed", fixed)
    assert corrected.status_code == 202, corrected.content
    finish()
    assert [rest.get(one["Location"]).json()["accepted"] for one in (answer, corrected)] == [0, 1]
    assert rest.post(f"{place}/retry-failed").json()["reason"] == "nothing_to_retry"


def test_an_order_may_have_a_window(rest, sandbox):
    assert make(rest, query="operation=replay&window=22:00-06:30").json()["window"] == "22:00-06:30"
    assert make(rest).json()["window"] is None
    assert make(rest, query="operation=replay&window=22:00-22:00").json()["detail"].startswith("window: must be two times of day")
