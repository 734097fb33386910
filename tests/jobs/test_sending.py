"""From lines to calls: bodies, sizes, and what an answer means."""

import json
import uuid

import pytest

from gateway.access.keys import NoKeyError
from gateway.access.models import Client
from gateway.audit.models import Call, Result
from gateway.contract.faults import Fault
from gateway.forwarding.answer import Answer
from gateway.jobs import answers, sending
from gateway.jobs.answers import delay, judge
from gateway.jobs.chunks import Cutter
from gateway.jobs.sending import BODY_BYTES, CheckedBody, authorise
from gateway.operations import OPERATIONS
from tests.conftest import MESSAGE
from tests.jobs.making import event, events, make_job, run

pytestmark = pytest.mark.usefixtures("client_key")

# chunks


def test_chunks_follow_each_other_through_the_segments():
    job = make_job(events(10), segment_events=6, chunk_events=4)
    cutter, first, seen = Cutter(), 0, []
    for number in range(1, 4):
        piece = cutter.cut(job, first, number)
        content = b"".join(line + b"\n" for line in piece.lines)
        seen += [json.loads(line)["messageId"] for line in piece.lines]
        assert (piece.row.first_event, piece.row.bytes) == (first, len(content))
        first += piece.row.events
    assert seen == [f"m-{number}" for number in range(10)]


def test_a_chunk_is_bounded_in_bytes(sandbox):
    big = "x" * 900_000
    job = run(make_job([event(number, properties={"text": big}) for number in range(9)]))
    assert job.accepted == 9
    sizes = [len(request["body"]) for request in sandbox.received()]
    assert len(sizes) == 3
    assert max(sizes) < BODY_BYTES


def test_an_event_that_is_larger_than_a_chunk_goes_alone(sandbox):
    job = run(make_job([event(0), event(1, properties={"text": "x" * BODY_BYTES}), event(2)]))
    assert [request["events"] for request in sandbox.received()] == [1, 1, 1]
    assert job.accepted == 3


def test_a_chunk_is_no_more_than_a_second_of_the_rate():
    assert len(Cutter().cut(make_job(events(10), rate=3), 0, 1).lines) == 3


def test_a_chunk_of_single_events_is_small():
    assert len(Cutter().cut(make_job(events(500), operation="extract"), 0, 1).lines) == 100


# bodies


@pytest.mark.parametrize("operation", ["replay", "retl", "internalbatch", "audiencelist", "extract"])
def test_each_operation_gets_its_shape(sandbox, operation):
    one = {**MESSAGE, "payload": {**MESSAGE["payload"], "messageId": "m-0"}} if operation == "internalbatch" else event(0)
    job = run(make_job([one], operation=operation))
    assert job.state == "succeeded"
    body = json.loads(sandbox.received()[0]["body"])
    assert body == {"replay": {"batch": [one]}, "retl": {"batch": [one]}, "internalbatch": [one]}.get(operation, one)
    call = Call.objects.get()
    assert (call.operation, call.events, call.source) == (operation, 1, "rep-1" if operation == "replay" else "src-1")


def test_the_destination_is_sent(sandbox):
    run(make_job([event(0)], operation="retl", source="src-1", destination="dst-1"))
    assert dict(sandbox.received()[0]["headers"])["X-Rudder-Destination-Id"] == "dst-1"
    assert Call.objects.get().destination == "dst-1"


def test_a_checked_body_is_read_for_its_first_events_job_run_alone():
    lines = [b'{"userId": "u", "context": {"sources": {"job_run_id": "j", "task_run_id": "t"}}}', b"not looked at"]
    reading = CheckedBody(lines).quick(OPERATIONS["replay"])
    assert (reading.events, reading.job_run_id, reading.task_run_id) == (2, "j", "t")


def test_a_message_for_a_source_that_the_client_may_not_use_stops_the_job(make_key, sandbox):
    make_key("narrow", sources="src-2")
    job = run(make_job([MESSAGE], operation="internalbatch", client=str(Client.objects.get(name="narrow").id)))
    assert job.state == "paused"
    assert job.reason.startswith("source_not_allowed: ")
    assert sandbox.count()["calls"] == 0


# who


def test_any_key_that_may_will_do(make_key):
    make_key("other", operations="retl")
    make_key("other", operations="replay", sources="src-1")
    make_key("other", operations="replay", sources="rep-1")
    client = str(Client.objects.get(name="other").id)
    assert authorise(make_job([], client=client)).sources == {"rep-1"}
    assert authorise(make_job([], client=client, source="src-1")).sources == {"src-1"}
    assert authorise(make_job([], client=client, operation="retl")).sources == {"all"}
    with pytest.raises(NoKeyError):
        authorise(make_job([], client=client, operation="extract"))


def test_where_messages_name_sources_those_of_all_keys_count(make_key):
    make_key("other", operations="internalbatch", sources="a")
    make_key("other", operations="internalbatch,replay", sources="b")
    make_key("other", operations="replay", sources="c")
    assert authorise(make_job([], operation="internalbatch", client=str(Client.objects.get(name="other").id))).sources == {"a", "b"}


# answers


def answer(result=Result.REJECTED, status=400, **fields):
    return Answer(uuid.uuid4(), result, status, **{"reason": "rejected_by_upstream", "origin": "upstream", **fields})


def fault(pointer):
    return Fault(pointer, "missing_user", "No user.", "Give it one.")


@pytest.mark.parametrize(
    ("operation", "pointers", "refused"),
    [
        ("replay", ["/batch/1/userId", "/batch/0"], {11: "/userId", 10: ""}),
        ("replay", ["/batch/1/a~1b/0", "/batch/1/c"], {11: "/a~1b/0"}),
        ("internalbatch", ["/2/payload"], {12: "/payload"}),
        ("replay", ["/batch/3/userId", "/batch", "", "/batch/x"], {}),
        ("internalbatch", ["/batch/1"], {}),
    ],
)
def test_pointers_name_events(operation, pointers, refused):
    finding = judge(OPERATIONS[operation], [10, 11, 12], answer(errors=tuple(map(fault, pointers))), 0)
    assert {event: fault.pointer for event, fault in finding.refused.items()} == refused
    assert finding.halve == (not refused)


def test_an_event_alone_is_refused_without_any_pointer():
    finding = judge(OPERATIONS["replay"], [7], answer(detail="no"), 0)
    assert (finding.refused[7].detail, finding.halve) == ("no", False)
    assert judge(OPERATIONS["extract"], [7], answer(errors=(fault("/x"),)), 0).refused[7].pointer == "/x"


@pytest.mark.parametrize(
    ("given", "pauses"),
    [
        (answer(Result.REFUSED, 400, reason="no_write_key", origin="gateway"), True),
        (answer(Result.REFUSED, 400, reason="too_deep", origin="gateway"), False),
        (answer(Result.REFUSED, 403, reason="source_not_allowed", origin="gateway"), True),
        (answer(status=401), True),
        (answer(status=413), False),
        (answer(status=422), True),
    ],
)
def test_what_is_the_events_fault_and_what_is_not(given, pauses):
    assert bool(judge(OPERATIONS["replay"], [1, 2], given, 0).pause) == pauses


def test_waits_grow_and_end_growing():
    for tries in (0, 1, 5):
        assert 2**tries / 2 <= delay(tries) <= 2**tries
    assert answers.LONGEST_WAIT / 2 <= delay(1000) <= answers.LONGEST_WAIT
    assert delay(9, "7") == 7
    assert delay(0, "999999") == 3600
    assert delay(0, "0") > 0
    assert delay(0, "Wed, 21 Oct 2026 07:28:00 GMT") <= 1


def test_a_refusal_of_the_gateway_itself_is_the_events_fault(sandbox, monkeypatch):
    """What the quick look would have let pass, as it was checked before, and the exact look refuses."""
    monkeypatch.setattr(sending.CheckedBody, "quick", lambda self, operation: None)
    job = run(make_job([event(0), event(1, userId=None), event(2)]))
    assert (job.accepted, job.failed, sandbox.count()["calls"]) == (2, 1, 1)
