"""Segments in storage: one event a line."""

from collections.abc import Iterator

from django.core.files.storage import default_storage

from gateway.jobs.models import Segment


def read(segment: Segment, offset: int = 0) -> Iterator[bytes]:
    """The lines from this byte on, each with its newline. Raises OSError where the file is not there."""
    if segment.path is None:
        raise FileNotFoundError(f"segment {segment.number} is gone")
    with default_storage.open(segment.path) as file:
        file.seek(offset)
        while line := file.readline():
            yield line
