"""What a caller would like, by the header Prefer (RFC 7240)."""

import re
from typing import Final

RESPOND_ASYNC: Final = "respond-async"
_QUOTED: Final = r'"(?:[^"\\]|\\.)*+"'
_PREFERENCE: Final = re.compile(rf'(?:[^",]|{_QUOTED}|")+')
_EMPTY: Final = ("", '""')


def preferences(header: str) -> set[str]:
    """The names of the preferences that have no value, in lower case; parameters are ignored."""
    found = set()
    for one in _PREFERENCE.findall(header):
        name, _, value = one.partition(";")[0].partition("=")
        if value.strip() in _EMPTY:
            found.add(name.strip().lower())
    return found
