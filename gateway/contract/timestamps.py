"""`receivedAt` of an internal batch, as Go's time.Parse(time.RFC3339, …) reads it; more lenient than RFC 3339 in places."""

import re
from calendar import isleap
from typing import Final

_SHAPE: Final = re.compile(
    r"([0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T(?:[01]?[0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.,][0-9]+)?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-4]):(?:[0-5][0-9]|60))",
    re.ASCII,
)
_LAST_DAYS: Final = {"02": "28", "04": "30", "06": "30", "09": "30", "11": "30"}
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
    year, month, day = match.groups()
    return day <= _LAST_DAYS.get(month, "31") or (month == "02" and day == "29" and isleap(int(year)))


def is_plain_time(text: str) -> bool:
    """Whether it surely is a time and not the zero one: the quick way for the usual spelling."""
    return _PLAIN.fullmatch(text) is not None or (is_time(text) and ZERO.fullmatch(text) is None)
