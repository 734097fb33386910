"""What an answer of RudderStack, or none, means: the outcome to record and what to say of it."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from hashlib import sha256
from typing import Final

from gateway.audit.log import as_json
from gateway.audit.models import Call, Outcome, Result
from gateway.audit.redaction import mask, masked_answer, without_secrets
from gateway.contract.body import BodyTooLargeError
from gateway.contract.faults import Fault
from gateway.forwarding.answer import Answer
from gateway.forwarding.submission import Submission
from gateway.upstream.answers import document_of, json_of, text_of
from gateway.upstream.client import Reply, SendError

CANCELLED: Final = 499
"""nginx's status for a caller who went away, which many know."""
_STATUS: Final = {"circuit_open": 503, "cancelled": CANCELLED}
_WHY: Final = {
    "cancelled": "The caller went away. RudderStack may have the events or not, if any were sent by then.",
    "circuit_open": "RudderStack did not answer the last calls, so this one was not sent. Nothing was sent: send it again later.",
    "connect_failed": "RudderStack could not be reached. Nothing was sent: it is safe to send it again.",
    "tls_failed": "RudderStack's certificate could not be trusted, or TLS failed. Nothing was sent.",
    "not_sendable": "The gateway has no usable address of RudderStack (RUDDERSTACK_BASE_URL), or a header cannot be sent. Nothing was sent.",
    "no_answer_in_time": "RudderStack did not answer in time. It may have the events or not.",
    "answer_cut": "RudderStack's answer did not arrive whole. It may have the events or not.",
    "answer_too_long": "RudderStack's answer did not end. It may have the events or not.",
    "proxy_gave_up": "A proxy before RudderStack gave up waiting. RudderStack may have the events or not.",
    "redirect": "That is no answer to a POST, and nothing is followed. Check RUDDERSTACK_BASE_URL.",
    "upstream_error": "RudderStack could not take the request. What it said is in the audit log.",
    "no_final_answer": "RudderStack gave no final answer. It may have the events or not.",
}


def of_no_answer(call: Call, error: SendError) -> tuple[Outcome, Answer]:
    """The row and the answer where no whole answer came: unknown if bytes may have left, else failed."""
    status = 504 if error.outcome_unknown else _STATUS.get(error.reason, 502)
    outcome = Outcome(
        result=Result.UNKNOWN if error.outcome_unknown else Result.FAILED,
        status=status,
        attempts=error.attempts,
        upstream_ms=error.duration_ms,
        reason=error.reason,
    )
    retry_after = str(error.retry_after) if error.retry_after is not None else None
    return outcome, Answer(
        call.id, outcome.result, status, reason=error.reason, detail=_WHY[error.reason], retry_after=retry_after, retryable=error.retryable
    )


def of_reply(call: Call, submission: Submission, reply: Reply) -> tuple[Outcome, Answer]:
    """The row and the answer for a whole reply. An upstream 400 or 413 is explained by the exact check."""
    faults = _explain(submission) if reply.status in (400, 413) else ()
    answer = answer_to(call, reply.status, reply.content_type, without_secrets(reply.content), faults)
    outcome = Outcome(
        result=answer.result,
        status=answer.status,
        upstream_status=reply.status,
        attempts=reply.attempts,
        upstream_ms=reply.duration_ms,
        answer_sha256=sha256(reply.content).hexdigest(),
        answer_type=mask(reply.content_type),
        answer=masked_answer(reply.content),
        reason=answer.reason,
        faults=as_text(faults),
    )
    return outcome, replace(answer, retry_after=reply.retry_after)


def answer_to(call: Call, status: int, content_type: str, content: bytes, faults: tuple[Fault, ...]) -> Answer:
    """What callers are told of an upstream status and content. Of a 5xx, and of what is no answer to a POST, a general sentence only."""
    raw = json_of(content_type, content)
    answer = Answer(call.id, "", status, origin="upstream")
    if 200 <= status < 300:
        shown = 200 if status in (204, 205) else status
        return replace(answer, result=Result.ACCEPTED, status=shown, raw=raw, document=document_of(content) if raw is None else None)
    if 400 <= status < 500:
        said = replace(answer, raw=raw, detail=text_of(content), errors=faults, retryable=status == 429)
        return replace(said, result=Result.REJECTED, reason="rejected_by_upstream")
    if status in (502, 504) or status < 200:
        reason = "proxy_gave_up" if status >= 500 else "no_final_answer"
        return replace(answer, result=Result.UNKNOWN, status=504, reason=reason, detail=_WHY[reason])
    if 500 <= status < 600:
        return replace(answer, result=Result.FAILED, reason="upstream_error", detail=_WHY["upstream_error"], retryable=True)
    detail = f"RudderStack's address answered {status}. {_WHY['redirect']}"
    return replace(answer, result=Result.FAILED, status=502, reason="redirect", detail=detail)


def as_text(faults: Iterable[Fault]) -> str:
    """Faults as the log keeps them."""
    return as_json(asdict(fault) for fault in faults)


def _explain(submission: Submission) -> tuple[Fault, ...]:
    """Why RudderStack refused the body, as far as the exact check knows."""
    try:
        return submission.body.exact(submission.operation).faults
    except BodyTooLargeError:
        return ()
