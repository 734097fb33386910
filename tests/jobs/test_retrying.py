"""Failures sent again: each by one job only, under the messageId that it had, as it was or corrected."""

import json
import re
import threading
import uuid
from collections import Counter
from datetime import timedelta
from io import BytesIO
from time import sleep

import pytest
from django.db import connections
from django.utils import timezone

from gateway.access.models import ALL, Client
from gateway.access.principal import Principal
from gateway.audit import log
from gateway.audit.database import seconds_to_write
from gateway.audit.models import Action, Call, Channel
from gateway.contract.body import Body
from gateway.forwarding.answer import Refusal
from gateway.forwarding.submission import Submission
from gateway.jobs import failures, making, retrying
from gateway.jobs.making import Wishes
from gateway.jobs.models import EVENT_CHARACTERS, Failure, Format, Job, State
from gateway.jobs.retrying import retry_failed
from gateway.operations import OPERATIONS
from tests.conftest import MESSAGE
from tests.jobs.making import arrived, event, make_job, run

pytestmark = pytest.mark.usefixtures("client_key")

EVERYTHING = frozenset({ALL})


def asked(client=None, **fields):
    client = str(Client.objects.get(name="tester").id) if client is None else client
    principal = Principal(client, "anna", "", EVERYTHING, EVERYTHING)
    usual = {
        "principal": principal,
        "operation": OPERATIONS["replay"],
        "body": Body.of(b""),
        "channel": Channel.ADMIN,
        "address": "",
        "request_id": "r",
    }
    return Submission(**{**usual, **fields})


def failed(job, lines, **fields):
    """Failures of these events (what is a string is taken as it is), on rising lines."""
    usual = {"at": timezone.now(), "reason": "missing_user", "detail": "d", **fields}
    texts = [one if isinstance(one, str) else json.dumps(one) for one in lines]
    for line, text in enumerate(texts, 1):
        Failure.objects.create(job=job, line=line, event=text, **usual)
    return list(job.failures.order_by("id"))


def corrections(rows):
    return BytesIO(b"".join(json.dumps(row).encode() + b"\n" for row in rows))


def lines_of(job):
    with making.default_storage.open(job.input) as file:
        return file.read().split(b"\n")[:-1]


def refusal(*arguments, **options):
    with pytest.raises(Refusal) as raised:
        retry_failed(*arguments, **options)
    assert not Failure.objects.exclude(retried_by=None).exists()
    assert Job.objects.exclude(retry_of=None).count() == 0
    return raised.value


def test_a_new_job_sends_what_the_first_could_not(sandbox):
    first = run(
        make_job(
            [event(0), event(1, userId=""), event(2, userId="")],
            source="rep-1",
            ordered=False,
            rate=7000,
        )
    )
    assert (first.state, first.failed) == (State.SUCCEEDED, 2)
    rows = list(first.failures.order_by("id"))
    fixed = corrections([{"id": rows[1].id, "event": event(2), "reason": "ignored"}, {"id": rows[0].id, "event": json.dumps(event(1)), "line": "x"}])
    second = retry_failed(first, asked(), corrected=fixed)
    assert (second.retry_of, second.operation, second.source, second.ordered, second.rate) == (first.id, "replay", "rep-1", False, 7000)
    assert (second.client, second.actor, second.job_run_id) == (first.client, "anna", str(second.id))
    assert run(second).state == State.SUCCEEDED
    assert arrived(sandbox) == ["m-0", "m-2", "m-1"]
    assert set(first.failures.values_list("retried_by", flat=True)) == {second.id}
    did = [(row.verb, row.subject, row.actor) for row in Action.objects.filter(actor="anna").order_by("id")]
    assert did == [("job_made", str(second.id), "anna"), ("job_retried", str(first.id), "anna")]
    assert json.loads(Action.objects.get(verb="job_retried").detail) == [{"job": str(second.id), "failures": "2", "reason": ""}]


@pytest.mark.parametrize("state", [State.RUNNING, State.PAUSED, State.FAILED])
def test_all_or_those_of_one_reason_and_each_once(state):
    job = make_job([], state=state)
    failed(job, [event(1), event(2)])
    failed(job, [event(3)], reason="number_overflow", file="f")
    one = retry_failed(job, asked(), reason="number_overflow")
    assert [json.loads(line)["messageId"] for line in lines_of(one)] == ["m-3"]
    rest = retry_failed(job, asked(), wishes=Wishes(rate=9, job_run_id="run-9"))
    assert [json.loads(line)["messageId"] for line in lines_of(rest)] == ["m-1", "m-2"]
    assert (rest.rate, rest.job_run_id) == (9, "run-9")
    with pytest.raises(Refusal) as raised:
        retry_failed(job, asked())
    assert (raised.value.status, raised.value.reason) == (409, "nothing_to_retry")
    assert failures.by_reason(job) == [{"reason": "missing_user", "failures": 2}, {"reason": "number_overflow", "failures": 1}]


def test_a_failure_of_a_running_job_that_comes_later_stays():
    job = make_job([])
    failed(job, [event(1)])
    new = retry_failed(job, asked())
    later = failed(job, [event(2)], file="later")[-1]
    assert Failure.objects.get(retried_by=None) == later
    assert len(lines_of(new)) == 1


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ('{"userId":"u"}', '{<id>,"userId":"u"}'),
        (' {"userId":"u"} ', '{<id>,"userId":"u"}'),
        ("{}", "{<id>}"),
        ('{"messageId":"","userId":"u"}', '{"messageId":<value>,"userId":"u"}'),
        ('{"messageId":"m","messageId":""}', '{"messageId":"m","messageId":""}'),
        ('{"messageId":"","messageId":"m"}', '{"messageId":<value>,"messageId":"m"}'),
        ('{"messageId":"m"}', '{"messageId":"m"}'),
        ('{"a":\n1}', '{<id>,"a":\r1}'),
        ('{"a":"\n"}', '{"a":"\r"}'),
        ("nonsense", "nonsense"),
        ("[]", "[]"),
        ('{"x":' + "[" * 3000, '{"x":' + "[" * 3000),
    ],
)
@pytest.mark.parametrize("file", ["", "src-1/gw/x"])
def test_an_event_without_an_id_gets_that_of_the_first_job(text, sent, file):
    job = make_job([])
    failed(job, [text], file=file)
    value = f'"{job.message_id(f"{file}:1" if file else 1)}"'
    [line] = lines_of(retry_failed(job, asked()))
    assert line.decode() == sent.replace("<id>", f'"messageId":{value}').replace("<value>", value)


def test_a_message_keeps_what_it_has():
    job = make_job([], operation="internalbatch", source="")
    text = json.dumps({**MESSAGE, "payload": {"messageId": ""}})
    failed(job, [text])
    assert lines_of(retry_failed(job, asked())) == [text.encode()]


def test_a_retry_of_a_retry_keeps_the_id(sandbox):
    first = make_job([], state=State.CANCELLED)
    failed(first, [{"type": "track"}, "nonsense"])
    second = run(retry_failed(first, asked()))
    assert (second.state, second.faulty, second.retry_of) == (State.SUCCEEDED, 2, first.id)
    nonsense, without = second.failures.order_by("-line")
    fixed = corrections([{"id": without.id, "event": {"type": "track", "userId": "u"}}, {"id": nonsense.id, "event": {"userId": "u"}}])
    third = run(retry_failed(second, asked(), corrected=fixed))
    assert third.accepted == 2
    assert arrived(sandbox) == [first.message_id(1), second.message_id(2)]


def test_a_correction_that_lost_its_id_gets_it_back():
    job = make_job([])
    [row] = failed(job, [event(7, userId="")])
    [line] = lines_of(retry_failed(job, asked(), corrected=corrections([{"id": row.id, "event": {"userId": "u"}}])))
    assert json.loads(line) == {"messageId": "m-7", "userId": "u"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"nonsense", "line 2.*no object with"),
        (b'{"id": "1", "event": {}}', "line 2.*no object with"),
        (b'{"event": {}}', "line 2.*no object with"),
        (b'{"id": 1}', "line 2.*no object with"),
        (b'{"id": 1, "event": 17}', "line 2.*no object with"),
        (b'{"id": <id>, "event": " "}', "line 2.*empty"),
        (b'{"id": 999999, "event": {}}', "line 2.*no failure 999999"),
        (b'{"id": -1, "event": {}}', "line 2.*no failure -1"),
        (b'{"id": 99999999999999999999, "event": {}}', "line 2.*no failure 9999"),
        (b'{"id": <others>, "event": {}}', "line 2.*no failure"),
        (b'{"id": <before>, "event": {}}', "line 2.*before too"),
        (b'{"id": <id>, "event": {"a": "' + b"x" * 200_000 + b'"}}', "line 2.*more than"),
    ],
)
def test_a_correction_that_cannot_be_is_named_by_its_line(settings, line, says):
    settings.GATEWAY_MAX_BODY_BYTES = 1000
    job, other = make_job([]), make_job([])
    before, row = failed(job, [event(0), event(1)])
    [others] = failed(other, [event(2)])
    for name, value in (("id", row), ("before", before), ("others", others)):
        line = line.replace(f"<{name}>".encode(), str(value.id).encode())
    content = corrections([{"id": before.id, "event": event(0)}])
    error = refusal(job, asked(), corrected=BytesIO(content.read() + line))
    assert (error.status, error.reason) == (400, "bad_correction")
    assert re.search(says, error.detail, re.IGNORECASE)


def test_a_correction_of_what_was_sent_again_names_the_job():
    job = make_job([])
    [row] = failed(job, [event(1)])
    new = retry_failed(job, asked())
    with pytest.raises(Refusal) as raised:
        retry_failed(job, asked(), corrected=corrections([{"id": row.id, "event": event(1)}]))
    assert str(new.id) in raised.value.detail


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_no_correction_is_no_job(content):
    job = make_job([])
    failed(job, [event(1)])
    assert refusal(job, asked(), corrected=BytesIO(content)).reason == "empty_input"


def test_a_cut_gzip_is_no_job():
    assert refusal(make_job([]), asked(), corrected=BytesIO(b"\x1f\x8bx")).reason == "broken_input"


def test_events_that_are_not_there_as_a_whole_stay():
    job = make_job([])
    failed(job, ["x" * EVENT_CHARACTERS], file="cut")
    failed(job, ['{"a":1'], file="huge", reason="body_too_large")
    assert refusal(job, asked()).reason == "events_cut"
    failed(job, [""], file="gone", reason="other")
    assert refusal(job, asked(), reason="other").reason == "events_gone"
    failed(job, ["y" * (EVENT_CHARACTERS + 1)], file="whole")
    new = retry_failed(job, asked())
    assert [len(line) for line in lines_of(new)] == [EVENT_CHARACTERS + 1]
    assert set(job.failures.filter(retried_by=None).values_list("file", flat=True)) == {"cut", "huge", "gone"}
    row = job.failures.get(file="huge")
    assert retry_failed(job, asked(), corrected=corrections([{"id": row.id, "event": event(1)}])).retry_of == job.id


def test_what_intake_cuts_is_found_to_be_cut(settings):
    settings.GATEWAY_MAX_BODY_BYTES = 5000
    job = run(make_job([], input=making.default_storage.save("in", BytesIO(b'{"userId":"%b"}' % (b"x" * 6000))), taken_in=False))
    assert job.faulty == 1
    assert refusal(job, asked()).reason == "events_cut"


def test_whose_job_it_is_not_may_not():
    job = make_job([])
    failed(job, [event(1)])
    assert refusal(job, asked(client="another")).status == 403
    new = retry_failed(job, asked(client=""))
    assert (new.client, new.actor) == (job.client, "anna")


def test_who_may_not_use_the_operation_any_more_may_not():
    job = make_job([])
    failed(job, [event(1)])
    nobody = Principal(job.client, "anna", "", frozenset({"retl"}), EVERYTHING)
    assert refusal(job, asked(principal=nobody)).reason == "operation_not_allowed"


def test_a_dry_run_has_nothing_to_send_again():
    job = make_job([], dry_run=True)
    failed(job, [event(1)])
    assert refusal(job, asked()).reason == "dry_run"
    assert refusal(make_job([]), asked(dry_run=True)).reason == "dry_run"


def test_a_reason_and_corrections_are_too_much():
    assert refusal(make_job([]), asked(), reason="x", corrected=BytesIO(b"{}")).reason == "bad_parameter"


def test_under_one_key_it_is_one_job():
    job = make_job([])
    rows = failed(job, [event(1), event(2)])
    first = retry_failed(job, asked(idempotency_key="k"))
    assert retry_failed(job, asked(idempotency_key="k")) == first
    for other in ({"reason": "missing_user"}, {"corrected": corrections([{"id": rows[0].id, "event": event(1)}])}):
        with pytest.raises(Refusal) as raised:
            retry_failed(job, asked(idempotency_key="k"), **other)
        assert raised.value.status == 422


@pytest.mark.parametrize("how", ["as they were", "corrected", "one key"])
def test_two_at_once_never_take_the_same_failure(how, monkeypatch):
    job = make_job([])
    rows = failed(job, [event(number) for number in range(40)])
    together, made = threading.Barrier(4), []
    taking = retrying._taking

    def at_once(*arguments):
        together.wait(10)
        return taking(*arguments)

    monkeypatch.setattr(retrying, "_taking", at_once)

    def ask(number):
        fixed = corrections([{"id": row.id, "event": event(0)} for row in rows[number:]]) if how == "corrected" else None
        try:
            made.append(retry_failed(job, asked(idempotency_key="k" if how == "one key" else None), corrected=fixed).id)
        except Refusal as error:
            assert error.reason == "taken_meanwhile"
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [new] = Job.objects.filter(retry_of=job.id)
    assert set(made) == {new.id}
    if how == "one key":
        assert retry_failed(job, asked(idempotency_key="k")) == new
    else:
        assert len(made) == 1
    taken = Counter(job.failures.values_list("retried_by", flat=True))
    assert taken[new.id] == len(lines_of(new))
    assert taken[None] == 40 - taken[new.id]
    assert new.format == Format.NDJSON


def test_marking_very_many_keeps_nobody_from_the_log(monkeypatch):
    monkeypatch.setattr(retrying, "_AT_A_TIME", 2)
    job = make_job([])
    failed(job, [event(number) for number in range(6)])
    between = []

    def others_turn(seconds):
        log.probe()
        between.append(job.failures.exclude(retried_by=None).count())
        sleep(seconds_to_write() / 2)

    monkeypatch.setattr(retrying, "sleep", others_turn)
    new = retry_failed(job, asked())
    assert between == [2, 4, 6]
    assert set(job.failures.values_list("retried_by", flat=True)) == {new.id}
    assert Action.objects.filter(verb="job_retried").count() == 1


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (Refusal(400, "bad_webhook", "no"), True),
        (OSError("disk"), True),
        (log.LogUnavailableError("OperationalError"), True),
        (log.LogUnavailableError("NoAnswerError", doubtful=True), False),
        (KeyboardInterrupt(), True),
    ],
)
def test_where_the_job_is_not_made_the_failures_are_free(monkeypatch, error, left):
    job = make_job([])
    failed(job, [event(1), event(2)])

    def fails(*_):
        assert not job.failures.filter(retried_by=None).exists()
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(retrying, "make", fails)
        with pytest.raises(type(error)):
            retry_failed(job, asked())
    assert job.failures.filter(retried_by=None).count() == (2 if left else 0)


def test_what_a_crash_left_taken_is_free_after_a_while(monkeypatch):
    job, made = make_job([]), make_job([], id=uuid.UUID(int=Call.lowest_id(timezone.now() - timedelta(days=1)).int + 1))
    rows = failed(job, [event(1), event(2), event(3)])
    dead, alive = (uuid.UUID(int=Call.lowest_id(timezone.now() - timedelta(minutes=ago)).int + 7) for ago in (11, 9))
    for row, taker in zip(rows, (dead, alive, made.id), strict=True):
        job.failures.filter(id=row.id).update(retried_by=taker)
    new = retry_failed(job, asked())
    assert list(job.failures.order_by("id").values_list("retried_by", flat=True)) == [new.id, alive, made.id]
    assert len(lines_of(new)) == 1


def test_pages_are_bounded(monkeypatch):
    monkeypatch.setattr(retrying, "_AT_A_TIME", 7)
    monkeypatch.setattr(retrying, "_PAGE_CHARACTERS", 300)
    job = make_job([])
    rows = failed(job, [event(number, n="x" * (number % 5) * 70) for number in range(50)])
    fixed = corrections([{"id": row.id, "event": row.event} for row in rows])
    assert [json.loads(line)["messageId"] for line in lines_of(retry_failed(job, asked()))] == [f"m-{number}" for number in range(50)]
    job.failures.update(retried_by=None)
    assert [json.loads(line)["messageId"] for line in lines_of(retry_failed(job, asked(), corrected=fixed))] == [
        f"m-{number}" for number in range(50)
    ]
