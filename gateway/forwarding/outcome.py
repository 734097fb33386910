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

_WHY: Final = {
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
    status = 504 if error.outcome_unknown else 503 if error.reason == "circuit_open" else 502
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
    """The row and the answer for a whole reply. Of a 5xx, and of what is no answer to a POST, callers get a general sentence only."""
    outcome = Outcome(
        upstream_status=reply.status,
        attempts=reply.attempts,
        upstream_ms=reply.duration_ms,
        answer_sha256=sha256(reply.content).hexdigest(),
        answer_type=mask(reply.content_type),
        answer=masked_answer(reply.content),
    )
    content = without_secrets(reply.content)
    raw = json_of(reply.content_type, content)
    answer = Answer(call.id, "", reply.status, origin="upstream", retry_after=reply.retry_after)
    faults: tuple[Fault, ...] = ()
    if 200 <= reply.status < 300:
        outcome.result = Result.ACCEPTED
        status = 200 if reply.status in (204, 205) else reply.status
        answer = replace(answer, status=status, raw=raw, document=document_of(content) if raw is None else None)
    elif 400 <= reply.status < 500:
        outcome.result, outcome.reason = Result.REJECTED, "rejected_by_upstream"
        faults = _explain(submission) if reply.status in (400, 413) else ()
        answer = replace(answer, raw=raw, detail=text_of(content), errors=faults, retryable=reply.status == 429)
    elif reply.status in (502, 504) or reply.status < 200:
        outcome.result, outcome.reason = Result.UNKNOWN, "proxy_gave_up" if reply.status >= 500 else "no_final_answer"
        answer = replace(answer, status=504, detail=_WHY[outcome.reason])
    elif 300 <= reply.status < 400 or reply.status >= 600:
        outcome.result, outcome.reason = Result.FAILED, "redirect" if reply.status < 400 else "no_http_status"
        answer = replace(answer, status=502, detail=f"RudderStack's address answered {reply.status}. {_WHY['redirect']}")
    else:
        outcome.result, outcome.reason = Result.FAILED, "upstream_error"
        answer = replace(answer, detail=_WHY["upstream_error"], retryable=True)
    outcome.status, outcome.faults = answer.status, as_text(faults)
    return outcome, replace(answer, result=outcome.result, reason=outcome.reason)


def as_text(faults: Iterable[Fault]) -> str:
    """Faults as the log keeps them."""
    return as_json(asdict(fault) for fault in faults)


def _explain(submission: Submission) -> tuple[Fault, ...]:
    """Why RudderStack refused the body, as far as the exact check knows."""
    try:
        return submission.body.exact(submission.operation).faults
    except BodyTooLargeError:
        return ()
