"""An archive as RudderStack writes it, of made-up events: something to replay."""

import gzip
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

FILE_SPAN: Final = timedelta(minutes=25)
"""Of one file; so some reach over the hour, as the real ones do."""
_INSTANCE: Final = "sandbox-1"
_WORKSPACE: Final = "ws-1"


def write(folder: Path, source: str, since: datetime, until: datetime, events: int) -> list[Path]:
    """Write so many events, evenly spread over [since, until), as gzipped files under folder/SOURCE/gw. Returns the files, in order of time.

    Raises OSError.
    """
    files: list[Path] = []
    start = since
    while start < until:
        end = min(start + FILE_SPAN, until)
        lines = list(_lines(since, until, events, start, end))
        if lines:
            files.append(_path(folder, source, lines[0][0], lines[-1][0]))
            files[-1].parent.mkdir(parents=True, exist_ok=True)
            files[-1].write_bytes(gzip.compress(b"".join(line for _, line in lines), 6))
        start = end
    return files


def _lines(since: datetime, until: datetime, events: int, start: datetime, end: datetime) -> Iterator[tuple[datetime, bytes]]:
    """Those of [start, end), each with its time."""
    step = (until - since) / events
    first = -(-(start - since) // step)
    for number in range(first, events):
        at = since + number * step
        if at >= end:
            return
        yield at, _line(number, at)


def _line(number: int, at: datetime) -> bytes:
    user = f"u-{number % 1000}"
    moment = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    payload = {
        "type": "track",
        "event": "Order Completed",
        "userId": user,
        "messageId": f"sample-{number}",
        "originalTimestamp": moment,
        "properties": {"order": number, "revenue": number % 90 + 9.5},
        "receivedAt": moment,
        "request_ip": "192.0.2.7",
        "rudderId": str(uuid.uuid5(uuid.NAMESPACE_OID, user)),
    }
    # As stored, `userId` is RudderStack's own key of the user, not the event's.
    row = {"userId": f"<<>><<>>{user}", "payload": payload, "createdAt": moment, "messageId": payload["messageId"]}
    return json.dumps(row, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e").encode() + b"\n"


def _path(folder: Path, source: str, first: datetime, last: datetime) -> Path:
    """Date and hour of the first event, the hour without a leading zero."""
    at = first.astimezone(UTC)
    name = f"{int(first.timestamp())}_{int(last.timestamp())}_{_WORKSPACE}_{uuid.uuid4()}.json.gz"
    return folder / source / "gw" / f"{at:%Y-%m-%d}" / str(at.hour) / _INSTANCE / name
