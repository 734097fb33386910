"""RudderStack's archive: its paths, their order in time, and its lines."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from gateway.contract.archive import ArchiveFile, read_line

UUID = "0b1e6f2c-7d51-4d0c-9a51-3f6f0a6f3a11"
NAME = f"1767323045_1767326700_ws-1_{UUID}.json.gz"


def at(seconds):
    return datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize("prefix", ["", "p/", "a/b c/gw/", "s3://bucket/a/", "/var/archive/"])
def test_a_path_names_source_times_and_workspace(prefix):
    path = f"{prefix}src-1/gw/2026-01-02/3/host-1/{NAME}"
    assert ArchiveFile.at(path) == ArchiveFile(1767323045, 1767326700, path, "src-1", "ws-1")


def test_a_workspace_may_have_underscores():
    file = ArchiveFile.at(f"src/gw/2026-01-02/13/1/1_2_a_b_c_{UUID}.json.gz")
    assert (file.first, file.last, file.workspace) == (1, 2, "a_b_c")


@pytest.mark.parametrize(
    "path",
    [
        "",
        NAME,
        f"gw/2026-01-02/3/host/{NAME}",
        f"src/rt/2026-01-02/3/host/{NAME}",
        f"src/gw/2026-1-2/3/host/{NAME}",
        f"src/gw/2026-01-02/003/host/{NAME}",
        f"src/gw/2026-01-02/3/{NAME}",
        f"src/gw/2026-01-02/3/host/more/{NAME}",
        f"src/gw/2026-01-02/3/host/{NAME}.tmp",
        f"src/gw/2026-01-02/3/host/{NAME[:-3]}",
        f"src/gw/2026-01-02/3/host/-1_2_ws_{UUID}.json.gz",
        "src/gw/2026-01-02/3/host/1_2_ws_x.json.gz",
    ],
)
def test_any_other_path_is_none_of_an_archive(path):
    assert ArchiveFile.at(path) is None


def test_files_sort_by_time_and_not_by_the_text_of_their_hour():
    files = [ArchiveFile.at(f"src/gw/2026-01-02/{hour}/host/{hour * 3600}_{hour * 3600 + 5}_ws_{UUID}.json.gz") for hour in range(24)]
    shuffled = files[:]
    Random(1).shuffle(shuffled)
    assert sorted(shuffled) == files
    assert sorted(file.path for file in files) != [file.path for file in files]


@pytest.mark.parametrize(
    ("since", "until", "holds"),
    [
        (None, None, True),
        (100, 200, True),
        (150, 160, True),
        (50, 100, False),
        (50, 100.5, True),
        (200, 300, True),
        (200.9, 300, True),
        (201, 300, False),
        (None, 100, False),
        (201, None, False),
        (0, 1_000_000, True),
    ],
)
def test_a_file_holds_events_from_its_first_second_to_the_end_of_its_last(since, until, holds):
    file = ArchiveFile.at(f"src/gw/1970-01-01/0/host/100_200_ws_{UUID}.json.gz")
    assert file.may_hold(*(None if seconds is None else at(seconds) for seconds in (since, until))) is holds


def test_a_file_may_reach_over_days():
    file = ArchiveFile.at(f"src/gw/1970-01-01/23/host/86000_{86400 * 3}_ws_{UUID}.json.gz")
    assert file.may_hold(at(86400 * 2), at(86400 * 2 + 1))


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2026-01-02T03:04:05.123456Z", datetime(2026, 1, 2, 3, 4, 5, 123456, UTC)),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, 0, UTC)),
        ("2026-01-02T03:04:05.1Z", datetime(2026, 1, 2, 3, 4, 5, 100000, UTC)),
        ("2026-01-02T03:04:05.123456+01:00", datetime(2026, 1, 2, 2, 4, 5, 123456, UTC)),
    ],
)
def test_a_line_has_a_time_and_an_event(written, time):
    line = b'{"userId":"u","payload":{"b" : 1.50,\t"a":"\\u00e9\xff"},"createdAt":"%b","messageId":"m"}' % written.encode()
    at, event = read_line(line)
    assert (at - time, event) == (timedelta(0), b'{"b" : 1.50,\t"a":"\\u00e9\xff"}')


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"nonsense",
        b'{"payload":{}}',
        b'{"createdAt":"2026-01-02T03:04:05Z"}',
        b'{"payload":{},"createdAt":"2026-01-02T03:04:05"}',
        b'{"payload":{},"createdAt":"yesterday"}',
        b'{"payload":{},"createdAt":1767323045}',
        b'{"payload":' + b"[" * 100_000 + b"]" * 100_000 + b',"createdAt":"2026-01-02T03:04:05Z"}',
    ],
)
def test_what_is_no_line_of_an_archive(line):
    assert read_line(line) is None
