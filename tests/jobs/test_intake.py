"""Taking inputs in: what is sent, what is not, and that no way to interrupt it loses or doubles anything."""

import gzip
import json
import os
import subprocess
import sys

import pytest

from gateway.jobs import intake
from gateway.jobs.models import Segment
from gateway.operations import OPERATIONS
from tests.conftest import GOOD, MESSAGE
from tests.jobs.taking import WRITTEN, assert_consistent, events, failures, finish, places


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
