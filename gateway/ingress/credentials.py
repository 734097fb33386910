"""API keys in headers: as Bearer token, or as the user name of HTTP Basic."""

import base64
import binascii
import logging
import threading
from time import monotonic
from typing import Final

from gateway.access import keys
from gateway.audit.log import LogUnavailableError

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


def key_of(authorization: str) -> str:
    """The key in an Authorization header; "" where there is none."""
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode("utf-8", "replace").partition(":")[0]
        except (binascii.Error, ValueError):
            return ""
    return ""


def is_known(authorization: str) -> bool:
    """Whether the header has a key that is good now; not where that cannot be told."""
    try:
        return keys.verify(key_of(authorization)) is not None
    except LogUnavailableError:
        return False
