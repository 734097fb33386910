"""What a client said of itself when it shook hands, kept by itself: the session's id holds it, so any process can serve any request."""

import base64
import binascii
import json
import re
from dataclasses import asdict, dataclass, field
from secrets import token_hex
from typing import Any, Final

from mcp_types import Implementation

_LENGTH: Final = 100
_LONGEST: Final = 2000
_UNPRINTABLE: Final = re.compile(r"[^ -~]")


@dataclass(frozen=True, slots=True)
class Session:
    """A handshake's client and protocol version. No secret, and no right: the key counts with every request."""

    name: str
    version: str
    protocol: str
    nonce: str = field(default_factory=lambda: token_hex(8))

    @property
    def client(self) -> str:
        """Its name and version."""
        return f"{self.name}/{self.version}"

    @property
    def id(self) -> str:
        """The Mcp-Session-Id."""
        return base64.urlsafe_b64encode(json.dumps(asdict(self)).encode()).decode()


def session_of(session_id: str) -> Session | None:
    """The session of an id that this gateway made; None for any other."""
    if not 0 < len(session_id) <= _LONGEST:
        return None
    try:
        content = json.loads(base64.urlsafe_b64decode(session_id))
        texts = [content[name] for name in ("name", "version", "protocol", "nonce")]
    except (binascii.Error, ValueError, KeyError, TypeError, RecursionError):
        return None
    return Session(*map(printable, texts)) if all(isinstance(text, str) for text in texts) else None


def begun(params: dict[str, Any], protocol: str) -> Session:
    """The session that an `initialize` with these params begins."""
    info = params.get("clientInfo")
    name, version = (info.get("name"), info.get("version")) if isinstance(info, dict) else ("", "")
    return Session(printable(name), printable(version), printable(protocol))


def client_of(about: Implementation) -> str:
    """The name and version that a client gives itself."""
    return f"{printable(about.name)}/{printable(about.version)}"


def printable(text: Any) -> str:
    """Text that a header could carry, not too long; "" for what is none."""
    return _UNPRINTABLE.sub("?", text[:_LENGTH]) if isinstance(text, str) else ""
