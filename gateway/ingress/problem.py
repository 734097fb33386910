"""A problem as JSON (RFC 9457)."""

from http import HTTPStatus
from typing import Any, Final

TYPE: Final = "application/problem+json"


def problem(status: int, reason: str, detail: str, **extra: Any) -> dict[str, Any]:
    """The document; `extra` are further members."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, "reason": reason, "origin": "gateway", **extra}
