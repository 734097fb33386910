"""One request under one Idempotency-Key, however often it is sent: the intent in the log is the lock, of calls and of jobs."""

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from django.utils import timezone

from gateway.audit import log
from gateway.audit.models import Call, Outcome, Result
from gateway.audit.redaction import hide
from gateway.contract.faults import Fault
from gateway.forwarding.answer import Answer, Refusal
from gateway.forwarding.outcome import answer_to

MAX_LENGTH: Final = 255
_RACES: Final = 5


def check_key(key: str | None) -> None:
    """Raises Refusal for a key that the log cannot hold as it is. An empty one is refused too: somebody meant to send one."""
    if key is not None and (not 0 < len(key.strip()) <= MAX_LENGTH or not key.isascii() or not key.isprintable() or hide(key) != key):
        raise Refusal(400, "bad_idempotency_key", f"Idempotency-Key must be 1 to {MAX_LENGTH} printable ASCII characters, and no secret.")


def claim(call: Call) -> Answer | None:
    """Commit the intent as the key's next try, or return the answer that an earlier try got.

    A further try is allowed only where the last surely sent nothing. Raises Refusal (409, 422), LogUnavailableError.
    """
    earlier = _claim(call, lambda: log.intend(call))
    if earlier is None:
        return None
    last, outcome = earlier
    if last.job is not None:
        raise Refusal(422, "idempotency_key_reused", f"This Idempotency-Key stands for the job {last.job}: ask for that, or use a new one.")
    return _recorded(last, outcome)


def claim_job(call: Call, make: Callable[[], None]) -> uuid.UUID | None:
    """The same for a job, which `make` commits together with the intent. Returns the id of the job that was made under the key before.

    Raises what `make` raises too, but for TryTakenError.
    """
    earlier = _claim(call, make)
    return None if earlier is None else _job_of(earlier[0])


def job_of(call: Call) -> uuid.UUID | None:
    """The job that was made under the call's key, if there was one. Raises as `claim` does; commits nothing."""
    last = log.last_try(call.client, call.idempotency_key)
    return _job_of(last) if last and _judged(last, call) else None


def _claim(call: Call, commit: Callable[[], None]) -> tuple[Call, Outcome] | None:
    for _ in range(_RACES):
        last = log.last_try(call.client, call.idempotency_key)
        if last is not None and (outcome := _judged(last, call)) is not None:
            return last, outcome
        call.idempotency_try = (last.idempotency_try or 0) + 1 if last else 1
        try:
            commit()
        except log.TryTakenError:
            call.idempotency_try = None
        else:
            return None
    raise _in_flight()


def _job_of(last: Call) -> uuid.UUID:
    if last.job is None:
        raise Refusal(422, "idempotency_key_reused", f"This Idempotency-Key was used for the call {last.id}, which was no job: use a new one.")
    return last.job


def _judged(last: Call, call: Call) -> Outcome | None:
    """The outcome of the last try; None where it surely sent nothing. Raises Refusal where it is not known, or was of something else."""
    if any(getattr(last, name) != getattr(call, name) for name in ("operation", "sha256", "source", "destination")):
        raise Refusal(422, "idempotency_key_reused", "This Idempotency-Key was used with another body, operation or source: use a new one.")
    outcome = log.last_outcome(last)
    if outcome is None and timezone.now() <= last.deadline_at:
        raise _in_flight()
    if outcome is None or outcome.result == Result.UNKNOWN:
        raise Refusal(
            409,
            "outcome_unknown",
            f"The call with this Idempotency-Key, {last.id}, has an unknown outcome: RudderStack may have it. It is not sent again under this key.",
        )
    if outcome.result == Result.REFUSED or (outcome.result == Result.FAILED and outcome.upstream_status is None):
        return None
    return outcome


def _in_flight() -> Refusal:
    return Refusal(409, "in_flight", "A call with this Idempotency-Key is on its way. Ask again for its answer.", retry_after="1")


def _recorded(call: Call, outcome: Outcome) -> Answer:
    """The answer as the log has it: status, faults, and up to 2 KiB of text."""
    faults = tuple(Fault(**fault) for fault in json.loads(outcome.faults or "[]"))
    answer = answer_to(call, outcome.upstream_status or 0, outcome.answer_type, outcome.answer.encode(), faults)
    # Under this key it is never sent again, whatever the first answer allowed.
    return replace(answer, retryable=False, replayed=True, events=call.events, duration_ms=outcome.duration_ms or 0)
