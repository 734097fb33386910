"""One JSON-RPC message as it came: read once, before the SDK, whose readers take 200 levels only and tell clients what they raised."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp_types import INVALID_REQUEST, PARSE_ERROR

from gateway.contract.decoding import uncollected

ENVELOPE: Final = 64 * 1024
"""Bytes that a message may have beside its arguments."""
ID_LENGTH: Final = 500
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class BadMessageError(Exception):
    """No message that can be served: the error to answer with."""

    def __init__(self, code: int, message: str, request_id: str | int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id

    @property
    def answer(self) -> dict[str, Any]:
        """The JSON-RPC error."""
        return {"jsonrpc": "2.0", "id": self.request_id, "error": {"code": self.code, "message": str(self)}}


@dataclass(frozen=True, slots=True)
class Message:
    """A request, a notification (`request_id` None), or a response (`method` None)."""

    content: dict[str, Any]

    @property
    def method(self) -> str | None:
        """What is asked for."""
        return self.content.get("method")

    @property
    def request_id(self) -> str | int | None:
        """The client's name for the request."""
        return self.content.get("id")

    @property
    def params(self) -> dict[str, Any]:
        """Empty where there are none."""
        return self.content.get("params") or {}


def read(text: bytes) -> Message:
    """Raises BadMessageError. Of doubled keys the last counts; a number beyond a double becomes infinite."""
    try:
        with uncollected():  # the event loop waits for it
            content = json.loads(text.decode(), parse_constant=_refuse)
    except RecursionError:
        raise BadMessageError(PARSE_ERROR, "This is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise BadMessageError(PARSE_ERROR, f"This is not JSON: at line {error.lineno}, column {error.colno}.") from None
    except ValueError:
        raise BadMessageError(PARSE_ERROR, "This is not JSON in UTF-8, or has a number of over 4,300 digits.") from None
    if isinstance(content, list):
        raise BadMessageError(INVALID_REQUEST, "Batches are not served: send one message at a time.")
    if not isinstance(content, dict) or content.get("jsonrpc") != "2.0":
        raise BadMessageError(INVALID_REQUEST, 'This is no JSON-RPC message: an object with "jsonrpc": "2.0".')
    request_id = content.get("id")
    for wrong, what in _CHECKS:
        if wrong(content):
            raise BadMessageError(INVALID_REQUEST, what, request_id if _is_id(request_id) else None)
    return Message(content)


def write(content: Mapping[str, Any]) -> bytes:
    """A message as text. Half a surrogate pair, which a client may have sent and an answer may repeat, becomes a question mark."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


def _is_id(value: Any) -> bool:
    return _is_text(value) or (isinstance(value, int) and not isinstance(value, bool) and len(str(value)) <= ID_LENGTH)


def _is_text(value: Any) -> bool:
    """Not too long, and without half a surrogate pair: an answer repeats it."""
    return isinstance(value, str) and len(value) <= ID_LENGTH and not _SURROGATE.search(value)


_CHECKS: Final[tuple[tuple[Callable[[dict[str, Any]], bool], str], ...]] = (
    (lambda m: "id" in m and not _is_id(m["id"]), f"id must be a text or whole number of at most {ID_LENGTH} characters."),
    (lambda m: "method" not in m and not ("id" in m and ("result" in m) != ("error" in m)), "There is no method."),
    (lambda m: "method" in m and not _is_text(m["method"]), f"method must be a text of at most {ID_LENGTH} characters."),
    (lambda m: "method" in m and not isinstance(m.get("params", {}), dict), "params must be an object."),
)


def _refuse(name: str) -> Any:
    raise ValueError(name)
