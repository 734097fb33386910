"""The way of one call: admitted, intended, sent, its outcome recorded. No log, no sending."""

import logging
from dataclasses import asdict
from datetime import timedelta
from hashlib import sha256
from time import monotonic
from typing import Any, Final

from django.conf import settings
from django.utils import timezone

from gateway.audit import log
from gateway.audit.models import Call, Outcome, Result, new_id
from gateway.audit.redaction import masked_answer, masked_headers
from gateway.contract.body import BodyTooLargeError
from gateway.contract.faults import Fault
from gateway.forwarding import idempotency
from gateway.forwarding.admission import Admission, admit
from gateway.forwarding.answer import Answer, Refusal
from gateway.forwarding.submission import Submission
from gateway.upstream import client
from gateway.upstream.answers import document_of, json_of, text_of

GRACE: Final = timedelta(seconds=5)
"""Between the upstream deadline and the time from which a call without an outcome reads `unknown`: writing takes its time too."""
_GENERAL_5XX: Final = "RudderStack could not take the request. What it said is in the audit log."
_WHY: Final = {
    "circuit_open": "RudderStack did not answer the last calls, so this one was not sent. Nothing was sent: send it again later.",
    "connect_failed": "RudderStack could not be reached. Nothing was sent: it is safe to send it again.",
    "tls_failed": "RudderStack's certificate could not be trusted, or TLS failed. Nothing was sent.",
    "not_sendable": "The gateway has no usable address of RudderStack (RUDDERSTACK_BASE_URL), or a header cannot be sent. Nothing was sent.",
    "no_answer_in_time": "RudderStack did not answer in time. It may have the events or not.",
    "answer_cut": "RudderStack's answer did not arrive whole. It may have the events or not.",
    "answer_too_long": "RudderStack's answer did not end. It may have the events or not.",
    "proxy_gave_up": "A proxy before RudderStack gave up waiting. RudderStack may have the events or not.",
    "no_final_answer": "RudderStack gave no final answer. It may have the events or not.",
}
_logger = logging.getLogger(__name__)


def forward(submission: Submission) -> Answer:
    """Send a submission and say what came of it. Raises LogUnavailableError: then nothing was sent."""
    call = _begin(submission)
    try:
        idempotency.check_key(submission.idempotency_key)
        admission = admit(submission)
        _complete(call, submission, admission)
        if submission.dry_run:
            return _dry_run(call, submission, admission)
        if submission.idempotency_key:
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
        deadline_at=now + timedelta(seconds=settings.GATEWAY_DEADLINE_SECONDS) + GRACE,
        operation=submission.operation.name,
        channel=submission.channel,
        client=submission.principal.client_id,
        actor=submission.principal.name,
        key_prefix=submission.principal.key_prefix,
        address=submission.address,
        request_id=submission.request_id,
        idempotency_key=submission.idempotency_key,
        source=submission.header("X-Rudder-Source-Id"),
        destination=submission.header("X-Rudder-Destination-Id"),
        headers=masked_headers(submission.headers),
    )


def _complete(call: Call, submission: Submission, admission: Admission) -> None:
    call.source = admission.source
    call.destination = admission.destination
    call.job_run_id = admission.job_run_id
    call.events = admission.reading.events
    _digest(call, submission)


def _digest(call: Call, submission: Submission) -> None:
    if submission.body.was_read:
        call.bytes = len(submission.body.received)
        call.sha256 = submission.body.digest


def _refuse(call: Call, submission: Submission, refusal: Refusal) -> Answer:
    """Record the refusal; intent and outcome together, as nothing was going to be sent."""
    _digest(call, submission)
    dry = submission.dry_run and refusal.status not in (401, 403)
    outcome = Outcome(
        at=timezone.now(),
        result=Result.DRY_RUN if dry else Result.REFUSED,
        status=refusal.status,
        duration_ms=_since(submission),
        reason=refusal.reason,
        faults=_faults(refusal.faults),
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
    outcome = Outcome(at=timezone.now(), result=Result.DRY_RUN, status=200, duration_ms=_since(submission), faults=_faults(admission.faults))
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
        "errors": [_public(fault) for fault in admission.faults],
    }
    return Answer(call.id, Result.DRY_RUN, 200, document=document, events=reading.events, duration_ms=outcome.duration_ms or 0)


def _send(call: Call, submission: Submission, admission: Admission) -> Answer:
    outcome, answer = Outcome(), None
    try:
        reply = client.post(submission.operation.upstream_path, admission.headers, submission.body.received)
    except client.SendError as error:
        outcome, answer = _not_answered(call, error)
    else:
        outcome, answer = _answered(call, submission, reply)
    outcome.at = timezone.now()
    outcome.duration_ms = _since(submission)
    if admission.faults and not outcome.faults:
        outcome.faults = _faults(admission.faults)
    pending = False
    try:
        log.close(call, outcome)
    except log.LogUnavailableError:
        _logger.error("the outcome of call %s, %s, is not written", call.id, outcome.result)
        pending = True
    return Answer(call.id, outcome.result, **answer, reason=outcome.reason, pending=pending, events=call.events, duration_ms=outcome.duration_ms)


def _not_answered(call: Call, error: client.SendError) -> tuple[Outcome, dict[str, Any]]:
    unknown = error.outcome_unknown
    status = 504 if unknown else 503 if error.reason == "circuit_open" else 502
    outcome = Outcome(
        result=Result.UNKNOWN if unknown else Result.FAILED,
        status=status,
        attempts=error.attempts,
        upstream_ms=error.duration_ms,
        reason=error.reason,
    )
    retry_after = str(error.retry_after) if error.retry_after is not None else None
    return outcome, {"status": status, "detail": _WHY[error.reason], "retry_after": retry_after, "retryable": error.retryable}


def _answered(call: Call, submission: Submission, reply: client.Reply) -> tuple[Outcome, dict[str, Any]]:
    """The outcome's row, and what is said of it. Of a 5xx and of what is no answer to a POST only a general sentence."""
    outcome = Outcome(
        upstream_status=reply.status,
        attempts=reply.attempts,
        upstream_ms=reply.duration_ms,
        answer_sha256=sha256(reply.content).hexdigest(),
        answer_type=reply.content_type,
        answer=masked_answer(reply.content),
    )
    raw = json_of(reply.content_type, reply.content)
    said: dict[str, Any] = {"status": reply.status, "origin": "upstream", "retry_after": reply.retry_after}
    if 200 <= reply.status < 300:
        outcome.result = Result.ACCEPTED
        said |= {"status": 200 if reply.status in (204, 205) else reply.status, "raw": raw}
        said["document"] = document_of(reply.content) if raw is None else None
    elif 400 <= reply.status < 500:
        outcome.result, outcome.reason = Result.REJECTED, "rejected_by_upstream"
        faults = _explain(submission) if reply.status in (400, 413) else ()
        outcome.faults = _faults(faults)
        said |= {"raw": raw, "detail": text_of(reply.content), "errors": faults, "retryable": reply.status == 429}
    elif reply.status in (502, 504) or reply.status < 200:
        outcome.result, outcome.reason = Result.UNKNOWN, "proxy_gave_up" if reply.status >= 500 else "no_final_answer"
        said |= {"status": 504, "detail": _WHY[outcome.reason]}
    elif 300 <= reply.status < 400 or reply.status >= 600:
        outcome.result, outcome.reason = Result.FAILED, "redirect"
        said |= {"status": 502, "detail": f"RudderStack's address answered {reply.status}; a redirect is not followed. Check RUDDERSTACK_BASE_URL."}
    else:
        outcome.result, outcome.reason = Result.FAILED, "upstream_error"
        said |= {"detail": _GENERAL_5XX, "retryable": True}
    outcome.status = said["status"]
    return outcome, said


def _explain(submission: Submission) -> tuple[Fault, ...]:
    """Why RudderStack refused the body, as far as the exact check knows."""
    try:
        return submission.body.exact(submission.operation).faults
    except BodyTooLargeError:
        return ()


def _public(fault: Fault) -> dict[str, str]:
    return {"pointer": fault.pointer, "detail": fault.detail, "cure": fault.cure}


def _faults(faults: tuple[Fault, ...]) -> str:
    return log.as_json(asdict(fault) for fault in faults)


def _since(submission: Submission) -> int:
    return round((monotonic() - submission.started) * 1000)
