"""The files that segments are: written once, through Django's storage, read from any offset, and taken away."""

import json
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from gateway.audit.database import using_log
from gateway.audit.log import available
from gateway.jobs.models import Job, Segment

_READ_BYTES: Final = 256 * 1024
_SECONDS: Final = 5.0


def write(job: Job, number: int, first_event: int, events: Sequence[bytes], places: list[tuple[int, str, int]]) -> Segment:
    """Put events, none with a line end in it, into a new file, on disk when this returns. The row is not saved: that is for the caller's commit.

    No file is ever written twice: whoever lost the lease may still be writing the same segment. Raises OSError.
    """
    content = b"%b\n" % b"\n".join(events)
    path = keep(f"{job.id}/{number}.{token_hex(4)}.ndjson", ContentFile(content))
    with suppress(NotImplementedError):  # what is not on this machine is safe once it is saved
        _sync(Path(default_storage.path(path)))
    return Segment(
        job=job,
        number=number,
        path=path,
        first_event=first_event,
        events=len(events),
        bytes=len(content),
        sha256=sha256(content).hexdigest(),
        places=json.dumps(places),
    )


def keep(name: str, content: "File[Any]") -> str:
    """Save a file under a name that nothing has, whole or not at all; returns where. Raises OSError."""
    try:
        return default_storage.save(name, content)
    except OSError:
        with suppress(OSError):
            default_storage.delete(name)
        raise


def read(segment: Segment, offset: int = 0) -> Iterator[bytes]:
    """The events from the byte offset on at which one begins. Raises FileNotFoundError where they are gone; OSError."""
    if segment.path is None:
        raise FileNotFoundError
    with default_storage.open(segment.path) as file:
        file.seek(offset)
        rest = b""
        while chunk := file.read(_READ_BYTES):
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            yield from lines


def place(segment: Segment, event: int) -> tuple[str, int]:
    """File and line that an event came from; it is counted within the segment, from 0."""
    places = json.loads(segment.places)
    first, file, line = places[bisect_right(places, event, key=lambda place: place[0]) - 1]
    return file, line + event - first


def remove(segment: Segment) -> None:
    """Take the file away; once more does no harm. Raises OSError."""
    if segment.path is not None:
        default_storage.delete(segment.path)
        segment.path = None
        segment.save(update_fields=["path"])


def remove_all(job: Job) -> None:
    """Take away all files of a job, also those of writers that did not live to tell. Raises OSError, LogUnavailableError."""
    with suppress(FileNotFoundError):
        for name in default_storage.listdir(str(job.id))[1]:
            default_storage.delete(f"{job.id}/{name}")
        # Only where folders are things of their own.
        default_storage.delete(str(job.id))
    # Not while files go, of which there can be thousands, each as far away as S3.
    with available(), using_log(_SECONDS):
        job.segments.update(path=None)


def _sync(path: Path) -> None:
    for name in (path, path.parent, path.parent.parent):
        opened = os.open(name, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
