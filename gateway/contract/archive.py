"""RudderStack's archive of events: gzipped files under PREFIX/SOURCE/gw/DATE/HOUR/INSTANCE/FROM_TO_WORKSPACE_UUID.json.gz."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

import msgspec

_PATH: Final = re.compile(
    r"(?:.*/)?(?P<source>[^/]+)/gw/\d{4}-\d{2}-\d{2}/\d{1,2}/[^/]+"
    r"/(?P<first>\d{1,15})_(?P<last>\d{1,15})_(?P<workspace>[^/]+)_[0-9A-Fa-f-]{36}\.json\.gz",
    re.ASCII | re.DOTALL,
)


@dataclass(frozen=True, slots=True, order=True)
class ArchiveFile:
    """One file. They sort by time, which their paths do not: an hour has no leading zero there.

    `first` and `last` are the times of its first and last event, in whole seconds since 1970; it can reach over an hour or a day.
    """

    first: int
    last: int
    path: str
    source: str
    workspace: str

    @classmethod
    def at(cls, path: str) -> "ArchiveFile | None":
        """The file that this path names; None where it is no path of an archive."""
        match = _PATH.fullmatch(path)
        if match is None:
            return None
        return cls(int(match["first"]), int(match["last"]), path, match["source"], match["workspace"])

    def may_hold(self, since: datetime | None, until: datetime | None) -> bool:
        """Whether events of [since, until) can be in it; None leaves that side open."""
        after = until is not None and self.first >= until.timestamp()
        before = since is not None and self.last + 1 <= since.timestamp()
        return not (after or before)


class _Line(msgspec.Struct, gc=False):
    payload: msgspec.Raw
    createdAt: Annotated[datetime, msgspec.Meta(tz=True)]  # noqa: N815 - the field's own name


_line: Final = msgspec.json.Decoder(_Line)


def read_line(line: bytes) -> tuple[datetime, bytes] | None:
    """When a line's event came to RudderStack, and the event, byte for byte; None where it is no line of an archive."""
    try:
        read = _line.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return read.createdAt, bytes(read.payload)
