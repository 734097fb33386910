"""Sending one request: either a whole reply, or an error that says whether it may have arrived."""

import logging
import math
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from time import monotonic
from typing import Final
from urllib.parse import quote

import pybreaker
import requests
import urllib3.exceptions
from django.conf import settings
from urllib3.response import BaseHTTPResponse

from gateway.upstream.flight import Cancellation, Flight, current
from gateway.upstream.session import UpstreamSession

ANSWER_CAP: Final = 1024 * 1024
"""Bytes of an answer that are read. RudderStack's have a few dozen."""
USER_AGENT: Final = "rudder-audited-gateway"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. Duration in ms, from before the connection to the last byte."""

    status: int
    content_type: str
    content: bytes
    retry_after: str | None
    attempts: int
    duration_ms: int


class SendError(Exception):
    """There is no whole answer. `reason` is a code; `outcome_unknown`: bytes may have left; `retryable`: sending again may help."""

    def __init__(self, reason: str, flight: Flight, started: float, retry_after: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.attempts = max(flight.attempts, int(flight.sent))
        self.duration_ms = _milliseconds(started)
        self.outcome_unknown = flight.sent
        self.retryable = not flight.sent
        self.retry_after = retry_after


def post(path: str, headers: Mapping[str, str], body: bytes, cancellation: Cancellation | None = None) -> Reply:
    """POST to RudderStack. Raises SendError. Takes no longer than GATEWAY_DEADLINE_SECONDS (looking up a host name apart)."""
    flight = _flight(settings.GATEWAY_DEADLINE_SECONDS)
    flight.cancellation = cancellation
    started = monotonic()
    try:
        with _breaker().calling():
            return _exchange("POST", path, headers, body, flight, started)
    except pybreaker.CircuitBreakerError:
        raise SendError("circuit_open", flight, started, retry_after=math.ceil(settings.GATEWAY_BREAKER_SECONDS)) from None


def job_status(job_run: str, headers: Mapping[str, str], seconds: float = 5.0) -> Reply:
    """What RudderStack's job status says of a job run. Raises SendError."""
    return _exchange("GET", f"/internal/v2/job-status/{quote(job_run, safe='')}", headers, b"", _flight(seconds), monotonic())


def state(seconds: float = 1.0) -> str:
    """`ok`; `circuit_open` while nothing is sent, as the last calls got no answer; `unreachable` where nothing answers HTTP now."""
    if _breaker().current_state == pybreaker.STATE_OPEN:
        return "circuit_open"
    try:
        _exchange("GET", "/health", {}, b"", _flight(seconds), monotonic())
    except SendError:
        return "unreachable"
    return "ok"


def close() -> None:
    """Close pooled connections and forget the circuit breaker's state."""
    while _sessions:
        _sessions.popitem()[1].close()
    _breaker.cache_clear()


_sessions: Final[dict[tuple[str, str], UpstreamSession]] = {}


def _session() -> UpstreamSession:
    key = settings.RUDDERSTACK_BASE_URL, settings.GATEWAY_CA_BUNDLE
    return _sessions.get(key) or _sessions.setdefault(key, UpstreamSession(*key))


@lru_cache(maxsize=1)
def _breaker() -> pybreaker.CircuitBreaker:
    # Only a missing answer counts: a 500 is an answer, and may be one caller's own doing.
    return pybreaker.CircuitBreaker(
        fail_max=settings.GATEWAY_BREAKER_FAILURES,
        reset_timeout=settings.GATEWAY_BREAKER_SECONDS,
        # Else the call that trips it would be told as one that was never sent.
        throw_new_error_on_trip=False,
        exclude=[_is_no_failure],
    )


def _is_no_failure(error: BaseException) -> bool:
    """Raises the error where it tells nothing of RudderStack: what is only excluded counts as an answer, and closes the circuit."""
    if isinstance(error, SendError) and error.reason not in ("not_sendable", "cancelled"):
        return False
    raise error


def _flight(seconds: float) -> Flight:
    return Flight(monotonic() + seconds, settings.GATEWAY_CONNECT_SECONDS, settings.GATEWAY_READ_SECONDS)


def _exchange(method: str, path: str, headers: Mapping[str, str], body: bytes, flight: Flight, started: float) -> Reply:
    token = current.set(flight)
    try:
        encoded = {name: value.encode("latin-1") for name, value in {**headers, "User-Agent": USER_AGENT}.items()}
        with closing(_session().exchange(method, path, encoded, body)) as response:
            content, given = _read(response), response.headers
            kind, retry_after = given.get("Content-Type", ""), given.get("Retry-After")
            return Reply(response.status, kind, content, retry_after, max(1, flight.attempts), _milliseconds(started))
    except (requests.RequestException, ValueError):
        # No URL, or a header that cannot be sent; the exception quotes it.
        raise SendError("not_sendable", flight, started) from None
    except (urllib3.exceptions.HTTPError, OSError, _TooLongError) as error:
        reason = _reason(error, flight)
        _logger.warning("no whole answer from RudderStack: %s (%s)", reason, type(error).__name__)
        raise SendError(reason, flight, started) from None
    finally:
        current.reset(token)


class _TooLongError(Exception):
    pass


def _read(response: BaseHTTPResponse) -> bytes:
    parts, size = [], 0
    while part := response.read(64 * 1024, decode_content=False):
        parts.append(part)
        size += len(part)
        if size > ANSWER_CAP:
            raise _TooLongError
    return b"".join(parts)


def _reason(error: Exception, flight: Flight) -> str:
    if flight.cancelled:
        return "cancelled"
    if not flight.sent:
        if isinstance(getattr(error, "reason", error), urllib3.exceptions.SSLError):
            return "tls_failed"
        return "connect_failed"
    if isinstance(error, _TooLongError):
        return "answer_too_long"
    if flight.timed_out:
        return "no_answer_in_time"
    return "answer_cut"


def _milliseconds(started: float) -> int:
    return round((monotonic() - started) * 1000)
