"""Taking in RudderStack's archive, from a directory and from S3."""

import gzip
import json
import os
from datetime import UTC, datetime
from time import monotonic

import pytest

from gateway.jobs import inputs, intake
from gateway.jobs.formats import InputError
from gateway.jobs.inputs import InputUnreachableError
from gateway.jobs.intake import take_in
from tests.jobs.conftest import BUCKET, forget, hold
from tests.jobs.taking import UUID, assert_consistent, events, failures, finish, places


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


@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_a_broken_file_of_an_archive_is_a_failure_and_the_others_are_taken_in(make_job, tmp_path, parts):
    for at in (DAY, DAY + 5, DAY + 9):
        path = tmp_path / path_of(at, at)
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = gzip.compress(archived(at, at) + b"\n", mtime=0)
        path.write_bytes(whole[:-4] if at == DAY + 5 else whole)
    job = make_job(str(tmp_path), "archive")
    for _ in range(1, parts):  # a block each, then the rest after a restart
        assert not take_in(hold(job), 0)
    forget()
    assert take_in(hold(job), monotonic() + 60)
    job.refresh_from_db()
    assert (job.taken_in, job.events, job.faulty) == (True, 3, 1)
    failure = job.failures.get()
    assert (failure.file, failure.line, failure.reason) == (path_of(DAY + 5, DAY + 5), 2, "broken_input")
    assert failure.detail == "The gzip is cut, after line 1. The rest of it was left out: send that by itself."


def test_a_file_of_an_archive_that_goes_meanwhile_is_a_failure(make_job, tmp_path):
    for at in (DAY, DAY + 5):
        path = tmp_path / path_of(at, at)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(archived(at, at) + b"\n", mtime=0))
    job = make_job(str(tmp_path), "archive")
    assert not take_in(hold(job), 0)
    path.unlink()
    assert take_in(hold(job), monotonic() + 60)
    job.refresh_from_db()
    assert [(failure.file, failure.reason) for failure in job.failures.all()] == [(path_of(DAY + 5, DAY + 5), "input_missing")]
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


def test_a_file_whose_name_is_no_text_ends_the_job_and_is_named(make_job, tmp_path):
    path, content = archive([DAY])
    path = os.fsencode(tmp_path / "archive" / path.replace("/1/", "/1\udcff/"))
    os.makedirs(os.path.dirname(path))
    with open(path, "wb") as file:
        file.write(content)
    job = make_job(str(tmp_path / "archive"), "archive")
    with pytest.raises(InputError, match="^src-1/gw/2026-01-02/0/1\N{REPLACEMENT CHARACTER}/.* is not UTF-8") as error:
        take_in(hold(job), monotonic() + 60)
    assert error.value.reason == "bad_file_name"
