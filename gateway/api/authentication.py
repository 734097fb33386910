"""Who calls: an API key, as Bearer token or as the user name of HTTP Basic. Looked at before anything of the body."""

import base64
import binascii
import logging
import threading
from time import monotonic
from typing import Final

from django.http import HttpRequest

from gateway.access import keys
from gateway.access.principal import Principal
from gateway.api.problems import Problem
from gateway.audit.log import LogUnavailableError

_CHALLENGE: Final = 'Bearer realm="rudder gateway", Basic realm="rudder gateway"'
_NOTE_SECONDS: Final = 10.0
_logger = logging.getLogger(__name__)


class _Strangers:
    """Counts requests without a known key. They are no rows of the log, and no line each: a stranger must not fill either."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted = -_NOTE_SECONDS
        self.count = 0

    def note(self, address: str) -> None:
        """One more."""
        with self._lock:
            self.count += 1
            if monotonic() - self._noted < _NOTE_SECONDS:
                return
            self._noted = monotonic()
        _logger.warning("%d requests without a known key since the start, the last from %s", self.count, address)


strangers: Final = _Strangers()


def principal_of(request: HttpRequest) -> Principal:
    """Raises Problem (401), LogUnavailableError."""
    key = _key(request.headers.get("Authorization", ""))
    principal = keys.verify(key) if key else None
    if principal is None:
        strangers.note(str(request.META.get("REMOTE_ADDR", "")))
        detail = "The API key is not known, or revoked." if key else "Send an API key: Authorization: Bearer KEY, or HTTP Basic with it as user."
        raise Problem(401, "no_such_key" if key else "no_key", detail, headers={"WWW-Authenticate": _CHALLENGE})
    return principal


def is_known(authorization: str) -> bool:
    """Whether the header has a key that is good now; not where that cannot be told."""
    try:
        return keys.verify(_key(authorization)) is not None
    except LogUnavailableError:
        return False


def _key(authorization: str) -> str:
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode("utf-8", "replace").partition(":")[0]
        except (binascii.Error, ValueError):
            return ""
    return ""
