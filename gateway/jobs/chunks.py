"""Chunks: cut from the segments, and taken up again after an interruption."""

import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from django.utils import timezone

from gateway.audit.database import using_log
from gateway.audit.log import available
from gateway.audit.texts import storable
from gateway.contract.faults import Fault
from gateway.jobs import segments
from gateway.jobs.models import Chunk, Failure, Job, Segment
from gateway.jobs.sending import BODY_BYTES
from gateway.operations import OPERATIONS, Shape

_SINGLE_EVENTS: Final = 100
"""Of a chunk whose events go out one by one."""


@dataclass(slots=True, eq=False)
class Piece:
    """A chunk in hand: its row, its segment, its events without their newlines, and which of them are still to send.

    `most` bounds the events of the next call, while the one that is refused is looked for.
    """

    row: Chunk
    segment: Segment
    lines: list[bytes]
    left: list[int]
    most: int | None = None
    failures: list[Failure] = field(default_factory=list)

    def calls(self, single: bool) -> list[list[int]]:
        """What to send next: the events of each call."""
        return [[event] for event in self.left] if single else [self.left[: self.most]]

    def refuse(self, event: int, fault: Fault) -> None:
        """Note that this event was not taken, and why."""
        file, line = segments.place(self.segment, self.row.first_event - self.segment.first_event + event)
        self.row.failed += 1
        self.failures.append(
            Failure(
                job_id=self.row.job_id,
                at=timezone.now(),
                file=file,
                line=line,
                reason=fault.reason[:64],
                pointer=storable(fault.pointer, 500),
                detail=storable(f"{fault.detail} {fault.cure}".strip(), 1000),
                event=storable(self.lines[event].decode("utf-8", "replace"), len(self.lines[event])),
            )
        )


class Cutter:
    """Cuts a job's segments into chunks, one after the other. Holds the segment open that it is in."""

    def __init__(self) -> None:
        self._segment: Segment | None = None
        self._lines: Iterator[bytes] = iter(())
        self._held: bytes | None = None
        self._offset = 0

    def cut(self, job: Job, first: int, number: int) -> Piece:
        """The chunk that begins with this event. Raises OSError where its segment cannot be read, LogUnavailableError."""
        segment = self._segment
        if segment is None or first >= segment.first_event + segment.events:
            segment = self._open(job, first)
        most = min(most_events(job), segment.first_event + segment.events - first)
        lines: list[bytes] = []
        size = 0
        while len(lines) < most:
            line = self._held if self._held is not None else next(self._lines, None)
            if line is None:
                raise OSError(f"segment {segment.number} is shorter than it was")
            self._held = line
            if lines and size + len(line) + 1 > BODY_BYTES:
                break
            lines.append(line)
            size += len(line) + 1
            self._held = None
        row = Chunk(job=job, number=number, segment=segment.number, offset=self._offset, bytes=size, first_event=first, events=len(lines))
        self._offset += size
        return Piece(row, segment, lines, list(range(len(lines))))

    def close(self) -> None:
        """Let go of the segment."""
        if isinstance(self._lines, Generator):
            self._lines.close()

    def _open(self, job: Job, first: int) -> Segment:
        with available(), using_log():
            segment = Segment.objects.filter(job=job, first_event__lte=first, events__gt=0).order_by("-first_event").first()
            last = Chunk.objects.filter(job=job).order_by("-number").first()
        if segment is None or first >= segment.first_event + segment.events:
            raise FileNotFoundError(f"there is no segment with event {first}")
        self._offset = last.offset + last.bytes if last and last.segment == segment.number and first > segment.first_event else 0
        self.close()
        self._segment, self._held = segment, None
        self._lines = segments.read(segment, self._offset)
        return segment


def most_events(job: Job) -> int:
    """Of a chunk."""
    most = min(job.chunk_events, job.rate or job.chunk_events)
    return min(most, _SINGLE_EVENTS) if OPERATIONS[job.operation].shape is Shape.EVENT else most


def save(pieces: Sequence[Piece]) -> None:
    """Write the rows as they are now, and the failures; as often as it takes."""
    for piece in pieces:
        piece.row.parts = json.dumps(_stretches(piece.left)) if piece.left else ""
        piece.row.pk = None  # one of a transaction that was rolled back is anybody's
    Chunk.objects.bulk_create(
        [piece.row for piece in pieces], update_conflicts=True, unique_fields=["job", "number"], update_fields=["parts", "sending", "failed"]
    )
    Failure.objects.bulk_create([failure for piece in pieces for failure in piece.failures], ignore_conflicts=True)


def unfinished(job: Job) -> list[Piece]:
    """The chunks that are not done. Raises OSError where a segment cannot be read, LogUnavailableError."""
    with available(), using_log():
        rows = list(Chunk.objects.filter(job=job).exclude(parts="").order_by("number"))
        of = {segment.number: segment for segment in Segment.objects.filter(job=job, number__in={row.segment for row in rows})}
    pieces = []
    for row in rows:
        if row.segment not in of:
            raise FileNotFoundError(f"segment {row.segment} is gone")
        lines = list(islice(segments.read(of[row.segment], row.offset), row.events))
        if len(lines) < row.events:
            raise OSError(f"segment {row.segment} is shorter than it was")
        left = [event for first, end in json.loads(row.parts) for event in range(first, end)]
        pieces.append(Piece(row, of[row.segment], lines, left))
    return pieces


def mostly_refused(job: Job, of: int) -> bool:
    """Whether more than half of the last so many events since somebody resumed it, or more, were refused. Raises LogUnavailableError."""
    total = refused = 0
    with available(), using_log():
        for events, failed in Chunk.objects.filter(job=job, number__gt=job.judged_from).order_by("-number").values_list("events", "failed")[:of]:
            total, refused = total + events, refused + failed
            if total >= of:
                break
    return refused * 2 > max(total, of)


def _stretches(events: Sequence[int]) -> list[list[int]]:
    """Rising numbers as [[first, end], …]."""
    found: list[list[int]] = []
    for event in events:
        if found and found[-1][1] == event:
            found[-1][1] = event + 1
        else:
            found.append([event, event + 1])
    return found
