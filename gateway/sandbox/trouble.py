"""Faults on demand: what the sandbox does wrong with the next requests, so that the other side can be tested against it."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

KINDS: Final = {
    "delay": "answers after `seconds`",
    "429": "429, with Retry-After where `retry_after` is given",
    "500": "500 with a database's words, not stored",
    "401": "401 invalid write key",
    "reset_before": "resets the connection before it reads the body, not stored",
    "reset_after": "stores, then resets the connection",
    "half_answer": "stores, then sends half an answer and closes",
    "dripped_answer": "stores, then answers one byte every `seconds` (0.2)",
    "redirect": "302 to `location`",
    "html": "an HTML page with `status` (502)",
    "informational": "stores, then sends 102 and 103 before the answer",
    "204": "stores, then 204 without a body",
    "endless": "stores, then an answer that never ends",
    "answer": "stores, then `status` (200), `content_type`, `body` as given, and `headers`",
    "closed_port": "does not listen for `seconds`",
}


class TroubleError(Exception):
    """The order is not as `read` takes it."""


@dataclass(slots=True)
class Trouble:
    """One fault, for the next `times` requests to the operations (None: until it is taken back)."""

    kind: str
    times: int | None = None
    seconds: float = 1.0
    status: int = 502
    retry_after: int | None = None
    location: str = "/elsewhere"
    content_type: str = "text/plain; charset=utf-8"
    body: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)


_TYPES: Final = {
    "times": int | None,
    "seconds": int | float,
    "status": int,
    "retry_after": int | None,
    "location": str,
    "content_type": str,
    "body": str,
    "headers": dict,
}


def read(content: bytes) -> Trouble:
    """A trouble from a JSON object `{"kind": …, "times": …, …}`. Raises TroubleError."""
    try:
        order: Any = json.loads(content)
        if isinstance(order, dict):
            order.setdefault("status", 200 if order.get("kind") == "answer" else 502)
            order.setdefault("seconds", 0.2 if order.get("kind") == "dripped_answer" else 1.0)
        trouble = Trouble(**order)
    except (ValueError, TypeError, RecursionError):
        raise TroubleError(
            "send a JSON object with kind, and perhaps times, seconds, status, retry_after, location, content_type, body, headers"
        ) from None
    if not isinstance(trouble.kind, str) or trouble.kind not in KINDS:
        raise TroubleError(f"kind must be one of {', '.join(KINDS)}")
    for name, types in _TYPES.items():
        value = getattr(trouble, name)
        if not isinstance(value, types) or isinstance(value, bool):
            raise TroubleError(f"{name} is of the wrong type: see GET /faults")
    if not all(isinstance(text, str) for pair in trouble.headers.items() for text in pair):
        raise TroubleError("headers must map names to texts")
    if not 100 <= trouble.status <= 999 or not 0 <= trouble.seconds <= 3600 or (trouble.times is not None and trouble.times < 1):
        raise TroubleError("status must be 100 to 999, seconds 0 to 3600, times at least 1")
    return trouble
