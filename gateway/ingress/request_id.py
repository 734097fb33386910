"""X-Request-Id: the caller's own is echoed, else one is made."""

import re
from typing import Final

from gateway.audit.models import new_id

HEADER: Final = "X-Request-Id"
_GOOD: Final = re.compile(r"[!-~]{1,200}")


def request_id_of(given: str) -> str:
    """`given`, or a new one where it is no printable ASCII of at most 200."""
    return given if _GOOD.fullmatch(given) else str(new_id())
