"""The sample archive is one by RudderStack's rules: the gateway reads all of it, in order."""

import gzip
import json
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from gateway.contract.archive import ArchiveFile, read_line
from gateway.contract.body import Body
from gateway.operations import OPERATIONS
from gateway.sandbox.archive import write

SINCE, UNTIL = datetime(2026, 1, 2, 22, tzinfo=UTC), datetime(2026, 1, 3, 3, tzinfo=UTC)


@pytest.fixture
def files(tmp_path):
    return write(tmp_path, "src-1", SINCE, UNTIL, 5000)


def test_every_event_is_there_once_and_in_order(files):
    events = []
    for file in files:
        named = ArchiveFile.at(str(file))
        rows = [read_line(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
        assert (named.first, named.last) == (int(rows[0][0].timestamp()), int(rows[-1][0].timestamp()))
        events += rows
    assert [json.loads(event)["messageId"] for _, event in events] == [f"sample-{number}" for number in range(5000)]
    assert all(one[0] < other[0] for one, other in pairwise(events))
    assert events[0][0] == SINCE and events[-1][0] < UNTIL
    assert Body.of(b'{"batch":[%s]}' % b",".join(event for _, event in events)).exact(OPERATIONS["replay"]).accepted


def test_it_has_what_makes_real_ones_hard(files):
    hours = [file.parts[-3] for file in files]
    assert "1" in hours and sorted(hours) != hours
    assert any(int(last.name.split("_")[1]) // 3600 > int(last.name.split("_")[0]) // 3600 for last in files)


def test_the_command_says_what_to_replay(tmp_path, capsys):
    call_command("write_sample_archive", str(tmp_path / "new"), "--events", "100", "--hours", "1")
    said = capsys.readouterr().out
    assert said.startswith("100 events from 20") and "3 files" in said


@pytest.mark.parametrize(
    ("options", "cure"),
    [
        (["--events", "0"], "--events must be between 1 and"),
        (["--hours", "0"], "--hours must be between 1 and"),
        (["--source", "a/b"], "--source must be an id without slashes"),
        (["--source", ""], "--source must be an id without slashes"),
    ],
)
def test_bad_options_are_told(tmp_path, options, cure):
    with pytest.raises(CommandError, match=cure):
        call_command("write_sample_archive", str(tmp_path / "new"), *options)


def test_nothing_is_written_among_other_files(tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(CommandError, match="is not empty: name a new folder"):
        call_command("write_sample_archive", str(tmp_path))


@pytest.mark.parametrize("name", ["file", "file/new"])
def test_a_folder_that_cannot_be_made_is_told(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match="Not a directory"):
        call_command("write_sample_archive", str(tmp_path / name))
