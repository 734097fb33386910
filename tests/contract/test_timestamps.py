"""receivedAt as Go's time.Parse(RFC3339) reads it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract.timestamps import ZERO, is_plain_time, is_time


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.678901Z",
        "2026-01-02T3:04:05Z",
        "2026-01-02T03:04:05,5Z",
        "2026-01-02T03:04:05." + "1" * 40 + "Z",
        "2026-01-02T03:04:05+02:00",
        "2026-01-02T03:04:05-00:00",
        "2026-01-02T03:04:05+24:60",
        "2026-01-02T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2024-02-29T00:00:00Z",
        "2000-02-29T00:00:00Z",
        "0000-02-29T00:00:00Z",
        "0001-01-01T00:00:00Z",
    ],
)
def test_is_a_time(text):
    assert is_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-02",
        "2026-01-02 03:04:05Z",
        "2026-01-02t03:04:05Z",
        "2026-01-02T03:04:05z",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04Z",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05+0200",
        "2026-01-02T03:04:05+25:00",
        "2026-01-02T03:04:05+02:61",
        "2026-01-02T24:00:00Z",
        "2026-01-02T03:60:05Z",
        "2026-01-02T03:04:60Z",
        "2026-01-02T03:4:05Z",
        "2026-1-02T03:04:05Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2025-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "12026-01-02T03:04:05Z",
        "-001-01-02T03:04:05Z",
        " 2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05Z\n",
        "٢٠٢٦-01-02T03:04:05Z",
    ],
)
def test_is_no_time(text):
    assert not is_time(text)
    assert not is_plain_time(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "0001-01-01T0:00:00Z", "0001-01-01T00:00:00.000Z", "0001-01-01T00:00:00.0000000009Z"])
def test_the_zero_time_in_utc_counts_as_not_there(text):
    assert is_time(text)
    assert ZERO.fullmatch(text)
    assert not is_plain_time(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+00:00", "0001-01-01T00:00:01Z", "0001-01-01T00:00:00.000000001Z", "0001-01-02T00:00:00Z"])
def test_is_near_the_zero_time_but_not_it(text):
    assert is_plain_time(text)


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from(["auto", "seconds", "milliseconds", "microseconds"]))
@settings(max_examples=200, deadline=None)
def test_every_real_moment_is_a_time(moment, timespec):
    text = moment.isoformat(timespec=timespec)
    assert is_time(text)
    assert is_time(text.replace("+00:00", "Z"))


@given(st.from_regex(r"\A20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z"))
@settings(max_examples=200, deadline=None)
def test_agrees_with_datetime_on_the_usual_shape(text):
    try:
        datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
        real = not text.endswith((":60Z", ":61Z"))  # strptime knows leap seconds
    except ValueError:
        real = False
    assert is_time(text) == is_plain_time(text) == real
