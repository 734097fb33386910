"""Sending a job's failures again, as a job of their own: as they were, or corrected. A failure is taken by one such job only."""

import os
import uuid
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep
from typing import BinaryIO, Final

import msgspec
from django.conf import settings
from django.db.models.functions import Length
from django.utils import timezone

from gateway.audit import log
from gateway.audit.database import using_log
from gateway.audit.models import Action, Call, Verb
from gateway.forwarding.admission import DESTINATION, SOURCE
from gateway.forwarding.answer import Refusal
from gateway.forwarding.submission import Submission
from gateway.jobs import incoming
from gateway.jobs.checking import identified, message_id_in
from gateway.jobs.formats import InputError, read
from gateway.jobs.making import Wishes, admitted, digest_of, earlier_job, make
from gateway.jobs.models import WHOLE, Failure, Format, Job
from gateway.operations import OPERATIONS

_AT_A_TIME: Final = 500
_ROWS: Final = 5000
_PAGE_CHARACTERS: Final = 4 * 1024 * 1024
"""Of events that are in memory at once, about."""
_BESIDE: Final = 64 * 1024
"""Bytes that a corrected line may have beside its event."""
_READING_SECONDS: Final = 5.0
_MARKING_SECONDS: Final = 30.0
"""For a job with very many failures."""
_UNMADE: Final = timedelta(minutes=10)
"""A job that took failures so long ago, and is not there, never will be."""


class _Corrected(msgspec.Struct, gc=False):
    id: int
    event: msgspec.Raw


_corrected: Final = msgspec.json.Decoder(_Corrected)
_text: Final = msgspec.json.Decoder(str)


def retry_failed(job: Job, submission: Submission, *, reason: str = "", corrected: BinaryIO | None = None, wishes: Wishes | None = None) -> Job:
    """A new job of the job's failures that no other took yet: all, those of one reason, or those in `corrected`, which has them right.

    `corrected` is NDJSON as the list of failures is: `id`, and `event` as text or as an object. The new job is the same client's, with
    the same operation, source and destination; `wishes` are `wishes_of` the job, unless others are given. Events keep the messageId
    that they had, or would have got. What is not there as a whole can be sent only corrected, and else stays.

    Raises Refusal (400, 403, 409, 422), LogUnavailableError, OSError where the storage takes nothing.
    """
    if submission.principal.client_id not in ("", job.client):
        raise Refusal(403, "not_your_job", "Only the client whose job it is may send its failures again.")
    if job.dry_run or submission.dry_run:
        raise Refusal(409, "dry_run", "A dry run sends nothing, so there is nothing to send again. Make a job of the whole input.")
    if reason and corrected is not None:
        raise Refusal(400, "bad_parameter", "Name a reason, or send corrected events: these say by themselves which failures they are.")
    wishes = wishes or wishes_of(job)
    submission = _as_the_job(job, submission)
    source = admitted(submission, wishes)
    asked = f"retry {job.id} {reason} {digest_of(corrected) if corrected is not None else ''}"
    digest = sha256(asked.encode()).hexdigest()
    if earlier := earlier_job(submission, digest):
        return earlier
    _leave_orphans(job)
    new = Job(format=Format.NDJSON, retry_of=job.id, sha256=digest)
    with _scratch() as file:
        ids = _write_corrected(job, corrected, file) if corrected is not None else _write(job, reason, file)
        if not ids:
            raise _nothing(job, reason, corrected is not None)
        file.flush()
        os.fsync(file.fileno())

        def also() -> None:
            row = Action(at=timezone.now(), actor=new.actor, channel=new.channel, verb=Verb.JOB_RETRIED, subject=str(job.id))
            row.detail = log.as_json([{"job": str(new.id), "failures": str(len(ids)), "reason": reason}])
            log.act(row)

        with _taking(job, ids, new.id) as all_of_them:
            if not all_of_them:
                if earlier := earlier_job(submission, digest):
                    return earlier
                raise Refusal(409, "taken_meanwhile", "Somebody else sends failures of this job again just now. Look, then ask once more.")
            return make(new, submission, source, wishes, file, also)


@contextmanager
def _taking(job: Job, ids: "array[int]", new: uuid.UUID) -> Iterator[bool]:
    """The failures are this new job's; left again where it was not made. Whether it got them all.

    Before it is made, and a few at a time: in one transaction with it very many would keep the log from everybody else. Those that a
    crash left taken by a job that never was are free for the next who asks.
    """
    doubtful = False
    try:
        yield all(_take(ids[start : start + _AT_A_TIME].tolist(), new) for start in range(0, len(ids), _AT_A_TIME))
    except log.LogUnavailableError as error:
        # A database that froze may have the job when it wakes.
        doubtful = error.doubtful
        raise
    finally:
        if not doubtful:
            with suppress(log.LogUnavailableError):
                if not _is_there(new):
                    _leave(job, new)


def _is_there(new: uuid.UUID) -> bool:
    """Whether the job was made, and not an earlier one found under its key."""
    with log.available(), using_log(_READING_SECONDS):
        return Job.objects.filter(id=new).exists()


def _take(ids: list[int], new: uuid.UUID) -> bool:
    begun = monotonic()
    with log.available(), using_log(_READING_SECONDS):
        taken = Failure.objects.filter(id__in=ids, retried_by=None).update(retried_by=new)
    # Others take their turn: whoever waits for SQLite only looks now and then.
    sleep(monotonic() - begun)
    return taken == len(ids)


def _leave(job: Job, new: uuid.UUID) -> None:
    while True:
        with log.available(), using_log(_MARKING_SECONDS):
            ids = list(Failure.objects.filter(job=job, retried_by=new).values_list("id", flat=True)[:_ROWS])
        if not ids:
            return
        for start in range(0, len(ids), _AT_A_TIME):
            with log.available(), using_log(_READING_SECONDS):
                Failure.objects.filter(id__in=ids[start : start + _AT_A_TIME], retried_by=new).update(retried_by=None)


def _leave_orphans(job: Job) -> None:
    """Failures that jobs took which were never made: whoever was at it did not live."""
    before = Call.lowest_id(timezone.now() - _UNMADE)
    with log.available(), using_log(_MARKING_SECONDS):
        marked = Failure.objects.filter(job=job, retried_by__lt=before).values_list("retried_by", flat=True).distinct()
        takers = {taker for taker in marked if taker}
        takers -= set(Job.objects.filter(id__in=takers).values_list("id", flat=True))
        # Of a job that is not kept any more, the call still says that it was.
        takers -= set(Call.objects.filter(id__in=takers).values_list("id", flat=True))
    for taker in takers:
        _leave(job, taker)


def wishes_of(job: Job) -> Wishes:
    """How the job itself was to be done; but for its job run id, which is for one job, and the time of its beginning."""
    return Wishes(job.ordered, job.rate, job.priority, job.chunk_events, window_from=job.window_from, window_to=job.window_to)


def _as_the_job(job: Job, submission: Submission) -> Submission:
    headers = {name: value for name, value in submission.headers.items() if name not in (SOURCE, DESTINATION)}
    headers |= {name: value for name, value in ((SOURCE, job.source), (DESTINATION, job.destination)) if value}
    principal = replace(submission.principal, client_id=job.client)
    return replace(submission, principal=principal, operation=OPERATIONS[job.operation], headers=headers)


@contextmanager
def _scratch() -> Iterator[BinaryIO]:
    """A file for the new job's input."""
    with incoming.begin() as file:
        try:
            yield file
        finally:
            Path(file.name).unlink(missing_ok=True)


def _write(job: Job, reason: str, file: BinaryIO) -> "array[int]":
    """Failures as they were; their ids."""
    found = Failure.objects.filter(job=job, retried_by=None, **({"reason": reason} if reason else {}))
    found = found.alias(size=Length("event")).filter(WHOLE)
    ids, sizes, written = array("q"), array("q"), array("q")
    # One look at all: page by page PostgreSQL may look at all of them for each.
    with log.available(), using_log(_MARKING_SECONDS):
        for id_, size in found.annotate(characters=Length("event")).order_by("id").values_list("id", "characters").iterator(_ROWS):
            ids.append(id_)
            sizes.append(size)
    start = 0
    while start < len(ids):
        end = start + _fitting(sizes[start : start + _AT_A_TIME])
        with log.available(), using_log(_READING_SECONDS):
            # Not those of which the text went meanwhile, as its time was over.
            rows = list(
                Failure.objects.filter(id__in=ids[start:end].tolist()).exclude(event="").order_by("id").values_list("id", "file", "line", "event")
            )
        for id_, place, line, event in rows:
            _put(job, file, event.encode(), place, line)
            written.append(id_)
        start = end
    return written


def _fitting(sizes: Iterable[int]) -> int:
    """How many of them are a page: one at least."""
    total = 0
    for number, size in enumerate(sizes):
        total += size
        if number and total > _PAGE_CHARACTERS:
            return number
    return number + 1


def _write_corrected(job: Job, corrected: BinaryIO, file: BinaryIO) -> "array[int]":
    """What the lines say, after each was found to be one of the job's failures; the failures' ids."""
    corrected.seek(0)
    ids, seen = array("q"), set[int]()
    limit = 2 * settings.GATEWAY_MAX_BODY_BYTES + _BESIDE
    lines = ((number, line) for number, line in read(corrected, Format.NDJSON, limit) if line)
    try:
        for batch in _batches((number, *_read(number, line, limit)) for number, line in lines):
            with log.available(), using_log(_READING_SECONDS):
                rows = Failure.objects.filter(job=job, id__in=[id_ for _, id_, _ in batch]).values_list("id", "file", "line", "retried_by")
                found = {id_: (place, line, retried_by) for id_, place, line, retried_by in rows}
            for number, id_, event in batch:
                if id_ not in found:
                    raise _at(number, f"this job has no failure {id_}")
                if id_ in seen:
                    raise _at(number, f"failure {id_} stands in a line before too")
                place, line, retried_by = found[id_]
                if retried_by is not None:
                    raise _at(number, f"failure {id_} was sent again before, by job {retried_by}")
                seen.add(id_)
                ids.append(id_)
                _put(job, file, event, place, line, id_)
    except InputError as error:
        raise Refusal(400, error.reason, f"{error} No job was made.") from None
    return ids


def _batches(lines: Iterable[tuple[int, int, bytes]]) -> Iterator[list[tuple[int, int, bytes]]]:
    batch, size = [], 0
    for line in lines:
        batch.append(line)
        size += len(line[2])
        if len(batch) >= _AT_A_TIME or size >= _PAGE_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _read(number: int, line: bytes, limit: int) -> tuple[int, bytes]:
    """A corrected line's id and event."""
    if len(line) > limit:
        raise _at(number, f"it has more than {limit:,} bytes")
    try:
        given = _corrected.decode(line)
        event = bytes(given.event)
        event = event if event.startswith(b"{") else _text.decode(event).encode()
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise _at(number, 'it is no object with "id", a number, and "event", a text or an object') from None
    if not event.strip():
        raise _at(number, "its event is empty")
    if not 0 < given.id < 2**63:
        raise _at(number, f"this job has no failure {given.id}")
    return given.id, event


def _put(job: Job, file: BinaryIO, event: bytes, place: str, line: int, corrected: int | None = None) -> None:
    """One event as a line. A return is just as good, or as bad, in JSON as a line end is."""

    def message_id() -> str:
        made = job.message_id(f"{place}:{line}" if place else line)
        return made if corrected is None else _id_before(job, corrected, made)

    file.write(identified(OPERATIONS[job.operation], event, message_id).replace(b"\n", b"\r") + b"\n")


def _id_before(job: Job, failure: int, made: str) -> str:
    """The messageId that an event had before its correction lost it."""
    with log.available(), using_log(_READING_SECONDS):
        event = Failure.objects.values_list("event", flat=True).get(id=failure)
    return message_id_in(event.encode()) or made


def _at(number: int, what: str) -> Refusal:
    return Refusal(400, "bad_correction", f"Line {number:,} of the corrected events: {what}. No job was made.")


def _nothing(job: Job, reason: str, corrected: bool) -> Refusal:
    """Why there is nothing to send again."""
    if corrected:
        return Refusal(400, "empty_input", "There is no corrected event. No job was made.")
    left = Failure.objects.filter(job=job, retried_by=None, **({"reason": reason} if reason else {}))
    with log.available(), using_log(_READING_SECONDS):
        some, texts = left.exists(), left.exclude(event="").exists()
    if texts:
        what = "Of these failures not the whole event was kept: it is too long. Send them corrected, or make a job of them. No job was made."
        return Refusal(409, "events_cut", what)
    if some:
        what = f"The events of these failures are not kept any more ({settings.GATEWAY_SEGMENT_DAYS:g} days, GATEWAY_SEGMENT_DAYS), or never were."
        return Refusal(409, "events_gone", f"{what} Send them corrected. No job was made.")
    return Refusal(409, "nothing_to_retry", "There is no failure, of this reason, that was not sent again already. No job was made.")
