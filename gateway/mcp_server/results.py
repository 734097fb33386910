"""What a tool gives: the answer as structured content, the same as text, and whether it reads as an error."""

import json
from time import monotonic
from typing import Any, Final

from jsonschema import Draft202012Validator
from mcp_types import CallToolResult, TextContent

from gateway.audit.failure import INTERNAL, LOG_UNAVAILABLE
from gateway.audit.log import LogUnavailableError
from gateway.audit.models import Result
from gateway.contract.decoding import depth
from gateway.contract.faults import Fault
from gateway.forwarding.answer import Answer
from gateway.forwarding.submission import Submission
from gateway.jobs.models import Job
from gateway.jobs.shape import shape
from gateway.mcp_server.schemas import JOBS, OUTPUT
from gateway.operations import Shape
from gateway.upstream.answers import text_of

_OUTPUT: Final = Draft202012Validator(OUTPUT)
_DEEPEST: Final = 100
"""Levels of RudderStack's JSON that are shown as such: the protocol's own coders count them too."""
_PLACES: Final = {
    "no_source": ("source", "No source is given, and the gateway has no default for this tool.", "Give the id of a source."),
    "source_not_allowed": ("source", "This key may not send to this source, which is the default if none is given.", "Give a source of yours."),
    "no_write_key": ("source", "The gateway has no write key for this source.", "Give another source, or ask whoever runs the gateway."),
    "bad_idempotency_key": ("idempotency_key", "This cannot be a key.", "Choose 1 to 255 printable ASCII characters, and no secret."),
    "idempotency_key_reused": ("idempotency_key", "This key stands for another call.", "Choose a new key for this call."),
}
"""Refusals that are of one argument, which REST has in a header: the argument, what is wrong, and what to change."""


def result_of(submission: Submission, answer: Answer, body: str) -> CallToolResult:
    """An answer; pointers lead into the arguments, of which `body` is the one that became the body."""
    shown: dict[str, Any] = {
        "audit_id": str(answer.call_id),
        "outcome": answer.result,
        "status": answer.status,
        "result": _said(answer),
        "events": answer.events,
        "duration_ms": answer.duration_ms,
        "retryable": answer.retryable,
    }
    if not answer.succeeded:
        shown |= {"detail": answer.detail, "reason": answer.reason, "origin": answer.origin}
    if answer.errors:
        start = "" if submission.refusal is not None or submission.operation.shape is Shape.BATCH else f"/{body}"
        shown["errors"] = [_shown(fault, start) for fault in answer.errors]
    elif answer.result in (Result.REFUSED, Result.DRY_RUN) and answer.reason in _PLACES:
        place, detail, cure = _PLACES[answer.reason]
        shown["errors"] = [{"pointer": f"/{place}", "detail": detail, "cure": cure}]
    if answer.retry_after is not None:
        shown["retry_after"] = answer.retry_after
    if answer.replayed:
        shown["replayed"] = True
    if answer.pending:
        shown["audit_state"] = "pending"
    return _result(shown, is_error=not answer.succeeded)


def result_of_job(submission: Submission, job: Job) -> CallToolResult:
    """A job that was made, or had been under the same key, as it is now."""
    told = shape(job)
    progress = {name: told[name] for name in ("id", "state", "reason", "events", "submitted", "accepted", "refused", "possible_duplicates")}
    shown: dict[str, Any] = {
        "audit_id": str(job.id),
        "outcome": Result.JOB.value,
        "status": 202,
        "result": None,
        "events": job.events if job.taken_in else None,
        "duration_ms": round((monotonic() - submission.started) * 1000),
        "retryable": False,
        "job": {**progress, "resource": f"{JOBS}{job.id}"},
    }
    return _result(shown, is_error=False)


def log_unavailable(error: LogUnavailableError) -> CallToolResult:
    """No log, no sending."""
    call_id = str(error.call_id) if error.call_id else None
    return _failure(call_id, Result.FAILED, 503, "log_unavailable", LOG_UNAVAILABLE, retryable=True)


def internal() -> CallToolResult:
    """A fault of the gateway's, perhaps with bytes on their way."""
    return _failure(None, Result.UNKNOWN, 500, "internal", INTERNAL, retryable=False)


def _failure(call_id: str | None, outcome: Result, status: int, reason: str, detail: str, *, retryable: bool) -> CallToolResult:
    shown = {
        "audit_id": call_id,
        "outcome": outcome.value,
        "status": status,
        "result": None,
        "events": None,
        "duration_ms": 0,
        "retryable": retryable,
        "detail": detail,
        "reason": reason,
        "origin": "gateway",
    }
    return _result(shown | ({"retry_after": "1"} if retryable else {}), is_error=True)


def _result(shown: dict[str, Any], *, is_error: bool) -> CallToolResult:
    _OUTPUT.validate(shown)
    text = json.dumps(shown, ensure_ascii=False)
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=shown, is_error=is_error)


def _said(answer: Answer) -> Any:
    """RudderStack's JSON or text; of a dry run, what would be sent."""
    if answer.document is not None:
        if answer.result != Result.DRY_RUN:
            return answer.document["result"]
        # Ids in the body can hold half a surrogate pair, which no client could read.
        return json.loads(json.dumps(answer.document, ensure_ascii=False).encode("utf-8", "replace"))
    if answer.raw is None or answer.status >= 500:
        return None
    try:
        said = json.loads(answer.raw)
        # Half a surrogate pair and a number beyond a double are JSON, but not for every client.
        json.dumps(said, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return text_of(answer.raw)
    return said if depth(answer.raw) <= _DEEPEST else text_of(answer.raw)


def _shown(fault: Fault, start: str) -> dict[str, str]:
    return {**fault.shown(), "pointer": f"{start}{fault.pointer}"}
