"""Jobs taken in, and what came of it."""

from time import monotonic

from gateway.jobs import segments
from gateway.jobs.intake import take_in
from tests.jobs.conftest import hold

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
