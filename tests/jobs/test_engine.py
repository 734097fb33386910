"""The engine against the sandbox: every event arrives, in order, and whatever stops it is taken up again."""

import json
from collections import Counter
from time import monotonic

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gateway.access import keys
from gateway.access.models import Client
from gateway.audit import log
from gateway.audit.models import Call, Channel
from gateway.jobs import control, engine
from gateway.jobs.engine import work
from gateway.jobs.inputs import InputUnreachableError
from gateway.jobs.lease import Lease, claim
from gateway.jobs.models import Chunk, Failure, Job, State
from tests.conftest import MESSAGE
from tests.jobs.making import arrived, batches, event, events, ids, make_job, run
from tests.waiting import wait_for

pytestmark = pytest.mark.usefixtures("client_key")

PERSON = {"actor": "anna", "channel": Channel.CLI}


def counts(job):
    return job.accepted, job.failed, job.possible_duplicates


def test_every_event_arrives_once_and_in_order(sandbox):
    job = run(make_job(events(2500), segment_events=900))
    assert (job.state, counts(job), job.next_event) == (State.SUCCEEDED, (2500, 0, 0), 2500)
    assert arrived(sandbox) == ids(2500)
    assert [len(batch) for batch in batches(sandbox)] == [500, 400, 500, 400, 500, 200]
    assert job.chunks == 6
    assert not Chunk.objects.exclude(parts="", sending=0).exists()
    assert job.started_at <= job.ended_at < job.segments_until
    assert job.lease_until is None


def test_the_calls_of_a_job_are_in_the_log(sandbox):
    job = run(make_job(events(3), job_run_id="run-1", address="192.0.2.9", chunk_events=2))
    rows = Call.objects.order_by("id").values_list("job", "chunk", "channel", "events", "client", "request_id", "job_run_id", "source", "address")
    assert list(rows) == [(job.id, number, "job", size, job.client, "r-1", "run-1", "rep-1", "192.0.2.9") for number, size in ((1, 2), (2, 1))]
    headers = dict(sandbox.received()[0]["headers"])
    assert headers["X-Rudder-Job-Run-Id"] == "run-1"
    assert headers["X-Rudder-Source-Id"] == "rep-1"


def test_without_order_as_much_arrives(sandbox):
    job = run(make_job(events(3000), ordered=False, chunk_events=100))
    assert (job.state, counts(job)) == (State.SUCCEEDED, (3000, 0, 0))
    assert Counter(arrived(sandbox)) == Counter(ids(3000))


def test_without_order_many_chunks_are_on_the_wire_at_once(sandbox, slices):
    make_job(events(3000), ordered=False, chunk_events=100)
    sandbox.trouble("delay", seconds=0.5)
    slices().step()
    assert Chunk.objects.filter(sending=100).count() == engine.MOST_SENDERS


def test_in_order_one_chunk_is_on_the_wire(slices):
    make_job(events(3000), chunk_events=100)
    slices().step()
    assert Chunk.objects.filter(sending=100).count() == Chunk.objects.count() == 1


def test_the_next_chunk_is_written_with_the_result_of_the_last(slices):
    job = make_job(events(30), chunk_events=10)
    slice_ = slices()
    slice_.step()
    with CaptureQueriesContext(connection) as queries:
        slice_.step()
    assert [query["sql"].partition(" ")[0] for query in queries if not query["sql"].startswith("SELECT")] == [
        "BEGIN", "UPDATE", "INSERT", "COMMIT",
    ]  # fmt: skip
    job.refresh_from_db()
    assert (job.accepted, job.next_event, job.chunks) == (10, 20, 2)
    assert list(Chunk.objects.order_by("number").values_list("parts", "sending")) == [("", 0), ("[[0, 10]]", 10)]


def test_a_slice_ends_and_the_next_goes_on(sandbox):
    job = make_job(events(30), chunk_events=10)
    run(job, seconds=0)
    assert (job.state, job.accepted, job.lease_until) == (State.RUNNING, 0, None)
    assert run(job).state == State.SUCCEEDED
    assert arrived(sandbox) == ids(30)


def test_a_dry_run_sends_nothing(sandbox):
    job = run(make_job(events(30), dry_run=True))
    assert (job.state, job.accepted) == (State.SUCCEEDED, 0)
    assert sandbox.count()["calls"] == 0


def test_a_job_without_events_ends():
    assert run(make_job([])).state == State.SUCCEEDED


# what people ask for


def test_a_pause_takes_hold_between_chunks_and_resuming_goes_on(sandbox, slices):
    job = make_job(events(30), chunk_events=10)
    slice_ = slices()
    slice_.step()
    control.pause(job.id, **PERSON)
    while slice_.step():
        pass
    job.refresh_from_db()
    assert (job.state, job.accepted, job.lease_until) == (State.PAUSED, 10, None)
    assert claim() is None
    control.resume(job.id, **PERSON)
    assert run(job).state == State.SUCCEEDED
    assert arrived(sandbox) == ids(30)


def test_paused_and_resumed_between_two_looks(sandbox, slices):
    job = make_job(events(30), chunk_events=10)
    slice_ = slices()
    slice_.step()
    control.pause(job.id, **PERSON)
    control.resume(job.id, **PERSON)
    while slice_.step():
        pass
    job.refresh_from_db()
    assert job.state == State.SUCCEEDED
    assert arrived(sandbox) == ids(30)


def test_a_cancelled_job_sends_nothing_more(sandbox, slices):
    job = make_job(events(30), chunk_events=10)
    slice_ = slices()
    slice_.step()
    control.cancel(job.id, **PERSON)
    while slice_.step():
        pass
    job.refresh_from_db()
    assert (job.state, job.accepted, job.reason) == (State.CANCELLED, 10, "cancelled: Cancelled by anna.")
    assert job.ended_at is not None
    assert arrived(sandbox) == ids(10)


def test_a_cancel_that_comes_with_the_last_answer_wins(slices):
    job = make_job(events(10))
    slice_ = slices()
    slice_.step()
    slice_._end = lambda job, end=slice_._end: (control.cancel(job.id, **PERSON), end(job))[1]
    while slice_.step():
        pass
    job.refresh_from_db()
    assert job.state == State.CANCELLING
    assert run(job).state == State.CANCELLED


def test_the_rate_bounds_a_chunk_and_the_time_between(slices):
    job = make_job(events(100), rate=7)
    slice_ = slices()
    started = monotonic()
    while job.accepted < 14:
        slice_.step()
        job.refresh_from_db()
    assert monotonic() - started >= 1
    assert list(Chunk.objects.values_list("events", flat=True)) == [7, 7]


def test_another_rate_holds_within_a_second(sandbox, slices):
    job = make_job(events(1000), rate=1)
    slice_ = slices()
    slice_.step()
    slice_.step()
    control.set_rate(job.id, None, **PERSON)
    while slice_.step():
        pass
    assert arrived(sandbox) == ids(1000)


def test_a_lower_rate_holds_from_the_next_chunk_on(slices):
    job = make_job(events(1000), chunk_events=100)
    slice_ = slices()
    slice_.step()
    control.set_rate(job.id, 5, **PERSON)
    slice_.step()
    slice_.step()
    assert list(Chunk.objects.order_by("number").values_list("events", flat=True)) == [100, 5]


# what goes wrong


@pytest.mark.parametrize("kind", ["429", "500"])
def test_backing_off(sandbox, kind):
    job = make_job(events(10))
    sandbox.trouble(kind, times=1)
    run(job)
    assert (job.state, counts(job), job.tries, job.lease_until) == (State.RUNNING, (0, 0, 0), 1, None)
    Job.objects.update(due_at=timezone.now())
    run(job)
    assert (job.state, counts(job), job.tries) == (State.SUCCEEDED, (10, 0, 0), 0)


def test_backing_off_for_as_long_as_asked(sandbox):
    job = make_job(events(10))
    sandbox.trouble("429", times=1, retry_after=600)
    run(job)
    assert 500 < (job.due_at - timezone.now()).total_seconds() <= 600
    assert claim() is None


def test_where_nothing_listens_it_backs_off(settings, sandbox):
    settings.RUDDERSTACK_BASE_URL = "http://127.0.0.1:9"
    job = run(make_job(events(10)))
    assert (job.state, counts(job), job.tries) == (State.RUNNING, (0, 0, 0), 1)
    assert Chunk.objects.get().sending == 0


def test_of_an_unknown_outcome_the_events_are_sent_again_at_once_and_counted(sandbox):
    sandbox.trouble("reset_after", times=1)
    job = run(make_job(events(10)))
    assert (job.state, counts(job)) == (State.SUCCEEDED, (10, 0, 10))
    assert arrived(sandbox) == ids(10) * 2


def test_unknown_again_and_again_backs_off(sandbox):
    sandbox.trouble("reset_after")
    job = run(make_job(events(10)))
    assert (job.state, counts(job), job.tries, sandbox.count()["stored"]) == (State.RUNNING, (0, 0, 20), 1, 2)


def test_faulty_events_are_failures_and_the_rest_is_sent(sandbox):
    content = events(10)
    content[3] = event(3, userId="")
    content[7] = event(7, properties={"price": 1})
    content[7] = json.dumps(content[7]).replace('"price": 1', '"price": 1e999').encode()
    job = run(make_job(content, first_line=101))
    assert (job.state, counts(job)) == (State.SUCCEEDED, (8, 2, 0))
    assert arrived(sandbox) == [one for one in ids(10) if one not in ("m-3", "m-7")]
    rows = Failure.objects.order_by("line")
    assert [(row.line, row.reason, row.pointer) for row in rows] == [(104, "missing_user", "/userId"), (108, "number_overflow", "/properties/price")]
    assert json.loads(rows[0].event)["messageId"] == "m-3"
    assert "userId" in rows[0].detail
    assert Chunk.objects.get().failed == 2


@pytest.mark.parametrize("shape", ["messages", "events"])
def test_faulty_events_of_other_shapes(sandbox, shape):
    if shape == "messages":
        good = [{**MESSAGE, "payload": {**MESSAGE["payload"], "messageId": f"m-{index}"}} for index in range(5)]
        good[2] = {**good[2], "payload": {**good[2]["payload"], "messageId": ""}}
        job = run(make_job(good, operation="internalbatch"))
        expected = ("missing_field", "/payload/messageId")
    else:
        job = run(make_job([event(0), event(1), event(2, userId=None), event(3), event(4)], operation="audiencelist"))
        expected = ("missing_user", "")
    assert (job.state, counts(job)) == (State.SUCCEEDED, (4, 1, 0))
    assert arrived(sandbox) == ["m-0", "m-1", "m-3", "m-4"]
    row = Failure.objects.get()
    assert (row.line, row.reason, row.pointer) == (3, *expected)


def test_an_unexplained_refusal_is_halved_until_the_event_is_alone(sandbox, monkeypatch):
    calls = []
    send = engine.sending.send

    def refusing(job, chunk, principal, lines):
        """RudderStack with a rule of its own, that nobody here knows."""
        if any(b'"m-5"' in line or b'"m-6"' in line for line in lines):
            sandbox.trouble("answer", times=1, status=400, body="no")
        calls.append(len(lines))
        return send(job, chunk, principal, lines)

    monkeypatch.setattr(engine.sending, "send", refusing)
    job = run(make_job(events(16)))
    assert (job.state, counts(job)) == (State.SUCCEEDED, (14, 2, 0))
    assert [(row.line, row.reason, row.detail) for row in Failure.objects.order_by("line")] == [
        (6, "rejected_by_upstream", "no"),
        (7, "rejected_by_upstream", "no"),
    ]
    assert len(calls) <= 14


@pytest.mark.parametrize(
    ("status", "code"), [(401, "rejected_by_upstream"), (403, "rejected_by_upstream"), (404, "rejected_by_upstream"), (302, "redirect")]
)
def test_what_no_event_is_to_blame_for_pauses_the_job(sandbox, status, code):
    sandbox.trouble("answer", status=status, body="go away")
    job = run(make_job(events(10)))
    assert (job.state, counts(job), job.lease_until) == (State.PAUSED, (0, 0, 0), None)
    assert job.reason.startswith(f"{code}: ")
    assert str(status) in job.reason
    assert Chunk.objects.get().sending == 0


@pytest.mark.parametrize(
    ("rights", "disabled", "code"),
    [({"operations": "retl"}, False, "no_key"), ({"sources": "src-9"}, False, "no_key"), ({}, True, "client_disabled")],
)
def test_a_client_that_may_not_pauses_the_job(make_key, sandbox, rights, disabled, code):
    make_key("other", **rights)
    Client.objects.filter(name="other").update(disabled=disabled)
    job = run(make_job(events(10), client=str(Client.objects.get(name="other").id)))
    assert job.state == State.PAUSED
    assert job.reason.startswith(f"{code}: ")
    assert sandbox.count()["calls"] == 0


def test_a_key_revoked_in_the_middle_stops_it_before_the_next_chunk(client_key, sandbox, slices):
    job = make_job(events(30), chunk_events=10)
    slice_ = slices()
    slice_.step()
    keys.revoke(client_key[:12], actor="anna", channel=Channel.CLI)
    while slice_.step():
        pass
    job.refresh_from_db()
    assert (job.state, job.accepted) == (State.PAUSED, 10)


def test_when_most_are_refused_it_pauses():
    content = [event(index, userId="" if index % 3 else "u") for index in range(3000)]
    job = run(make_job(content, chunk_events=100))
    assert job.state == State.PAUSED
    assert job.reason.startswith("mostly_refused: ")
    assert job.failed < 700


def test_when_fewer_are_refused_it_goes_on():
    content = [event(index, userId="u" if index % 3 else "") for index in range(3000)]
    assert counts(run(make_job(content, chunk_events=100))) == (2000, 1000, 0)


def test_a_segment_that_is_gone_pauses_the_job():
    job = make_job(events(10))
    default_storage.delete(f"{job.id}/0.ndjson")
    run(job)
    assert (job.state, job.lease_until) == (State.PAUSED, None)
    assert job.reason.startswith("storage: ")


def test_a_full_disk_pauses_the_job(monkeypatch):
    def full(lease, until):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(engine, "take_in", full)
    job = run(make_job([], taken_in=False))
    assert job.state == State.PAUSED
    assert job.reason.startswith("disk_full: ")


def test_intake_comes_first(monkeypatch):
    told = iter([False, False, True])
    monkeypatch.setattr(engine, "take_in", lambda lease, until: lease.commit(taken_in=next(told)))
    job = run(make_job(events(10), taken_in=False))
    assert (job.state, job.taken_in, job.accepted) == (State.SUCCEEDED, True, 10)
    assert next(told, None) is None


def test_from_the_input_to_the_end(sandbox):
    content = "\n".join(json.dumps(one) for one in [event(0), event(1, userId=""), event(2)])
    name = default_storage.save("upload", ContentFile(content.encode()))
    job = run(make_job([], input=name, taken_in=False))
    assert (job.state, job.lines, job.faulty, job.events, job.accepted) == (State.SUCCEEDED, 3, 1, 2, 2)
    assert arrived(sandbox) == ["m-0", "m-2"]


def test_an_input_that_is_broken_fails_the_job(sandbox):
    job = run(make_job([], input="not there", taken_in=False))
    assert (job.state, job.lease_until) == (State.FAILED, None)
    assert job.ended_at is not None
    assert job.reason.startswith("input_missing: ")


def test_an_input_that_cannot_be_reached_is_tried_again(monkeypatch):
    def away(lease, until):
        raise InputUnreachableError("The bucket does not answer.")

    monkeypatch.setattr(engine, "take_in", away)
    job = run(make_job([], taken_in=False))
    assert (job.state, job.tries, job.lease_until) == (State.RUNNING, 1, None)
    assert job.reason == "input_unreachable: The bucket does not answer."
    monkeypatch.setattr(engine, "take_in", lambda lease, until: lease.commit(taken_in=True))
    Job.objects.update(due_at=timezone.now())
    run(job)
    assert (job.state, job.reason) == (State.SUCCEEDED, "")


def test_a_fault_of_ours_pauses_the_job(monkeypatch):
    monkeypatch.setattr(engine, "take_in", lambda lease, until: 1 / 0)
    job = run(make_job([], taken_in=False))
    assert (job.state, job.lease_until) == (State.PAUSED, None)
    assert job.reason.startswith("internal: ")


# interruptions


def died(slice_, sandbox, sent):
    """As after kill -9: what it sent has arrived, and it writes nothing more."""
    wait_for(lambda: sandbox.count()["events"] == sent)
    slice_.close()
    Job.objects.update(lease_until=timezone.now())


@pytest.mark.parametrize("ordered", [True, False])
def test_what_was_on_the_wire_when_somebody_died_is_counted_and_sent_again(sandbox, slices, ordered):
    job = make_job(events(100), chunk_events=10, ordered=ordered)
    slice_ = slices()
    slice_.step()
    on_the_wire = 10 if ordered else 100
    died(slice_, sandbox, on_the_wire)
    run(job)
    assert (job.state, counts(job)) == (State.SUCCEEDED, (100, 0, on_the_wire))
    assert Counter(arrived(sandbox)) == Counter(ids(100) + ids(on_the_wire))


def test_who_lost_the_lease_sends_nothing_more(sandbox, slices):
    job = make_job(events(30), chunk_events=10)
    late = slices()
    late.step()
    wait_for(lambda: sandbox.count()["events"] == 10)
    Job.objects.update(lease_until=timezone.now())
    other = slices()
    with pytest.raises(engine.LeaseLostError):
        late.step()
    while other.step():
        pass
    job.refresh_from_db()
    assert (job.state, counts(job)) == (State.SUCCEEDED, (30, 0, 10))
    assert Counter(arrived(sandbox)) == Counter(ids(30) + ids(10))


def test_a_lease_is_held_for_as_long_as_an_answer_takes(sandbox, settings):
    settings.GATEWAY_LEASE_SECONDS = 1
    sandbox.trouble("delay", times=1, seconds=2)
    job = run(make_job(events(10)))
    assert (job.state, counts(job)) == (State.SUCCEEDED, (10, 0, 0))
    assert sandbox.count()["calls"] == 1


def test_a_lost_lease_ends_the_work_quietly(sandbox):
    make_job(events(30))
    lease = claim()
    Job.objects.update(lease_token=99)
    work(lease)
    assert sandbox.count()["calls"] == 0


def test_while_the_log_cannot_be_written_it_backs_off_and_sends_nothing(sandbox, monkeypatch):
    def away(call):
        raise log.LogUnavailableError("away")

    monkeypatch.setattr(log, "intend", away)
    job = run(make_job(events(10)))
    assert (job.state, counts(job), job.tries, job.lease_until) == (State.RUNNING, (0, 0, 0), 1, None)
    assert Chunk.objects.get().sending == 0
    assert sandbox.count()["calls"] == 0


def test_an_answer_survives_a_database_that_is_away_for_a_moment(sandbox, monkeypatch):
    job = make_job(events(10), chunk_events=5)
    away = iter([False, True, True])
    commit = Lease.commit

    def flaky(self, *args, **changes):
        commit(self, *args, **changes)
        if next(away, False):
            # Done, but nobody was told.
            raise log.LogUnavailableError("away", doubtful=True)

    monkeypatch.setattr(Lease, "commit", flaky)
    run(job)
    assert (job.state, counts(job), job.chunks) == (State.SUCCEEDED, (10, 0, 0), 2)
    assert arrived(sandbox) == ids(10)


def test_an_answer_that_cannot_be_recorded_within_the_lease_is_counted(sandbox, settings, monkeypatch):
    settings.GATEWAY_LEASE_SECONDS = 1
    job = make_job(events(10), chunk_events=5)
    commit, works = Lease.commit, iter([True])

    def fails(self, *args, **changes):
        if not next(works, False):
            raise log.LogUnavailableError("away")
        commit(self, *args, **changes)

    with monkeypatch.context() as patch:
        patch.setattr(Lease, "commit", fails)
        run(job)
    assert (job.state, counts(job), job.next_event) == (State.RUNNING, (0, 0, 0), 5)
    Job.objects.update(lease_until=None, due_at=timezone.now())
    run(job)
    assert (job.state, counts(job)) == (State.SUCCEEDED, (10, 0, 5))
    assert Counter(arrived(sandbox)) == Counter(ids(10) + ids(5))


# one event a call


def test_events_that_go_out_one_by_one(sandbox):
    job = run(make_job(events(250), operation="extract", ordered=False))
    assert (job.state, counts(job), job.chunks) == (State.SUCCEEDED, (250, 0, 0), 3)
    assert Counter(arrived(sandbox)) == Counter(ids(250))
    assert {len(batch) for batch in batches(sandbox)} == {1}


@pytest.mark.parametrize("ordered", [True, False])
def test_a_pause_among_events_that_go_out_one_by_one(sandbox, slices, ordered):
    """What is on the wire finishes; what waits for a connection does not go out."""
    job = make_job(events(90), operation="extract", ordered=ordered)
    sandbox.trouble("delay", seconds=0.2)
    slice_ = slices()
    slice_.step()
    wait_for(lambda: sandbox.count()["events"])
    control.pause(job.id, **PERSON)
    while slice_.step():
        pass
    job.refresh_from_db()
    assert job.state == State.PAUSED
    assert 0 < job.accepted == len(arrived(sandbox)) < 90
    sandbox.trouble("delay", seconds=0)
    control.resume(job.id, **PERSON)
    assert counts(run(job)) == (90, 0, 0)
    assert Counter(arrived(sandbox)) == Counter(ids(90))


def test_one_by_one_in_order(sandbox):
    job = make_job(events(120), operation="extract")
    sandbox.trouble("429", times=1)
    run(job)
    assert (job.state, job.accepted) == (State.RUNNING, 0)
    Job.objects.update(due_at=timezone.now())
    assert counts(run(job)) == (120, 0, 0)
    assert arrived(sandbox) == ids(120)


def test_one_by_one_a_lost_answer_does_not_change_the_order(sandbox):
    sandbox.trouble("reset_after", times=1)
    job = run(make_job(events(20), operation="extract"))
    assert counts(job) == (20, 0, 1)
    assert arrived(sandbox) == ["m-0", *ids(20)]
