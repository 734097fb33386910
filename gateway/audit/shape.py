"""A call as programs see it, by any door."""

import json
import uuid
from typing import Any

from gateway.audit.view import Record


def shape(record: Record) -> dict[str, Any]:
    """Texts, numbers and a time (UTC); durations are ms, what is not known is None."""
    call, outcome = record.call, record.outcome
    return {
        "id": str(call.id),
        "at": call.at,
        **{name: getattr(call, name) or None for name in ("operation", "channel", "client", "actor", "key_prefix", "source", "destination")},
        **{name: getattr(call, name) or None for name in ("job_run_id", "request_id")},
        "events": call.events,
        "bytes": call.bytes,
        "sha256": call.sha256 or None,
        "result": record.result,
        "status": outcome.status if outcome else None,
        "attempts": outcome.attempts if outcome else None,
        "duration_ms": outcome.duration_ms if outcome else None,
        "upstream_ms": outcome.upstream_ms if outcome else None,
        "reason": (outcome.reason or None) if outcome else None,
        "errors": [
            {name: fault[name] for name in ("pointer", "detail", "cure")} for fault in json.loads((outcome.faults if outcome else "") or "[]")
        ],
        "resend_of": _text(call.resend_of),
        "job": _text(call.job),
    }


def _text(value: uuid.UUID | None) -> str | None:
    return str(value) if value else None
