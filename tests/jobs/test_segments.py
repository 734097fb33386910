"""The files that segments are."""

import os
import resource
from hashlib import sha256

import pytest
from django.core.files.storage import default_storage

from gateway.jobs import segments
from tests.jobs.conftest import OBJECTS

EVENTS = [b'{"a":1}', b'{"b":"\xff"}', b'{"c":"%b"}' % (b"x" * 1_000_000), b"{}"]
PLACES = [(0, "a", 7), (2, "b", 1)]


@pytest.fixture(params=["file system", "S3"])
def job(request, make_job, settings):
    """A job, with a storage that is on this machine and with one that is not."""
    job = make_job("nowhere")
    if request.param == "S3":
        request.getfixturevalue("s3")
        settings.STORAGES = {**settings.STORAGES, "default": OBJECTS}
    return job


def written(job, number=0, events=EVENTS):
    segment = segments.write(job, number, 0, events, PLACES)
    segment.save()
    return segment


def test_what_is_written_is_read_from_any_event_on(job):
    segment = written(job)
    assert list(segments.read(segment)) == EVENTS
    offset = 0
    for index, event in enumerate(EVENTS):
        assert list(segments.read(segment, offset)) == EVENTS[index:]
        offset += len(event) + 1
    assert list(segments.read(segment, offset)) == []
    assert (segment.bytes, segment.events) == (offset, len(EVENTS))


def test_the_row_tells_of_the_file(job):
    segment = written(job, number=12)
    with default_storage.open(segment.path) as file:
        assert sha256(file.read()).hexdigest() == segment.sha256
    assert segment.path.startswith(f"{job.id}/12.")
    assert segment.path.endswith(".ndjson")


def test_two_writers_of_a_segment_do_not_disturb_each_other(job):
    one = segments.write(job, 0, 0, [b"1"], PLACES)
    two = segments.write(job, 0, 0, [b"2"], PLACES)
    assert (list(segments.read(one)), list(segments.read(two))) == ([b"1"], [b"2"])


def test_an_event_has_the_place_it_came_from(job):
    segment = written(job)
    assert [segments.place(segment, event) for event in range(4)] == [("a", 7), ("a", 8), ("b", 1), ("b", 2)]


def test_what_is_removed_is_gone(job):
    segment, other = written(job), written(job, 1)
    path = segment.path
    for _ in range(2):
        segments.remove(segment)
        segment.refresh_from_db()
        assert segment.path is None
    assert not default_storage.exists(path)
    with pytest.raises(FileNotFoundError):
        list(segments.read(segment))
    assert list(segments.read(other)) == EVENTS


def test_all_is_removed_with_what_no_row_names(job):
    segment = written(job)
    orphan = segments.write(job, 1, 4, EVENTS, PLACES)
    for _ in range(2):
        segments.remove_all(job)
        segment.refresh_from_db()
        assert segment.path is None
    assert not default_storage.exists(orphan.path)


def test_the_files_are_their_owners_alone(make_job, storage):
    segment = written(make_job("nowhere"))
    assert os.stat(storage / segment.path).st_mode & 0o777 == 0o600
    assert os.stat(storage / segment.path).st_size == segment.bytes
    assert os.stat(storage / os.path.dirname(segment.path)).st_mode & 0o777 == 0o700


def test_a_segment_that_cannot_be_written_whole_leaves_no_file(make_job, storage):
    job = make_job("nowhere")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            segments.write(job, 0, 0, EVENTS, PLACES)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path for path in storage.rglob("*") if path.is_file()] == []
