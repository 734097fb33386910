"""Making a job: who may, from what input, and only once under one Idempotency-Key."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, time
from hashlib import sha256
from io import SEEK_END
from pathlib import Path
from typing import BinaryIO, Final
from uuid import UUID

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.utils import timezone
from msgspec.structs import replace

from gateway.audit import log
from gateway.audit.database import using_log
from gateway.audit.models import Action, Call, Verb
from gateway.audit.redaction import hide
from gateway.forwarding.admission import DESTINATION, JOB_RUN, SENDABLE, authorise
from gateway.forwarding.answer import Refusal
from gateway.forwarding.forward import call_of_job, record_job
from gateway.forwarding.idempotency import check_key, claim_job, job_of
from gateway.forwarding.submission import Submission
from gateway.jobs.earlier import Filter
from gateway.jobs.models import BOUNDS, Format, Job
from gateway.jobs.segments import keep
from gateway.operations import Credential
from gateway.webhooks import address
from gateway.webhooks.address import AddressError

NO_JOB_RUN: Final = "none"
UPLOADS: Final = "uploads"
"""Where inputs lie in storage, each under its job's id."""
_PIECE: Final = 1024 * 1024
_LONGEST_INPUT: Final = 1000


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a job is to be done. `job_run_id`: None for one of its own, "none" for none. `rate` is events a second, None as fast as it goes.

    It sends between `window_from` and `window_to` of each day (UTC), or at any time. Its end is told to the address `webhook`.
    """

    ordered: bool = True
    rate: int | None = None
    priority: int = 0
    chunk_events: int = 500
    not_before: datetime | None = None
    window_from: time | None = None
    window_to: time | None = None
    webhook: str = ""
    job_run_id: str | None = None


def from_upload(submission: Submission, content: BinaryIO, format_: Format, wishes: Wishes) -> Job:
    """A job of what was uploaded; the earlier one where the same was asked for under the same Idempotency-Key, which a dry run does not use up.

    Raises Refusal (400, 403, 409, 422), LogUnavailableError, OSError where the storage takes nothing.
    """
    source = admitted(submission, wishes)
    # Where the door has read the body, the input may be what it holds, unpacked.
    digest = submission.body.digest if submission.body.was_read else digest_of(content)
    if not content.seek(0, SEEK_END):
        raise Refusal(400, "empty_input", "There is nothing in the input. No job was made.")
    if earlier := earlier_job(submission, digest):
        return earlier
    return make(Job(format=format_, sha256=digest), submission, source, wishes, content)


def from_archive(submission: Submission, place: str, since: datetime | None, until: datetime | None, wishes: Wishes) -> Job:
    """A job of RudderStack's archive in a directory or at an s3:// address. Raises as `from_upload` does."""
    source = admitted(submission, wishes)
    digest = sha256(f"{place} {since} {until}".encode()).hexdigest()
    if earlier := earlier_job(submission, digest):
        return earlier
    return make(Job(format=Format.ARCHIVE, input=place, since=since, until=until, sha256=digest), submission, source, wishes)


def from_calls(submission: Submission, filter_: Filter, wishes: Wishes) -> Job:
    """A job of earlier calls of its own operation, source and destination (unless the filter names another) and client; whoever is on the
    gateway's machine may send those of all clients. Raises as `from_upload` does.
    """
    source, client = admitted(submission, wishes), submission.principal.client_id
    destination = submission.header(DESTINATION) if submission.operation.takes_destination else ""
    whose = replace(filter_, operation=submission.operation.name, client=client or None)
    whose = replace(whose, source=whose.source or hide(source), destination=whose.destination or hide(destination))
    # Before the times are filled in, which differ when it is asked for again.
    digest = sha256(whose.text().encode()).hexdigest()
    if earlier := earlier_job(submission, digest):
        return earlier
    whose = whose.closed(timezone.now())
    if len(whose.text()) > _LONGEST_INPUT:
        raise Refusal(400, "bad_parameter", "The filter of the calls is too long. No job was made.")
    return make(Job(format=Format.CALLS, input=whose.text(), since=whose.since, until=whose.until, sha256=digest), submission, source, wishes)


def admitted(submission: Submission, wishes: Wishes) -> str:
    """The effective source, if such a job may be made. Raises Refusal."""
    if wishes.job_run_id is not None and not SENDABLE.fullmatch(wishes.job_run_id):
        raise Refusal(400, "bad_parameter", "job_run_id must be printable ASCII, without spaces around it. No job was made.")
    for name, (low, high) in BOUNDS.items():
        if (value := getattr(wishes, name)) is not None and not low <= value <= high:
            raise Refusal(400, "bad_parameter", f"{name} must be between {low:,} and {high:,}. No job was made.")
    if submission.refusal is not None:
        raise submission.refusal
    check_key(submission.idempotency_key)
    return authorise(submission)


def make(
    job: Job, submission: Submission, source: str, wishes: Wishes, content: BinaryIO | None = None, also: Callable[[], None] = lambda: None
) -> Job:
    """Fill in the job, keep its input, and commit it with its action and with what `also` writes; or the earlier one under its key.

    Raises Refusal, LogUnavailableError, OSError.
    """
    check_webhook(wishes.webhook)
    now, path = timezone.now(), None
    if content is not None:
        content.seek(0)
        job.input = path = keep(f"{UPLOADS}/{job.id}", _movable(content))
    job.operation, job.client, job.actor = submission.operation.name, submission.principal.client_id, submission.principal.name
    job.channel, job.address, job.request_id = submission.channel, submission.address, hide(submission.request_id)
    job.idempotency_key = submission.idempotency_key
    job.source, job.destination = hide(source), hide(submission.header(DESTINATION))
    job.job_run_id = hide(_job_run_id(job, submission, wishes))
    job.dry_run, job.ordered, job.rate, job.priority = submission.dry_run, wishes.ordered, wishes.rate, wishes.priority
    job.chunk_events, job.not_before, job.webhook = wishes.chunk_events, wishes.not_before, wishes.webhook
    job.window_from, job.window_to = wishes.window_from, wishes.window_to
    job.created_at, job.due_at = now, max(now, wishes.not_before or now)
    log.clean(job)
    detail = {name: str(getattr(job, name)) for name in ("operation", "source", "format", "dry_run", "ordered", "rate", "sha256")}
    call = _call_of(job, submission)

    def commit() -> None:
        with log.together():
            record_job(call, submission)
            job.save(force_insert=True)
            log.act(Action(at=now, actor=job.actor, channel=job.channel, verb=Verb.JOB_MADE, subject=str(job.id), detail=log.as_json([detail])))
            also()

    made, earlier = False, None
    try:
        if _holds_key(submission):
            earlier = claim_job(call, commit)
        else:
            commit()
        made = earlier is None
    except log.LogUnavailableError as error:
        # A database that froze may have the job when it wakes; if it has not, housekeeping takes the input away.
        made = error.doubtful
        raise
    finally:
        if path is not None and not made:
            default_storage.delete(path)
    return _kept(earlier) if earlier else job


def _call_of(job: Job, submission: Submission) -> Call:
    return call_of_job(submission, job.id, source=job.source, destination=job.destination, job_run_id=job.job_run_id, sha256=job.sha256)


def _holds_key(submission: Submission) -> bool:
    return submission.idempotency_key is not None and not submission.dry_run


def check_webhook(url: str) -> None:
    """Whether a job's end can be told there; "" for nowhere. Raises Refusal (400)."""
    if not url:
        return
    if not settings.GATEWAY_WEBHOOK_SECRET:
        raise Refusal(400, "no_webhook_secret", "webhook cannot be used while GATEWAY_WEBHOOK_SECRET is not set: have it set. No job was made.")
    try:
        address.check(url)
    except AddressError as error:
        raise Refusal(400, "bad_webhook", f"webhook: {error}. No job was made.") from None


def _job_run_id(job: Job, submission: Submission, wishes: Wishes) -> str:
    """One of its own gives RudderStack's job status, and keeps events that were sent before from being dropped as duplicates."""
    if submission.operation.credential is Credential.NONE or wishes.job_run_id == NO_JOB_RUN:
        return ""
    return wishes.job_run_id or submission.header(JOB_RUN) or str(job.id)


def earlier_job(submission: Submission, digest: str) -> Job | None:
    """The job that was made under this Idempotency-Key. Raises Refusal (409, 422) where the key stands for anything else."""
    if not _holds_key(submission):
        return None
    asked = Job(source=hide(authorise(submission)), destination=hide(submission.header(DESTINATION)), sha256=digest)
    earlier = job_of(_call_of(asked, submission))
    return _kept(earlier) if earlier else None


def _kept(job_id: UUID) -> Job:
    with log.available(), using_log():
        job = Job.objects.filter(id=job_id).first()
    if job is None:
        raise Refusal(422, "idempotency_key_reused", f"This Idempotency-Key stands for the job {job_id}, which is not kept any more: use a new one.")
    return job


def digest_of(content: BinaryIO) -> str:
    """SHA-256 of all of it."""
    content.seek(0)
    digest = sha256()
    for piece in _pieces(content):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(content: BinaryIO) -> Iterator[bytes]:
    while piece := content.read(_PIECE):
        yield piece


def _movable(content: BinaryIO) -> "File[bytes]":
    """For storage. What came over HTTP lies in a temporary file beside it, which is moved there, not copied."""
    file, name = File(content), getattr(content, "name", "")
    if isinstance(name, str) and Path(name).parent == Path(settings.MEDIA_ROOT):
        file.temporary_file_path = lambda: name  # type: ignore[attr-defined]
    return file
