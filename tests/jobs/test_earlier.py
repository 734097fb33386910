"""Earlier calls as a job's input: those that the filter means, in order, as far as their bodies are kept."""

import json
import uuid
from datetime import timedelta
from time import monotonic

import pytest
from django.utils import timezone

from gateway.access.models import ALL, Client
from gateway.access.principal import Principal
from gateway.audit.models import Call, Channel, Outcome
from gateway.contract.body import Body
from gateway.forwarding.answer import Refusal
from gateway.forwarding.submission import Submission
from gateway.jobs import earlier, housekeeping, intake, making
from gateway.jobs.earlier import Filter
from gateway.jobs.intake import take_in
from gateway.jobs.making import Wishes
from gateway.jobs.models import Job, State
from gateway.jobs.shape import shape
from gateway.operations import OPERATIONS
from tests.conftest import Rest
from tests.jobs.conftest import forget, hold
from tests.jobs.making import arrived, event, events, ids, make_job, run


@pytest.fixture(autouse=True)
def _key(client_key):
    """Threads send."""


EVERYTHING = frozenset({ALL})


def ask(client=None, operation="replay", source="", wishes=None, dry_run=False, key=None, **filter_):
    client = str(Client.objects.get(name="tester").id) if client is None else client
    headers = {"X-Rudder-Source-Id": source} if source else {}
    principal = Principal(client, "anna", "", EVERYTHING, EVERYTHING)
    submission = Submission(principal, OPERATIONS[operation], Body.of(b""), Channel.REST, "", "r", headers, idempotency_key=key, dry_run=dry_run)
    return making.from_calls(submission, Filter(**filter_), wishes or Wishes())


def sent(sandbox, job):
    """What a job of earlier calls sends."""
    before = len(arrived(sandbox))
    run(job)
    assert job.state == State.SUCCEEDED, job.reason
    return arrived(sandbox)[before:]


def not_kept(job):
    return [(failure.file, failure.line) for failure in job.failures.filter(reason="body_not_kept").order_by("id")]


def test_the_calls_of_a_job_are_sent_again_byte_for_byte_in_order(sandbox):
    first = run(make_job(events(25), chunk_events=10))
    second = ask(result="accepted", job=str(first.id))
    assert (second.format, second.operation, second.accepted) == ("calls", "replay", 0)
    assert sent(sandbox, second) == ids(25)
    assert (second.lines, second.faulty, second.without_message_id) == (25, 0, 0)
    assert second.job_run_id == str(second.id)
    bodies = [request["body"] for request in sandbox.received()]
    assert "".join(bodies[:3]).count("Order Completed") == "".join(bodies[3:]).count("Order Completed") == 25


def test_those_that_failed(sandbox):
    sandbox.trouble("500", times=1)
    first = run(make_job(events(10)))
    Job.objects.update(due_at=timezone.now())
    run(first)
    assert (first.state, Call.objects.count()) == (State.SUCCEEDED, 2)
    reason = Outcome.objects.get(result="failed").reason
    assert sent(sandbox, ask(result="failed")) == ids(10)
    assert sent(sandbox, ask(result="failed", reason=reason)) == ids(10)
    assert sent(sandbox, ask(result="failed", reason="other")) == []


def test_a_call_whose_body_is_not_kept_is_a_failure_and_the_job_goes_on(sandbox, rest):
    rest.send("replay", {"batch": events(1)})
    first = run(make_job(events(3)))
    rest.send("replay", {"batch": events(1)})
    calls = list(Call.objects.order_by("id").values_list("id", flat=True))
    before = sandbox.count()["stored"]
    dry = run(ask(dry_run=True))
    assert (dry.events, shape(dry)["dry_run_report"]["bodies_not_kept"], sandbox.count()["stored"]) == (3, 2, before)
    job = ask(until=timezone.now())
    assert sent(sandbox, job) == ids(3)
    assert not_kept(job) == [(str(calls[0]), 1), (str(calls[2]), 1)]
    assert (job.lines, job.faulty) == (5, 2)
    assert first.id != job.id


def test_the_clients_own_of_the_same_operation_and_source(sandbox, make_key):
    make_key("other")
    mine = run(make_job(events(2)))
    run(make_job([event(7)], client=str(Client.objects.get(name="other").id)))
    run(make_job([event(8)], operation="retl"))
    run(make_job([event(9)], source="src-1", operation="retl"))
    end = timezone.now()
    assert sent(sandbox, ask(until=end)) == ids(2)
    assert sent(sandbox, ask(client="", until=end)) == [*ids(2), "m-7"]
    assert sent(sandbox, ask(operation="retl", source="src-1", until=end)) == ["m-8", "m-9"]
    assert sent(sandbox, ask(operation="retl", source="rep-1", until=end)) == []
    assert mine.accepted == 2


def test_of_another_source_where_it_is_named(sandbox):
    run(make_job([event(8)], operation="retl", source="src-1"))
    client = str(Client.objects.get(name="tester").id)
    principal = Principal(client, "anna", "", EVERYTHING, EVERYTHING)
    submission = Submission(principal, OPERATIONS["retl"], Body.of(b""), Channel.REST, "", "r", {"X-Rudder-Source-Id": "rep-1"})
    job = making.from_calls(submission, Filter(source="src-1"), Wishes())
    assert sent(sandbox, job) == ["m-8"]
    assert dict(sandbox.received()[-1]["headers"])["X-Rudder-Source-Id"] == "rep-1"


def test_by_time(sandbox):
    run(make_job([event(1)]))
    middle = timezone.now()
    while timezone.now() - middle < timedelta(milliseconds=3):
        pass
    run(make_job([event(2)]))
    end = timezone.now()
    assert sent(sandbox, ask(since=middle, until=end)) == ["m-2"]
    assert sent(sandbox, ask(until=middle)) == ["m-1"]
    assert sent(sandbox, ask(until=end - timedelta(days=8))) == []
    later = ask(since=middle, until=end + timedelta(days=9))
    assert later.until < end + timedelta(days=1)


@pytest.mark.parametrize("result", ["accepted", None])
def test_however_it_is_interrupted_it_is_as_in_one_go(sandbox, rest, monkeypatch, result):
    monkeypatch.setattr(intake, "BLOCK_LINES", 4)
    monkeypatch.setattr(earlier, "_PAGE", 2)
    for number in range(3):
        run(make_job([event(number * 10 + index) for index in range(10)], chunk_events=5))
        rest.send("replay", {"batch": events(1)})
        rest.send("retl", {"batch": events(1)})
    job = ask(result=result)
    rounds = 0
    while not take_in(hold(job), monotonic()):
        rounds += 1
        assert rounds < 200
        if rounds % 3:
            forget()
        job.refresh_from_db()
        assert job.lines == job.events + job.faulty
    job.refresh_from_db()
    assert (job.events, job.faulty, rounds > 9) == (30, 3, True)
    Job.objects.filter(id=job.id).update(lease_until=None)
    assert sent(sandbox, job) == ids(30)


def test_a_body_that_is_broken_is_one_failure(sandbox, monkeypatch):
    first = run(make_job(events(4), chunk_events=2))
    kept = intake.kept_body
    broken = Call.objects.order_by("id").first()
    monkeypatch.setattr(intake, "kept_body", lambda call: kept(call)[:-6] if call == broken else kept(call))
    job = ask(job=str(first.id))
    assert sent(sandbox, job) == ["m-0", "m-2", "m-3"]
    failure = job.failures.get()
    assert (failure.file, failure.line, failure.reason) == (str(broken.id), 2, "broken_input")


def test_where_the_call_that_it_was_at_is_pruned_meanwhile_it_ends_and_says_so():
    run(make_job(events(5)))
    job = ask(result="accepted")
    Job.objects.filter(id=job.id).update(intake_place=json.dumps({"file": str(Call.lowest_id(timezone.now())), "line": 3}))
    run(job)
    assert (job.state, job.reason.partition(":")[0]) == (State.FAILED, "input_changed")


def test_events_that_go_out_one_by_one(sandbox):
    run(make_job(events(5), operation="audiencelist"))
    assert sent(sandbox, ask(operation="audiencelist", result="accepted")) == ids(5)


def test_under_one_key_it_is_one_job():
    first = ask(key="k", result="failed")
    assert ask(key="k", result="failed") == first
    for other in ({"result": "rejected"}, {"result": "failed", "since": timezone.now()}):
        with pytest.raises(Refusal) as raised:
            ask(key="k", **other)
        assert raised.value.status == 422


def test_a_filter_that_is_too_long_is_refused():
    with pytest.raises(Refusal, match="bad_parameter"):
        ask(reason="x" * 2000)


def test_what_is_kept_of_such_a_job_goes_after_a_time(sandbox):
    job = run(ask())
    Job.objects.update(segments_until=timezone.now())
    housekeeping.clear()
    job.refresh_from_db()
    assert (job.segments_until, Filter.of(job.input).operation) == (None, "replay")


def test_over_rest(sandbox, client_key):
    rest = Rest(client_key)
    first = run(make_job(events(3)))
    answer = rest.post(f"/v1/jobs?operation=replay&from_calls=any&from_job={first.id}")
    assert (answer.status_code, answer.json()["format"]) == (202, "calls"), answer.content
    assert sent(sandbox, Job.objects.get(id=answer.json()["id"])) == ids(3)
    assert rest.post(f"/v1/jobs?operation=replay&from_calls=accepted&from_job={uuid.uuid4()}&from_source=rep-1&reason=x").status_code == 202
    for query, body in [("&from_calls=any", b"{}"), ("&since=2026-01-01", b""), ("&from_calls=any&format=array", b""), ("&from_calls=dry_run", b"")]:
        refused = rest.post(f"/v1/jobs?operation=replay{query}", body)
        assert (refused.status_code, refused.json()["reason"]) == (400, "bad_parameter"), query
    assert json.loads(Job.objects.get(id=answer.json()["id"]).input)["job"] == str(first.id)
