"""One request under one Idempotency-Key, however often it is sent: the intent in the log is the lock."""

import json
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
    for _ in range(_RACES):
        last = log.last_try(call.client, call.idempotency_key)
        if last is not None:
            answer = _answer_of(last, call)
            if answer is not None:
                return answer
        call.idempotency_try = (last.idempotency_try or 0) + 1 if last else 1
        try:
            log.intend(call)
        except log.TryTakenError:
            call.idempotency_try = None
        else:
            return None
    raise _in_flight()


def _answer_of(last: Call, call: Call) -> Answer | None:
    """What the last try got; None where it surely sent nothing."""
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
    return _recorded(last, outcome)


def _in_flight() -> Refusal:
    return Refusal(409, "in_flight", "A call with this Idempotency-Key is on its way. Ask again for its answer.", retry_after="1")


def _recorded(call: Call, outcome: Outcome) -> Answer:
    """The answer as the log has it: status, faults, and up to 2 KiB of text."""
    faults = tuple(Fault(**fault) for fault in json.loads(outcome.faults or "[]"))
    answer = answer_to(call, outcome.upstream_status or 0, outcome.answer_type, outcome.answer.encode(), faults)
    # Under this key it is never sent again, whatever the first answer allowed.
    return replace(answer, retryable=False, replayed=True, events=call.events, duration_ms=outcome.duration_ms or 0)
