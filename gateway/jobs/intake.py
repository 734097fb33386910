"""Taking in a job's input: read, checked, and cut into segments, each committed with the place up to which the input was read."""

from collections.abc import Iterator
from itertools import islice
from time import monotonic
from typing import BinaryIO, Final
from uuid import UUID

import msgspec
from django.conf import settings
from django.utils import timezone

from gateway.audit.models import Call
from gateway.audit.texts import storable
from gateway.contract.archive import ArchiveFile, read_line
from gateway.contract.faults import Fault
from gateway.jobs import segments
from gateway.jobs.bodies import kept_body
from gateway.jobs.checking import check
from gateway.jobs.dry_run import Tally
from gateway.jobs.earlier import Filter, elements, find
from gateway.jobs.formats import InputError, read
from gateway.jobs.inputs import InputUnreachableError, files_of, open_input, reaching
from gateway.jobs.lease import Lease
from gateway.jobs.models import BODY_NOT_KEPT, EVENT_CHARACTERS, Failure, Format, Job
from gateway.operations import OPERATIONS

SEGMENT_EVENTS: Final = 20_000
SEGMENT_BYTES: Final = 8 * 1024 * 1024
"""A segment that has as many is closed; it has less than a block more."""
BLOCK_LINES: Final = 400
BLOCK_BYTES: Final = 512 * 1024
"""Lines that are read and checked at a time: until as many are there."""
MAX_FAILURES: Final = 2_000
"""Failures in one commit, about: the database has seconds for it."""
_KEPT_READERS: Final = 4
_HOLD_SECONDS: Final = 5.0

_NOT_ARCHIVED: Final = Fault(
    "", "not_archived", "This is no line of an archive.", 'Each line is an object with "payload", and "createdAt" as RFC 3339.'
)

_NOT_KEPT: Final = Fault("", BODY_NOT_KEPT, "What this call sent is not kept, or not any more.", "Send it from where it came from.")
_SEARCHING: Final = "?"
"""In the place of a file: more of them are still searched for."""


class _Place(msgspec.Struct):
    """Up to where the input is taken in: this line of this file (of an archive) or call; how many segments were made of it, and calls would be."""

    file: str = ""
    line: int = 0
    segments: int = 0
    tally: Tally = msgspec.field(default_factory=Tally)


def take_in(lease: Lease, until: float) -> bool:
    """Take in more of the job's input until `time.monotonic()` is `until`, but a block at least. Returns whether that was the last of it.

    Raises InputError where the input is broken: what is before that place was taken in. Raises InputUnreachableError and OSError where
    the input, or the storage of the segments, cannot be used now; LeaseLostError, LogUnavailableError. Whatever it raises, the job says
    what is done, and the next call goes on from there.
    """
    job = lease.job
    if job.taken_in:
        return True
    place = msgspec.json.decode(job.intake_place or "{}", type=_Place)
    reader = _kept.pop(job.id, None)
    if reader and not reader.leads_to(place):
        reader.close()
        reader = None
    reader = reader or _Reader(lease, place)
    try:
        done = reader.skip_to(place, until) and _take(lease, reader, place, until)
    except BaseException:
        reader.close()
        raise
    if done:
        reader.close()
    else:
        _keep(job.id, reader)
    return done


def _take(lease: Lease, reader: "_Reader", place: _Place, until: float) -> bool:
    while True:
        part, broken, block = _Part(lease.job, place.tally), None, None
        try:
            while (block := reader.block()) is not None:
                part.add(reader.file, block, reader.fault)
                if part.is_full or monotonic() >= until:
                    break
        except (InputError, InputUnreachableError) as error:
            broken = error
        done = broken is None and block is None
        place = part.commit(lease, _Place(reader.file, reader.line, place.segments, place.tally), done=done)
        if broken:
            raise broken
        if done or monotonic() >= until:
            return done


class _Reader:
    """The lines of an input, in order. `file` and `line` say which was read last; `fault` why it is no event at all."""

    def __init__(self, lease: Lease, place: _Place) -> None:
        self._job = lease.job
        self._files = {Format.ARCHIVE: _archive, Format.CALLS: self._calls}.get(Format(self._job.format), _one)(lease, place.file)
        self._call: Call | None = None
        self.fault: Fault | None = None
        self._stream: BinaryIO | None = None
        self._lines: Iterator[tuple[int, bytes]] = iter(())
        self._error: InputError | InputUnreachableError | None = None
        self.file = ""
        self.line = 0

    def leads_to(self, place: _Place) -> bool:
        """Whether the place is not behind it yet."""
        return self.file == place.file and self.line <= place.line

    def skip_to(self, place: _Place, until: float) -> bool:
        """Read up to the place; False where time is up before. Raises InputError, InputUnreachableError."""
        while self.line < place.line:
            if not self.block(place.line - self.line) or self.file != place.file:
                raise InputError("input_changed", "The input is not what it was: what was read of it is not there any more.")
            if monotonic() >= until:
                return self.line == place.line
        return True

    def block(self, most: int | None = None) -> list[tuple[int, bytes]] | None:
        """The next lines, of one file, at most as many; none where more is still searched for, None at the end.

        Raises InputError, InputUnreachableError, LogUnavailableError.
        """
        while True:
            block: list[tuple[int, bytes]] = []
            size = 0
            if not self._error:
                try:
                    with reaching():
                        for line in islice(self._lines, min(most or BLOCK_LINES, BLOCK_LINES)):
                            block.append(line)
                            size += len(line[1])
                            if size >= BLOCK_BYTES:
                                break
                except (InputError, InputUnreachableError) as error:
                    self._error = error
            if block:
                self.line = block[-1][0]
                return block
            if self.file and isinstance(self._error, InputError):
                # The other files or calls are as good as before.
                fault = Fault("", self._error.reason, str(self._error), "The rest of it was left out: send that by itself.")
                self._lines, self.fault, self._error = iter([(self.line + 1, b"")]), fault, None
                continue
            if self._error:
                raise self._error
            self.close()
            file = next(self._files, None)
            if file is None or file == _SEARCHING:
                return None if file is None else []
            self.fault = None
            self.file, self.line = file, 0
            try:
                self._lines = self._open(file)
            except InputError as error:
                self._error = error

    def _open(self, file: str) -> Iterator[tuple[int, bytes]]:
        limit = settings.GATEWAY_MAX_BODY_BYTES
        if self._call is None:
            self._stream = open_input(self._job, file)
            return read(self._stream, Format(self._job.format), limit)
        with reaching(file):
            body = kept_body(self._call)
        if body is None:
            self.fault = _NOT_KEPT
            return iter([(1, b"")])
        return elements(self._call, body, limit)

    def _calls(self, lease: Lease, first: str) -> Iterator[str]:
        """The ids of the calls that are the input, from one on."""
        job = lease.job
        if job.since and job.until:
            for call in find(Filter.of(job.input), job.since, job.until, UUID(first) if first else None):
                self._call = call
                yield str(call.id) if call else _SEARCHING

    def close(self) -> None:
        """Let go of the file."""
        if self._stream is not None:
            self._stream.close()


def _one(lease: Lease, first: str) -> Iterator[str]:
    return iter([""])


def _archive(lease: Lease, first: str) -> Iterator[str]:
    """The archive's files that can hold events of the job, in order of time, from one on. The search can outlast the lease, so that is held on to."""
    job, found, held = lease.job, [], monotonic()
    root = job.input.rstrip("/")
    for path in files_of(job):
        file = ArchiveFile.at(f"{root}/{path}")
        if file and file.may_hold(job.since, job.until):
            if storable(path, len(path)) != path:
                raise InputError("bad_file_name", f"{storable(path, 300)}: this name is not UTF-8, or has a NUL in it. Rename it, then try again.")
            found.append(file)
        if monotonic() >= held + _HOLD_SECONDS:
            held = monotonic()
            lease.commit()
    start = ArchiveFile.at(f"{root}/{first}") if first else None
    return (file.path.removeprefix(f"{root}/") for file in sorted(found) if start is None or file >= start)


_kept: Final[dict[UUID, _Reader]] = {}
"""Readers between two calls, so that the next one needs not read up to its place."""


def _keep(job: UUID, reader: _Reader) -> None:
    _kept[job] = reader
    while len(_kept) > _KEPT_READERS:
        _kept.pop(next(iter(_kept))).close()


def _is_full(lines: int, size: int, failures: int) -> bool:
    """Whether a segment is."""
    return lines >= SEGMENT_EVENTS or size >= SEGMENT_BYTES or failures >= MAX_FAILURES


class _Part:
    """What is committed together: events for one segment, and what was wrong with others."""

    def __init__(self, job: Job, tally: Tally) -> None:
        self._job = job
        self._tally = tally
        self._operation = OPERATIONS[job.operation]
        self._is_archive = job.format == Format.ARCHIVE
        self._has_files = job.format in (Format.ARCHIVE, Format.CALLS)
        self._blank = job.format in (Format.NDJSON, Format.ARCHIVE)
        self._lines = 0
        self._events = 0
        self._bytes = 0
        self._failed = 0
        self._without = 0
        self._kept: list[bytes] = []
        self._places: list[tuple[int, str, int]] = []
        self._last: tuple[str, int] = ("", 0)
        self._failures: list[Failure] = []

    @property
    def is_full(self) -> bool:
        """Whether it is time to commit."""
        return _is_full(self._lines, self._bytes + self._failed, len(self._failures))

    def add(self, file: str, block: list[tuple[int, bytes]], no_events: Fault | None = None) -> None:
        """Check lines of one file and take them in; `no_events` says why none of them is an event."""
        before = self._lines, self._bytes + self._failed, len(self._failures)
        job, limit = self._job, settings.GATEWAY_MAX_BODY_BYTES
        lines: list[int] = []
        texts: list[bytes] = []
        ids: list[int] = []
        for line, text in block:
            if not text and self._blank and not no_events:
                continue
            fault = no_events
            if len(text) > limit:
                detail = f"This has more than {limit:,} bytes (GATEWAY_MAX_BODY_BYTES)."
                fault = Fault("", "body_too_large", detail, "Make the event smaller.")
            elif self._is_archive and not fault:
                archived = read_line(text)
                if archived is None:
                    fault = _NOT_ARCHIVED
                else:
                    at, text = archived
                    if (job.since and at < job.since) or (job.until and at >= job.until):
                        continue
            self._lines += 1
            if fault:
                self._fail(file, line, text, fault)
            else:
                lines.append(line)
                texts.append(text)
                # Among several files a line's number is not the only one of its kind.
                ids.append(job.lines + self._lines if self._has_files else line)
        checked = check(self._operation, texts, lambda index: job.message_id(ids[index]), exactly=job.dry_run)
        good: list[bytes] = []
        last = self._last[1] if self._last[0] == file else 0
        for line, text, (event, without) in zip(lines, texts, checked, strict=True):
            if isinstance(event, Fault):
                self._fail(file, line, text, event)
                continue
            if not last or line != last + 1:
                self._places.append((self._events + len(good), file, line))
            last = line
            good.append(event)
            if without:
                self._without += 1
        if good:
            self._last = (file, last)
        self._events += len(good)
        self._bytes += sum(map(len, good)) + len(good)
        if not job.dry_run:
            self._kept += good
            return
        tally = self._tally
        tally.add(job, (len(event) + 1 for event in good))
        tally.lines += self._lines - before[0]
        tally.bytes += self._bytes + self._failed - before[1]
        tally.failures += len(self._failures) - before[2]
        if _is_full(tally.lines, tally.bytes, tally.failures):
            tally.end_segment()

    def commit(self, lease: Lease, place: _Place, *, done: bool) -> _Place:
        """All of it, or nothing; returns the place with the segment counted. Raises OSError, LeaseLostError, LogUnavailableError."""
        job = self._job
        segment = None
        if self._kept:
            segment = segments.write(job, place.segments, job.events, self._kept, self._places)
            place.segments += 1

        def write() -> None:
            if segment is not None:
                segment.save(force_insert=True)
            Failure.objects.bulk_create(self._failures, batch_size=500)

        lease.commit(
            write,
            intake_place=msgspec.json.encode(place).decode(),
            taken_in=done,
            lines=job.lines + self._lines,
            faulty=job.faulty + len(self._failures),
            events=job.events + self._events,
            bytes=job.bytes + self._bytes,
            without_message_id=job.without_message_id + self._without,
            **({"chunks": self._tally.calls} if job.dry_run else {}),
        )
        return place

    def _fail(self, file: str, line: int, text: bytes, fault: Fault) -> None:
        self._failed += len(text)
        self._failures.append(
            Failure(
                job=self._job,
                at=timezone.now(),
                file=file[-500:],
                line=line,
                reason=fault.reason,
                pointer=storable(fault.pointer, 500),
                detail=storable(f"{fault.detail} {fault.cure}", 1000),
                event=storable(text.decode("utf-8", "replace"), EVENT_CHARACTERS),
            )
        )
