"""Which bodies of earlier calls are still there. A job's chunks have theirs in its segments; those of other calls are not kept."""

from collections.abc import Iterator
from hashlib import sha256
from itertools import accumulate, islice
from typing import Final

from gateway.audit.database import using_log
from gateway.audit.log import available
from gateway.audit.models import Call
from gateway.jobs import segments
from gateway.jobs.models import Chunk, Failure, Segment
from gateway.jobs.sending import written
from gateway.operations import OPERATIONS, Operation, Shape

_SECONDS: Final = 5.0


def kept_body(call: Call) -> bytes | None:
    """The call's body, byte for byte, as its digest proves; None where it is not kept. Raises OSError, LogUnavailableError."""
    if call.job is None or call.chunk is None or not call.events:
        return None
    with available(), using_log(_SECONDS):
        chunk = Chunk.objects.filter(job=call.job, number=call.chunk).first()
        segment = Segment.objects.filter(job=call.job, number=chunk.segment).first() if chunk else None
    if chunk is None or segment is None:
        return None
    try:
        lines = list(islice(segments.read(segment, chunk.offset), chunk.events))
    except FileNotFoundError:
        return None
    operation = OPERATIONS[call.operation]
    for candidates in (lines, _without_failures(chunk, segment, lines)):
        for body in _windows(operation, candidates, call.events, call.bytes):
            if sha256(body).hexdigest() == call.sha256:
                return body
    return None


def _windows(operation: Operation, lines: list[bytes], events: int, size: int | None) -> Iterator[bytes]:
    """Bodies of so many bytes, of so many events that follow one another: all that a call of the chunk can be."""
    if operation.shape is Shape.EVENT and events != 1:
        return
    ends = list(accumulate(map(len, lines), initial=0))
    beside = len(written(operation, [b""])) + events - 1
    for start in range(len(lines) - events + 1):
        if ends[start + events] - ends[start] + beside == size:
            yield written(operation, lines[start : start + events])


def _without_failures(chunk: Chunk, segment: Segment, lines: list[bytes]) -> list[bytes]:
    """What was sent again after others of the chunk were refused."""
    first = chunk.first_event - segment.first_event
    places = [segments.place(segment, first + event) for event in range(len(lines))]
    if not chunk.failed or not places:
        return []
    numbers = [line for _, line in places]
    with available(), using_log(_SECONDS):
        near = Failure.objects.filter(job=chunk.job_id, file__in={file for file, _ in places}, line__range=(min(numbers), max(numbers)))
        failed = set(near.values_list("file", "line"))
    return [line for line, place in zip(lines, places, strict=True) if place not in failed]
