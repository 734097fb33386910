"""What becomes of a submission: it is forwarded now, or becomes a job. (One place, so that every door decides alike.)"""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from itertools import count, islice
from typing import Final

from django.conf import settings

from gateway.contract.body import GZIP, Body, BodyTooLargeError, BrokenGzipError
from gateway.contract.faults import ANSWERS, Fault, Faults
from gateway.forwarding.admission import admit, authorise, too_large
from gateway.forwarding.answer import Answer, Refusal
from gateway.forwarding.forward import forward, refuse
from gateway.forwarding.idempotency import check_key
from gateway.forwarding.outcome import CANCELLED
from gateway.forwarding.submission import Submission
from gateway.jobs import making
from gateway.jobs.checking import check
from gateway.jobs.formats import InputError, detect, read
from gateway.jobs.making import Wishes
from gateway.jobs.models import Format, Job
from gateway.jobs.tasks import wake
from gateway.operations import OPERATIONS, Shape

NO_DISK: Final = "The gateway cannot keep the input: its storage takes no more. Nothing was kept."
_GZIPPED: Final = b"\x1f\x8b"
_LINES: Final = 400
_WITHOUT_LIMIT: Final = (b"audiencelist", b"\\u")
"""One of these is in every body that RudderStack takes although it is over its limit: the type itself, or an escape that may spell it."""
_ANY: Final = OPERATIONS["audiencelist"]
"""Whose exact check tells whether something is one JSON value, whatever its size."""


def submit(submission: Submission) -> Answer | Job:
    """Forward the submission and wait for its answer; or make a job where that is asked for, or the body is too large for one call.

    Under one Idempotency-Key there is one job: asked for again, it is given as it is now. Raises LogUnavailableError: then nothing was sent.
    """
    if not submission.respond_async and not _is_large(submission):
        return forward(submission)
    try:
        _begin(submission)
        try:
            submission, form, text = _input(submission)
        except Refusal:
            if submission.respond_async:
                raise
            # Of what makes no job either, RudderStack's own answer says more.
            return forward(submission)
        if submission.cancellation is not None and submission.cancellation.asked:
            raise Refusal(CANCELLED, "cancelled", "The caller went away before a job was made. Nothing was sent.")
        job = making.from_upload(submission, BytesIO(text), form, Wishes())
    except Refusal as refusal:
        return refuse(submission, refusal)
    except OSError:
        return refuse(submission, Refusal(503, "no_disk", NO_DISK, retry_after="60"))
    wake()
    return job


def _is_large(submission: Submission) -> bool:
    """Whether it is a batch over RudderStack's limit and within ours, from somebody who may send it."""
    limit = submission.operation.size_limit
    if limit is None or submission.operation.shape is not Shape.BATCH:
        return False
    try:
        _begin(submission)
        text = submission.body.text
        if len(text) <= limit or detect(BytesIO(text), settings.GATEWAY_MAX_BODY_BYTES) != Format.BATCH:
            return False
        # RudderStack asks for no size where an event's type is audiencelist.
        could_go = any(sign in text for sign in _WITHOUT_LIMIT)
        return not (could_go and submission.body.exact(submission.operation).accepted)
    except (Refusal, BodyTooLargeError, BrokenGzipError, InputError):
        return False  # forward() says what is wrong


def _begin(submission: Submission) -> None:
    """What is judged before any work is done on the body. Raises Refusal."""
    if submission.refusal is not None:
        raise submission.refusal
    check_key(submission.idempotency_key)
    authorise(submission)


def _input(submission: Submission) -> tuple[Submission, Format, bytes]:
    """The submission, how its job's input is written, and that. Raises Refusal.

    A body that could go as a call is judged as one: all of it is good, or nothing is done. Of others one event must be good.
    """
    operation = submission.operation
    try:
        if submission.body.received.startswith(_GZIPPED):
            submission = replace(submission, body=Body.of(submission.body.received, GZIP, settings.GATEWAY_MAX_BODY_BYTES))
        text = submission.body.text
        if text.startswith(_GZIPPED):
            raise BrokenGzipError
        form = detect(BytesIO(text), settings.GATEWAY_MAX_BODY_BYTES)
    except BodyTooLargeError as error:
        raise too_large(operation, error.limit) from None
    except (BrokenGzipError, InputError):
        raise Refusal(400, "broken_gzip", "The body is named gzip, or looks like it, but cannot be unpacked once. No job was made.") from None
    if not text.strip():
        raise Refusal(400, "empty_input", "There is nothing in the body. No job was made.")
    if operation.shape is Shape.EVENT and text.lstrip().startswith(b"{") and submission.body.exact(_ANY).reason != "invalid_json":
        admit(submission)
        # Over several lines it would be no line of its own.
        return submission, Format.ARRAY, b"[%b]" % text
    fits = operation.size_limit is None or len(text) <= operation.size_limit
    if fits and (operation.shape, form) in ((Shape.BATCH, Format.BATCH), (Shape.MESSAGES, Format.ARRAY)):
        admit(submission)
    else:
        _look_through(submission, form, text)
    return submission, form, text


def _look_through(submission: Submission, form: Format, text: bytes) -> None:
    """Raises Refusal where the input cannot be told apart into events, or none of them could be sent."""
    faults, lines, good = Faults(), 0, False
    try:
        for block in _blocks(form, text):
            lines += len(block)
            # The worker checks them all; here it is enough that one is good.
            good = good or _any_good(submission, form, block, faults)
    except InputError as error:
        raise Refusal(400, error.reason, f"{error} No job was made.") from None
    if not lines:
        raise Refusal(400, "empty_input", "There is no event in the body. No job was made.")
    if not good:
        first = next(iter(faults))
        status = 413 if ANSWERS.get(first.reason, (400, ""))[0] == 413 else 400
        raise Refusal(status, first.reason, "None of the events could be sent. No job was made: correct what errors names.", tuple(faults))


def _blocks(form: Format, text: bytes) -> Iterator[list[tuple[int, bytes]]]:
    """The events with their numbers, from 0, without blank lines."""
    numbered = zip(count(), (event for _, event in read(BytesIO(text), form, settings.GATEWAY_MAX_BODY_BYTES)), strict=False)
    events = ((number, event) for number, event in numbered if event or form != Format.NDJSON)
    while block := list(islice(events, _LINES)):
        yield block


def _any_good(submission: Submission, form: Format, block: list[tuple[int, bytes]], faults: Faults) -> bool:
    checked = check(submission.operation, [event for _, event in block], lambda index: f"m-{index}", exactly=submission.dry_run)
    start = "/batch" if form == Format.BATCH else ""
    for (number, _), (event, _) in zip(block, checked, strict=True):
        if not isinstance(event, Fault):
            return True
        line = f"Line {number + 1}: " if form == Format.NDJSON else ""
        faults.add(f"{start}/{number}{event.pointer}", event.reason, f"{line}{event.detail}", event.cure)
    return False
