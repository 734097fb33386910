"""Taking in, interrupted wherever it can be, or of an input that ends too early: nothing is lost and nothing doubled."""

import gzip
import json
import os
from collections import Counter
from itertools import count
from time import monotonic

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gateway.audit.log import LogUnavailableError
from gateway.jobs import intake, segments
from gateway.jobs.formats import InputError
from gateway.jobs.intake import take_in
from gateway.jobs.lease import LeaseLostError
from gateway.jobs.models import Failure, Job
from tests.jobs.conftest import forget, hold
from tests.jobs.taking import WRITTEN, assert_consistent, events, failures, finish, places

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
