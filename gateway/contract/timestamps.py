"""`receivedAt` of an internal batch, as Go's time.Parse(time.RFC3339, …) reads it; more lenient than RFC 3339 in places."""

import re
from calendar import monthrange
from typing import Final

_SHAPE: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:[.,][0-9]+)?(Z|[+-]([0-9]{2}):([0-9]{2}))", re.ASCII
)
_PLAIN: Final = re.compile(
    r"20[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?Z", re.ASCII
)
ZERO: Final = re.compile(r"0001-01-01T0?0:00:00(?:[.,](?:0{1,9}|0{9}[0-9]+))?Z", re.ASCII)
"""Go's zero time, to the nanosecond, which RudderStack takes for "not there"."""


def is_time(text: str) -> bool:
    """Whether Go parses it: hour of one or two digits, fraction after a point or a comma, offset up to +24:60, real days only."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        return False
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    if not 1 <= month <= 12 or not 1 <= day <= _days(year, month) or hour > 23 or minute > 59 or second > 59:
        return False
    return match[7] == "Z" or (int(match[8]) <= 24 and int(match[9]) <= 60)


def is_plain_time(text: str) -> bool:
    """Whether it surely is a time and not the zero one: the quick way for the usual spelling."""
    return _PLAIN.fullmatch(text) is not None or (is_time(text) and ZERO.fullmatch(text) is None)


def _days(year: int, month: int) -> int:
    # Years repeat after 400; Python knows no year 0.
    return monthrange(year % 400 + 400, month)[1]
