"""The way of one call: admitted, intended, sent, its outcome recorded. No log, no sending."""

import logging
import uuid
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import Any, Final

from django.conf import settings
from django.utils import timezone

from gateway.audit import late, log
from gateway.audit.models import Call, Outcome, Result, new_id
from gateway.audit.redaction import hide, masked_headers
from gateway.forwarding import idempotency
from gateway.forwarding.admission import DESTINATION, SOURCE, Admission, admit
from gateway.forwarding.answer import Answer, Refusal
from gateway.forwarding.outcome import CANCELLED, as_text, of_no_answer, of_reply
from gateway.forwarding.submission import Submission
from gateway.upstream import client

GRACE: Final = timedelta(seconds=5)
"""Between the upstream deadline and the time from which a call without an outcome reads `unknown`: writing takes its time too."""
_logger = logging.getLogger(__name__)


def forward(submission: Submission) -> Answer:
    """Send a submission and say what came of it. Raises LogUnavailableError: then nothing was sent."""
    call = _begin(submission)
    try:
        late.check()
        return _forward(call, submission)
    except log.LogUnavailableError as error:
        if error.doubtful:
            late.doubt(call)
        error.call_id = call.id
        raise


def refuse(submission: Submission, refusal: Refusal) -> Answer:
    """Record that a submission was refused before it was forwarded. Raises LogUnavailableError."""
    return _refuse(_begin(submission), submission, refusal)


def call_of_job(submission: Submission, job: uuid.UUID, *, source: str, destination: str, job_run_id: str, sha256: str) -> Call:
    """The intent of a submission that becomes a job of this id, and so its own; not committed yet. `sha256` is of the input."""
    call = _begin(submission)
    call.id = call.job = job
    call.source, call.destination, call.job_run_id = source, destination, job_run_id
    _digest(call, submission)
    call.sha256 = sha256
    log.clean(call)
    return call


def record_job(call: Call, submission: Submission) -> None:
    """Write that the submission became a job; inside `log.together`, with the job. Raises TryTakenError, LogUnavailableError."""
    log.intend(call)
    log.close(Outcome(call=call, at=timezone.now(), result=Result.JOB, status=202, duration_ms=_since(submission)))


def _forward(call: Call, submission: Submission) -> Answer:
    try:
        if submission.refusal is not None:
            raise submission.refusal
        idempotency.check_key(submission.idempotency_key)
        admission = admit(submission)
        _complete(call, submission, admission)
        if submission.cancellation is not None and submission.cancellation.asked:
            raise Refusal(CANCELLED, "cancelled", "The caller went away before anything was sent. Nothing was sent.")
        if submission.dry_run:
            return _dry_run(call, submission, admission)
        if submission.idempotency_key is not None:
            earlier = idempotency.claim(call)
            if earlier is not None:
                return earlier
        else:
            log.intend(call)
    except Refusal as refusal:
        return _refuse(call, submission, refusal)
    return _send(call, submission, admission)


def _begin(submission: Submission) -> Call:
    """The call as far as it is known before anything is judged."""
    now = timezone.now()
    return Call(
        id=new_id(),
        at=now,
        deadline_at=now,
        operation=submission.operation.name,
        channel=submission.channel,
        client=submission.principal.client_id,
        actor=submission.principal.name,
        key_prefix=submission.principal.key_prefix,
        address=submission.address,
        request_id=hide(submission.request_id),
        idempotency_key=hide(submission.idempotency_key or ""),
        source=hide(submission.header(SOURCE)),
        destination=hide(submission.header(DESTINATION)),
        headers=masked_headers(submission.headers),
        job=submission.job,
        chunk=submission.chunk,
    )


def _complete(call: Call, submission: Submission, admission: Admission) -> None:
    call.source = hide(admission.source)
    call.destination = hide(admission.destination)
    call.job_run_id = hide(admission.job_run_id)
    call.events = admission.reading.events
    # Read now at the latest: it is what is sent.
    call.bytes, call.sha256 = len(submission.body.received), submission.body.digest
    # From here on, as reading the body took its own time.
    call.deadline_at = timezone.now() + timedelta(seconds=settings.GATEWAY_DEADLINE_SECONDS) + GRACE
    log.clean(call)


def _digest(call: Call, submission: Submission) -> None:
    if submission.body.was_read:
        call.bytes = len(submission.body.received)
        call.sha256 = submission.body.digest


def _refuse(call: Call, submission: Submission, refusal: Refusal) -> Answer:
    """Record the refusal; intent and outcome together, as nothing was going to be sent."""
    _digest(call, submission)
    call.source = hide(refusal.source) or call.source
    call.events = call.events if refusal.events is None else refusal.events
    dry = submission.dry_run and refusal.status not in (401, 403)
    outcome = Outcome(
        at=timezone.now(),
        result=Result.DRY_RUN if dry else Result.REFUSED,
        status=refusal.status,
        duration_ms=_since(submission),
        reason=refusal.reason,
        faults=as_text(refusal.faults),
    )
    log.record(call, outcome)
    return Answer(
        call_id=call.id,
        result=outcome.result,
        status=refusal.status,
        reason=refusal.reason,
        detail=refusal.detail,
        errors=refusal.faults,
        retry_after=refusal.retry_after,
        retryable=refusal.retry_after is not None,
        duration_ms=outcome.duration_ms or 0,
    )


def _dry_run(call: Call, submission: Submission, admission: Admission) -> Answer:
    reading = admission.reading
    outcome = Outcome(at=timezone.now(), result=Result.DRY_RUN, status=200, duration_ms=_since(submission), faults=as_text(admission.faults))
    log.record(call, outcome)
    document: dict[str, Any] = {
        "dry_run": True,
        "operation": call.operation,
        "target": f"{settings.RUDDERSTACK_BASE_URL}{submission.operation.upstream_path}",
        "source": admission.source or None,
        "destination": admission.destination or None,
        "job_run_id": admission.job_run_id or None,
        "events": reading.events,
        "bytes": call.bytes,
        "events_without_message_id": reading.without_message_id,
        "errors": [fault.shown() for fault in admission.faults],
    }
    return Answer(call.id, Result.DRY_RUN, 200, document=document, events=reading.events, duration_ms=outcome.duration_ms or 0)


def _send(call: Call, submission: Submission, admission: Admission) -> Answer:
    try:
        path = submission.operation.upstream_path + (f"?{submission.query}" if submission.query else "")
        reply = client.post(path, admission.headers, submission.body.received, submission.cancellation)
        outcome, answer = of_reply(call, submission, reply)
    except client.SendError as error:
        outcome, answer = of_no_answer(call, error)
    except Exception:
        # A fault of ours, perhaps with bytes on their way: the log must not wait for the clock to say so.
        _close(call, Outcome(at=timezone.now(), result=Result.UNKNOWN, status=500, reason="internal", duration_ms=_since(submission)))
        raise
    outcome.at = timezone.now()
    outcome.duration_ms = _since(submission)
    # Where validation is observe: what would have been said, unless upstream's own no is explained already.
    outcome.faults = outcome.faults or as_text(admission.faults)
    written = _close(call, outcome)
    # What RudderStack answered is replayed under its key: the same call again would not be sent.
    final = submission.idempotency_key is not None and outcome.upstream_status is not None
    return replace(answer, retryable=answer.retryable and not final, pending=not written, events=call.events, duration_ms=outcome.duration_ms)


def _close(call: Call, outcome: Outcome) -> bool:
    """Whether the outcome is written; else it is kept until it can be."""
    outcome.call = call
    try:
        log.close(outcome)
    except log.LogUnavailableError:
        _logger.error("the outcome of call %s, %s, waits to be written", call.id, outcome.result)
        late.keep(outcome)
        return False
    return True


def _since(submission: Submission) -> int:
    return round((monotonic() - submission.started) * 1000)
