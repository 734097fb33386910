"""Taking inputs in: what is sent, what is not, and that no way to interrupt it loses or doubles anything."""

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from itertools import count
from time import monotonic

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gateway.audit.log import LogUnavailableError
from gateway.jobs import inputs, intake, segments
from gateway.jobs.formats import InputError
from gateway.jobs.inputs import InputUnreachableError
from gateway.jobs.intake import take_in
from gateway.jobs.lease import LeaseLostError
from gateway.jobs.models import Failure, Job, Segment
from gateway.operations import OPERATIONS
from tests.conftest import GOOD, MESSAGE
from tests.jobs.conftest import BUCKET, forget, hold

UUID = "0b1e6f2c-7d51-4d0c-9a51-3f6f0a6f3a11"


def finish(job):
    """Take all of it in, in one go."""
    assert take_in(hold(job), monotonic() + 60)
    job.refresh_from_db()
    assert job.taken_in
    return job


def events(job):
    return [event for segment in job.segments.order_by("number") for event in segments.read(segment)]


def failures(job):
    return [(failure.file, failure.line, failure.reason, failure.pointer) for failure in job.failures.order_by("file", "line")]


def places(job):
    return [segments.place(segment, event) for segment in job.segments.order_by("number") for event in range(segment.events)]


def assert_consistent(job):
    """The counters and the segments' rows say what is in the files."""
    rows = list(job.segments.order_by("number"))
    assert [row.number for row in rows] == list(range(len(rows)))
    first = 0
    for row in rows:
        assert row.first_event == first
        assert sum(len(event) + 1 for event in segments.read(row)) == row.bytes
        first += row.events
    assert (job.events, job.bytes) == (first, sum(row.bytes for row in rows))
    assert job.faulty == job.failures.count()
    assert job.lines == job.events + job.faulty


WRITTEN = {
    "ndjson": lambda lines: b"\n".join(lines),
    "array": lambda lines: b"[" + b",\n".join(lines) + b"]",
    "batch": lambda lines: b'{"batch": [' + b",".join(lines) + b"]}",
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("form", WRITTEN)
def test_events_are_taken_in_byte_for_byte(make_job, form, pack):
    lines = [b'{"userId" : "u-%d",\t"n":1.50, "t":"\\u00e9\xc3\xa9\xff", "messageId":"m-%d"}' % (number, number) for number in range(1000)]
    job = finish(make_job(pack(WRITTEN[form](lines)), form))
    assert events(job) == lines
    assert places(job) == [("", number) for number in range(1, 1001)]
    assert (job.lines, job.faulty, job.without_message_id) == (1000, 0, 0)
    assert_consistent(job)


ID = b'"messageId":"%b"'


@pytest.mark.parametrize(
    ("event", "sent"),
    [
        (b'{"userId":"u"}', b'{<id>,"userId":"u"}'),
        (b'{ "userId":"u"}', b'{<id>, "userId":"u"}'),
        (b'{"userId":"u","messageId":null}', b'{"userId":"u","messageId":<value>}'),
        (b'{"userId":"u","messageId" : ""}', b'{"userId":"u","messageId" : <value>}'),
        (b'{"messageId":" \\u200b","userId":"u"}', b'{"messageId":<value>,"userId":"u"}'),
        (b'{"messageId":17,"userId":"u"}', b'{"messageId":<value>,"userId":"u"}'),
        (b'{"messageId":{"a":[1]},"userId":"u"}', b'{"messageId":<value>,"userId":"u"}'),
        (b'{"message\\u0049d":"","userId":"u"}', b'{"message\\u0049d":<value>,"userId":"u"}'),
        (b'{"messageId":"","userId":"u","messageId":"m"}', b'{"messageId":<value>,"userId":"u","messageId":"m"}'),
        (b'{"MessageId":"m","userId":"u"}', b'{<id>,"MessageId":"m","userId":"u"}'),
        (b'{"userId":"u","a":{"messageId":"m"}}', b'{<id>,"userId":"u","a":{"messageId":"m"}}'),
        (b'{"userId":"\xff\xc3","messageId":""}', b'{"userId":"\xff\xc3","messageId":<value>}'),
    ],
)
@pytest.mark.parametrize("name", ["replay", "retl", "audiencelist"])
def test_an_event_without_an_id_gets_one(make_job, event, sent, name):
    job = finish(make_job(b"\n" + event, operation=name))
    value = job.message_id(2).encode()
    assert events(job) == [sent.replace(b"<id>", ID % value).replace(b"<value>", b'"%b"' % value)]
    assert job.without_message_id == 1


@pytest.mark.parametrize(
    "event",
    [
        b'{"userId":"u","messageId":"m"}',
        b'{"userId":"u","message\\u0049d":"m"}',
        b'{"userId":"u","messageId":"\xc3\xa9"}',
        b'{"messageId":"m","userId":"u","messageId":""}',
        b'{"messageId":"m","userId":"u","a":{"messageId":""}}',
    ],
)
def test_an_event_with_an_id_keeps_it(make_job, event):
    job = finish(make_job(event))
    assert (events(job), job.without_message_id) == ([event], 0)


@pytest.mark.parametrize("event", [b"{}", b"{ }", b"{\t}"])
def test_an_empty_event_gets_an_id(make_job, event):
    job = finish(make_job(event, operation="extract"))
    assert json.loads(events(job)[0]) == {"messageId": job.message_id(1)}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_operation_takes_its_events(make_job, operation):
    good = GOOD[operation.route]
    event = {"replay": lambda: good["batch"][0], "retl": lambda: good["batch"][0], "internalbatch": lambda: good[0]}.get(
        operation.name, lambda: good
    )()
    text = json.dumps(event).encode()
    job = finish(make_job(b"\n".join([text, b'{"no":"event"', text]), operation=operation.name))
    assert [json.loads(event).keys() - {"messageId"} for event in events(job)] == [event.keys() - {"messageId"}] * 2
    assert failures(job) == [("", 2, "invalid_json", "")]


def test_a_message_is_never_changed(make_job):
    blank = json.dumps({**MESSAGE, "payload": {**MESSAGE["payload"], "messageId": " "}}).encode()
    without = json.dumps({**MESSAGE, "payload": {**MESSAGE["payload"], "messageId": ""}}).encode()
    job = finish(make_job(b"\n".join([blank, without, json.dumps(MESSAGE).encode()]), operation="internalbatch"))
    assert events(job) == [blank, json.dumps(MESSAGE).encode()]
    assert failures(job) == [("", 2, "missing_field", "/payload/messageId")]
    assert job.without_message_id == 1


@pytest.mark.parametrize(
    ("line", "reason", "pointer"),
    [
        (b"nonsense", "invalid_json", ""),
        (b'{"userId":', "invalid_json", ""),
        (b'{"userId":"u"},{"userId":"v"}', "invalid_json", ""),
        (b'{"userId":"u"}],"x":[{"userId":"v"}', "invalid_json", ""),
        (b'{"userId":"u","x":[1', "invalid_json", ""),
        (b'2],"y":0}', "invalid_json", ""),
        (b'{"userId":"u","n":NaN}', "invalid_json", ""),
        (b"null", "not_an_event", ""),
        (b"[]", "not_an_event", ""),
        (b'[{"userId":"u"}]', "not_an_event", ""),
        (b'{"type":"track"}', "missing_user", ""),
        (b'{"userId":" "}', "missing_user", "/userId"),
        (b'{"userId":' + b"[" * 1200 + b"]" * 1200 + b"}", "too_deep", ""),
        (b'{"type":"track","a":[{"b":1e999}]}', "missing_user", ""),
        (b'{"a":[0,{"b":1e999}]}', "missing_user", ""),
    ],
)
def test_a_faulty_line_is_set_aside_and_the_others_are_taken(make_job, line, reason, pointer):
    good = [b'{"userId":"u","messageId":"m-%d"}' % number for number in range(60)]
    job = finish(make_job(b"\n".join([*good[:30], line, *good[30:]])))
    assert events(job) == good
    assert failures(job) == [("", 31, reason, pointer)]
    assert places(job) == [("", number) for number in range(1, 62) if number != 31]
    failure = job.failures.get()
    assert failure.event == line.decode()
    assert failure.detail
    assert_consistent(job)


@pytest.mark.parametrize("line", [b"12", b"null", b'"text"', b"[]"])
def test_what_is_no_object_is_no_extract(make_job, line):
    job = finish(make_job(line, operation="extract"))
    assert failures(job) == [("", 1, "not_an_event", "")]


def test_lines_that_make_sense_only_together_do_not_pass_for_events(make_job):
    job = finish(make_job(b'{"userId":"u","messageId":"a","x":[1\n2]}\n{"userId":"u","messageId":"b"},{"userId":"u","messageId":"c"}'))
    assert (job.events, job.faulty) == (0, 3)


def test_a_faulty_number_is_found_where_the_line_is_looked_at(make_job):
    job = finish(make_job(b'{"userId":"u","messageId":"m","a":[0,{"b":1e999}]}', dry_run=True))
    assert failures(job) == [("", 1, "number_overflow", "/a/1/b")]


def test_line_ends_within_an_element_become_spaces(make_job):
    content = json.dumps([{"userId": "u\n", "a": [1, {}]}, {"userId": "v", "messageId": "m"}], indent=1).encode()
    job = finish(make_job(content, "array"))
    assert len(events(job)) == 2
    assert events(job)[1] == b'{   "userId": "v",   "messageId": "m"  }'
    assert [json.loads(event)["userId"] for event in events(job)] == ["u\n", "v"]
    assert not any(b"\n" in event for event in events(job))


def test_an_element_with_a_line_end_in_a_string_is_faulty(make_job):
    job = finish(make_job(b'[{"userId":"u\nv","messageId":"m"}]', "array"))
    assert failures(job) == [("", 1, "invalid_json", "")]


def test_a_huge_line_is_one_failure(make_job, settings):
    settings.GATEWAY_MAX_BODY_BYTES = 5000
    good = b'{"userId":"u","messageId":"m"}'
    job = finish(make_job(b"\n".join([good, b'{"userId":"%b"}' % (b"x" * 3_000_000), good])))
    assert events(job) == [good, good]
    assert failures(job) == [("", 2, "body_too_large", "")]
    assert len(job.failures.get().event) == 5001


def test_an_event_beyond_rudderstacks_limit_is_one_failure(make_job):
    job = finish(make_job(b'{"userId":"u","messageId":"m","t":"%b"}' % (b"x" * 4_100_000)))
    assert failures(job) == [("", 1, "too_large", "")]
    assert len(job.failures.get().event) == intake.EVENT_CHARACTERS


def test_what_the_log_cannot_store_is_made_storable(make_job):
    job = finish(make_job(b'{"a":"\0\xff"}\r\n'))
    assert job.failures.get().event == '{"a":"\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"}'


@pytest.mark.parametrize("content", [b"", b"\n\r\n \n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)])
def test_an_empty_input_is_taken_in(make_job, content):
    job = finish(make_job(content))
    assert (job.lines, job.segments.count(), job.failures.count()) == (0, 0, 0)


def test_a_dry_run_keeps_counters_and_failures_alone(make_job, storage):
    job = finish(make_job(b'{"userId":"u"}\n{}\n{"userId":"u","messageId":"m"}', dry_run=True))
    assert (job.lines, job.events, job.faulty, job.without_message_id) == (3, 2, 1, 1)
    assert failures(job) == [("", 2, "missing_user", "")]
    assert not Segment.objects.exists()
    assert not (storage / str(job.id)).exists()


def test_segments_are_bounded_and_follow_one_another(make_job, monkeypatch):
    monkeypatch.setattr(intake, "SEGMENT_EVENTS", 50)
    monkeypatch.setattr(intake, "BLOCK_LINES", 10)
    job = finish(make_job(b"".join(b'{"userId":"u","messageId":"%d"}\n' % number for number in range(125))))
    assert [segment.events for segment in job.segments.order_by("number")] == [50, 50, 25]
    monkeypatch.setattr(intake, "SEGMENT_BYTES", 1000)
    job = finish(make_job(b"".join(b'{"userId":"u","messageId":"%d"}\n' % number for number in range(125))))
    assert all(1000 <= segment.bytes <= 1400 for segment in job.segments.order_by("-number")[1:])
    assert_consistent(job)


# Interruptions


KINDS = {
    "good": lambda number: b'{"userId":"u","messageId":"m-%d"}' % number,
    "another": lambda number: b'{"messageId":"m-%d","userId":"u","t":"%b"}' % (number, b"x" * number),
    "without": lambda number: b'{"userId":"u","n":%d}' % number,
    "null": lambda number: b'{"userId":"u","messageId":null,"n":%d}' % number,
    "faulty": lambda number: b'{"type":"track"}',
    "broken": lambda number: b'{"userId":}',
    "blank": lambda number: b"",
}


def expected(job, lines, by_line):
    """Events, and lines and reasons of failures, worked out line by line."""
    sent, failed = [], []
    for number, (kind, line) in enumerate(lines, 1):
        if kind == "without":
            sent.append(b'{"messageId":"%b",%b' % (job.message_id(number).encode(), line[1:]))
        elif kind == "null":
            sent.append(line.replace(b"null", b'"%b"' % job.message_id(number).encode()))
        elif kind in ("good", "another"):
            sent.append(line)
        elif kind == "faulty":
            failed.append((number, "missing_user"))
        elif kind == "broken" or not by_line:
            failed.append((number, "invalid_json"))
    return sent, failed


@given(
    st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=40),
    st.sampled_from(["ndjson", "array", "batch"]),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=30),
    st.tuples(st.integers(1, 7), st.integers(1, 5)),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_it_is_interrupted_it_is_as_in_one_go(make_job, kinds, form, packed, stops, sizes):
    assume(form == "ndjson" or kinds != ["blank"])  # nothing within brackets is no element
    lines = [(kind, KINDS[kind](number)) for number, kind in enumerate(kinds)]
    content = WRITTEN[form]([line for _, line in lines])
    job = make_job(gzip.compress(content, mtime=0) if packed else content, form)
    clock = count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake, "SEGMENT_EVENTS", sizes[0])
        patch.setattr(intake, "BLOCK_LINES", sizes[1])
        patch.setattr(intake, "monotonic", clock.__next__)
        done = False
        for steps, restarted in stops:
            if restarted:
                forget()
            done = take_in(hold(job), next(clock) + steps + 100 * restarted)
            job.refresh_from_db()
            assert job.taken_in is done
            assert_consistent(job)
        if not done:
            assert take_in(hold(job), next(clock) + 10_000)
    job.refresh_from_db()
    sent, failed = expected(job, lines, form == "ndjson")
    assert events(job) == sent
    assert [(line, reason) for _, line, reason, _ in failures(job)] == failed
    assert [line for _, line in places(job)] == [number for number, (kind, _) in enumerate(lines, 1) if kind not in ("faulty", "broken", "blank")]
    assert job.without_message_id == sum(kind in ("without", "null") for kind, _ in lines)
    assert_consistent(job)
    assert take_in(hold(job), 0)


def test_the_multiset_of_ids_is_the_inputs(make_job, monkeypatch):
    monkeypatch.setattr(intake, "SEGMENT_EVENTS", 700)
    ids = [f"m-{number % 1500}" for number in range(4000)]
    job = make_job(b"".join(b'{"userId":"u","messageId":"%b"}\n' % id_.encode() for id_ in ids))
    while not take_in(hold(job), monotonic()):
        pass
    assert Counter(json.loads(event)["messageId"] for event in events(job)) == Counter(ids)


class Crash(BaseException):
    pass


def _many(job_lines=1000):
    return b"".join(b'{"userId":"u","messageId":"%d"}\n' % number if number % 10 else b"{}\n" for number in range(job_lines))


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_crash_between_storage_and_commit_loses_and_doubles_nothing(make_job, storage, monkeypatch, after):
    monkeypatch.setattr(intake, "SEGMENT_EVENTS", 300)
    monkeypatch.setattr(intake, "BLOCK_LINES", 50)
    job = make_job(_many())
    with monkeypatch.context() as patch:

        def write(job, number, *rest, write=segments.write):
            segment = write(job, number, *rest)
            if number == after:
                raise Crash
            return segment

        patch.setattr(segments, "write", write)
        with pytest.raises(Crash):
            take_in(hold(job), monotonic() + 60)
    job.refresh_from_db()
    assert job.segments.count() == after
    assert_consistent(job)
    finish(job)
    assert [json.loads(event)["messageId"] for event in events(job)] == [str(number) for number in range(1000) if number % 10]
    assert job.failures.count() == 100
    assert_consistent(job)
    assert len(os.listdir(storage / str(job.id))) == job.segments.count() + 1
    segments.remove_all(job)
    assert not (storage / str(job.id)).exists()


def test_a_crash_within_the_commit_leaves_nothing_of_it(make_job, monkeypatch):
    job = make_job(_many())
    with monkeypatch.context() as patch:
        patch.setattr(Failure.objects, "bulk_create", lambda *args, **kwargs: (_ for _ in ()).throw(Crash))
        with pytest.raises(Crash):
            take_in(hold(job), monotonic() + 60)
    job.refresh_from_db()
    assert (job.lines, job.segments.count(), job.failures.count(), job.intake_place) == (0, 0, 0, "")
    assert_consistent(finish(job))
    assert job.lines == 1000


def test_whoever_lost_the_lease_writes_nothing(make_job, monkeypatch):
    monkeypatch.setattr(intake, "SEGMENT_EVENTS", 300)
    job = make_job(_many())
    first = hold(job)
    assert not take_in(first, monotonic())
    before = Job.objects.get(id=job.id)
    second = hold(Job.objects.get(id=job.id))
    with pytest.raises(LeaseLostError):
        take_in(first, monotonic() + 60)
    job.refresh_from_db()
    assert (job.intake_place, job.lines, job.segments.count()) == (before.intake_place, before.lines, 1)
    assert take_in(second, monotonic() + 60)
    job.refresh_from_db()
    assert (job.lines, job.events) == (1000, 900)
    assert_consistent(job)


def test_a_commit_that_is_repeated_does_not_double(make_job):
    """As after an answer of the database that was lost: the row in hand is older than the one in the database."""
    job = make_job(_many())
    lease = hold(job)
    stale = Job.objects.get(id=job.id)
    assert not take_in(lease, monotonic())
    lease.job = stale
    with pytest.raises(LogUnavailableError):
        take_in(lease, monotonic() + 60)
    lease.reload()
    assert take_in(lease, monotonic() + 60)
    job.refresh_from_db()
    assert job.lines == 1000
    assert_consistent(job)


# Inputs that end too early


def test_a_broken_input_is_taken_in_up_to_the_break(make_job):
    for content, form in [(gzip.compress(_many(), 0, mtime=0)[:-20], "ndjson"), (b'[{"userId":"u"},{"userId":"u"}', "array")]:
        job = make_job(content, form)
        for _ in range(2):
            with pytest.raises(InputError, match="after (line|element)") as raised:
                take_in(hold(job), monotonic() + 60)
            assert raised.value.reason == "broken_input"
            job.refresh_from_db()
            assert (job.lines > 0, job.taken_in) == (True, False)
            assert_consistent(job)


def test_an_input_that_is_not_there(make_job, storage, tmp_path):
    for job in (make_job("nowhere"), make_job(str(tmp_path / "nowhere"), "archive")):
        with pytest.raises(InputError) as raised:
            take_in(hold(job), monotonic() + 60)
        assert raised.value.reason == "input_missing"


def test_an_input_that_became_shorter(make_job, storage):
    job = make_job(_many())
    assert not take_in(hold(job), monotonic())
    forget()
    (storage / job.input).write_bytes(b"{}\n")
    with pytest.raises(InputError) as raised:
        take_in(hold(job), monotonic() + 60)
    assert raised.value.reason == "input_changed"


# Archives


def archived(number, seconds, **fields):
    payload = {"userId": "u", "messageId": f"m-{number}", **fields}
    created = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    line = {"userId": "u", "payload": payload, "createdAt": created, "messageId": f"m-{number}"}
    return json.dumps(line).encode()


DAY = int(datetime(2026, 1, 2, tzinfo=UTC).timestamp())


def path_of(first, last, instance="1"):
    at = datetime.fromtimestamp(first, UTC)
    return f"src-1/gw/{at:%Y-%m-%d}/{at.hour}/{instance}/{int(first)}_{int(last)}_ws-1_{UUID}.json.gz"


def archive(times, instance="1"):
    """A file of events at these times, and its path."""
    return path_of(min(times), max(times), instance), gzip.compress(
        b"\n".join(archived(f"{instance}-{time - DAY}", time) for time in times) + b"\n", mtime=0
    )


FILES = dict(
    [
        *(archive([DAY + hour * 3600 + minute * 60 for minute in range(0, 60, 10)]) for hour in range(24)),
        # Overlapping ones of another instance, one over midnight.
        archive([DAY - 7200, DAY + 30, DAY + 7300], "2"),
        archive([DAY + 86_000, DAY + 86_400.5, DAY + 90_000], "2"),
    ]
)


@pytest.fixture(params=["directory", "S3"])
def address(request, tmp_path):
    """An archive, with some files in it that are none of it."""
    files = {**FILES, "src-1/gw/notes.txt": b"not one of them", "src-1/rt/x.json.gz": b"nor this"}
    if request.param == "S3":
        client = request.getfixturevalue("s3")
        for path, content in files.items():
            client.put_object(Bucket=BUCKET, Key=f"a/prefix/{path}", Body=content)
        return f"s3://{BUCKET}/a/prefix"
    for path, content in files.items():
        (tmp_path / "archive" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "archive" / path).write_bytes(content)
    return str(tmp_path / "archive")


def in_range(since, until):
    """What is to be sent, in the order of files: payloads."""
    found = []
    for path in sorted(FILES, key=lambda path: [int(part) for part in path.split("/")[-1].split("_")[:2]]):
        for line in gzip.decompress(FILES[path]).splitlines():
            read = json.loads(line)
            at = datetime.fromisoformat(read["createdAt"]).timestamp()
            if (since is None or since <= at) and (until is None or at < until):
                found.append(read["payload"]["messageId"])
    return found


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (None, None),
        (DAY, DAY + 86_400),
        (DAY + 9 * 3600, DAY + 11 * 3600),
        (DAY + 86_400.5, None),
        (None, DAY),
        (DAY + 600, DAY + 600.000001),
        (0, 1),
    ],
)
@pytest.mark.parametrize("end", ["", "/", "/src-1/gw"])
def test_an_archive_is_taken_in_order_of_time(make_job, address, since, until, end):
    times = {name: None if seconds is None else datetime.fromtimestamp(seconds, UTC) for name, seconds in (("since", since), ("until", until))}
    job = finish(make_job(address + end, "archive", **times))
    assert [json.loads(event)["messageId"] for event in events(job)] == in_range(since, until)
    assert job.lines == job.events
    assert_consistent(job)


def test_an_archive_interrupted_after_every_block(make_job, address, monkeypatch):
    monkeypatch.setattr(intake, "BLOCK_LINES", 4)
    job = make_job(address, "archive", since=datetime.fromtimestamp(DAY + 3600, UTC))
    calls = 0
    while not take_in(hold(job), monotonic()):
        calls += 1
        if calls % 3:
            forget()
        job.refresh_from_db()
        assert_consistent(job)
    job.refresh_from_db()
    assert [json.loads(event)["messageId"] for event in events(job)] == in_range(DAY + 3600, None)
    assert {file for file, _ in places(job)} <= set(FILES)


def test_events_of_an_archive_are_sent_as_they_are(make_job, tmp_path):
    path = tmp_path / path_of(DAY, DAY)
    path.parent.mkdir(parents=True)
    lines = [
        b'{"userId":"u","payload": {"userId" : "u", "messageId":"a\\u0062"} ,"createdAt":"2026-01-02T00:00:00Z","messageId":"x"}',
        b"nonsense",
        b'{"payload":{"userId":"u"},"createdAt":"2026-01-02T00:00:00Z"}',
        b'{"payload":{"type":"track"},"createdAt":"2026-01-02T00:00:00Z"}',
    ]
    path.write_bytes(gzip.compress(b"\n".join(lines), mtime=0))
    second = tmp_path / path_of(DAY + 5, DAY + 5)
    second.write_bytes(gzip.compress(b"\n\n" + lines[2], mtime=0))
    job = finish(make_job(str(tmp_path), "archive"))
    first, *others = events(job)
    assert first == b'{"userId" : "u", "messageId":"a\\u0062"}'
    ids = [json.loads(event)["messageId"] for event in others]
    assert len(set(ids)) == 2
    file = path_of(DAY, DAY)
    assert failures(job) == [(file, 2, "not_archived", ""), (file, 4, "missing_user", "")]
    assert places(job) == [(file, 1), (file, 3), (path_of(DAY + 5, DAY + 5), 3)]
    assert job.failures.get(line=4).event == '{"type":"track"}'


def test_a_broken_file_of_an_archive_is_named(make_job, tmp_path):
    path = tmp_path / path_of(DAY, DAY)
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(archived(1, DAY) + b"\n", mtime=0)[:-4])
    job = make_job(str(tmp_path), "archive")
    with pytest.raises(InputError, match=f"^{path_of(DAY, DAY)}: The gzip is cut, after line 1.$"):
        take_in(hold(job), monotonic() + 60)
    job.refresh_from_db()
    assert job.events == 1


def test_an_upload_may_lie_in_s3(make_job, s3):
    s3.put_object(Bucket=BUCKET, Key="in.ndjson.gz", Body=gzip.compress(b'{"userId":"u","messageId":"m"}', mtime=0))
    assert events(finish(make_job(f"s3://{BUCKET}/in.ndjson.gz"))) == [b'{"userId":"u","messageId":"m"}']
    for address, form in [(f"s3://{BUCKET}/other", "ndjson"), ("s3://no-such-bucket/a", "archive")]:
        with pytest.raises(InputError):
            take_in(hold(make_job(address, form)), monotonic() + 60)


def test_an_s3_that_does_not_answer_is_tried_again_later(make_job, s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    inputs._s3.cache_clear()
    for form in ("archive", "ndjson"):
        with pytest.raises(InputUnreachableError):
            take_in(hold(make_job(f"s3://{BUCKET}/in", form)), monotonic() + 60)


MEMORY = """
import gzip, os, re, sys
from time import monotonic
import django
django.setup()
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone
call_command("migrate", verbosity=0)
from gateway.jobs.intake import take_in
from gateway.jobs.lease import claim
from gateway.jobs.models import Job
form, packed = sys.argv[1], sys.argv[2] == "gzip"
event = b'{"userId":"u","n":%d,"t":"' + b"x" * 950 + b'"}'
os.makedirs(settings.MEDIA_ROOT)
with (gzip.open if packed else open)(os.path.join(settings.MEDIA_ROOT, "in"), "wb") as file:
    file.write({"ndjson": b"", "array": b"["}[form])
    for number in range(100_000):
        file.write({"ndjson": b"\\n", "array": b","}[form] * (number > 0) + event % number)
    file.write({"ndjson": b"", "array": b"]"}[form])
now = timezone.now()
job = Job.objects.create(operation="replay", client="c", actor="a", channel="rest", request_id="r", format=form, input="in", due_at=now, created_at=now)
lease = claim()
while not take_in(lease, monotonic() + 1):
    pass
job.refresh_from_db()
assert job.events == 100_000
print(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
"""


@pytest.mark.parametrize(("form", "packing"), [("ndjson", "gzip"), ("array", "plain")])
def test_a_hundred_megabytes_need_no_more_memory(tmp_path, form, packing):
    environment = {**os.environ, "GATEWAY_VAR": str(tmp_path), "PYTHONPATH": os.getcwd(), "DATABASE_URL": f"sqlite:///{tmp_path}/jobs.sqlite3"}
    done = subprocess.run([sys.executable, "-c", MEMORY, form, packing], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200 * 1024
