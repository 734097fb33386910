"""What of headers and answers may stand in the log: an allow-list for headers, and masks for what looks like a secret or a person."""

import base64
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver

from gateway.audit.texts import storable

MASK: Final = "[masked]"
CLIENT_HEADER: Final = "MCP-Client"
"""No header, but kept like one: the name and version that an MCP client gives itself."""
PROTOCOL_HEADER: Final = "MCP-Protocol-Version"
KEPT_HEADERS: Final = (
    "Content-Type",
    "Content-Encoding",
    "Content-Length",
    "User-Agent",
    "X-Rudder-Source-Id",
    "X-Rudder-Destination-Id",
    "X-Rudder-Job-Run-Id",
    "X-Rudder-Task-Run-Id",
    "Prefer",
    "traceparent",
    CLIENT_HEADER,
    PROTOCOL_HEADER,
)
"""Not Authorization, which is a secret, and not AnonymousId, which is a person."""
ANSWER_CHARACTERS: Final = 2048
_SHORTEST: Final = 4
"""A shorter secret is no secret, and masking it would spoil every text."""
_SECRET_USER: Final = 12
_HEADER_CHARACTERS: Final = 512
_LONGEST_SECRET: Final = 256
_LOOK_AT: Final = 4
"""Text this many times longer than what is kept is looked at for secrets, so that none is cut in half before it is known."""
_API_KEY: Final = r"rgw_[A-Za-z0-9_-]{20,}"
# Every repetition is bounded: a text made to be slow must not be.
_PATTERNS: Final = (
    re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://[^\s/@]{1,100}:[^\s/]{1,200}@", re.IGNORECASE),  # credentials in addresses
    re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{1,190}"),  # mail addresses
    re.compile(r"\b(?:Basic|Bearer)\s+[A-Za-z0-9+/=._~-]{4,}", re.IGNORECASE),
    re.compile(r"rgw_[A-Za-z0-9_-]{6,}"),  # parts of this gateway's keys
    re.compile(
        r"(?i)([\w-]{0,30}(?:password|passwd|secret|token|api[_-]?key|write[_-]?key)\\?[\"']?\s{0,5}[=:]\s{0,5})"
        r"(?:\\?\"[^\"]{0,500}\"?|'[^']{0,500}'?|[^\s\",&}]{1,500})"
    ),
)


def mask(text: str) -> str:
    """`text` with secrets and mail addresses masked: those that settings know by value, and those known by their shape."""
    text = hide(text)
    for pattern in _PATTERNS:
        text = pattern.sub(_masked, text)
    return text


def hide(text: str) -> str:
    """`text` without what the settings know as secret, and without keys of this gateway; all else is as it was."""
    return _hidden().sub(MASK, text)


def without_secrets(content: bytes) -> bytes:
    """Bytes for a caller: what the settings know as secret is masked, all else is as it was."""
    for secret in _known_secrets():
        content = content.replace(secret.encode(), MASK.encode())
    return content


def masked_headers(headers: Mapping[str, str]) -> str:
    """The allow-listed headers as JSON text, masked; names as in `KEPT_HEADERS`."""
    kept = {name: _kept(headers[name], _HEADER_CHARACTERS) for name in KEPT_HEADERS if headers.get(name)}
    return json.dumps(kept, sort_keys=True, ensure_ascii=False) if kept else ""


def masked_answer(content: bytes) -> str:
    """The beginning of an answer's text, masked."""
    return _kept(content[: _LOOK_AT * 4 * ANSWER_CHARACTERS].decode("utf-8", "replace"), ANSWER_CHARACTERS)


def _kept(text: str, characters: int) -> str:
    looked_at = text[: _LOOK_AT * characters]
    if len(looked_at) < len(text):
        # The cut may have halved a secret, which nothing would know any more.
        looked_at = looked_at[:-_LONGEST_SECRET]
    return storable(mask(looked_at), characters)


def _masked(match: re.Match[str]) -> str:
    return "".join(group for group in match.groups() if group) + MASK


@lru_cache(maxsize=1)
def _hidden() -> re.Pattern[str]:
    """What is hidden wherever it stands; of secrets that are within others, the longer one first."""
    return re.compile("|".join([*map(re.escape, _known_secrets()), _API_KEY]))


@lru_cache(maxsize=1)
def _known_secrets() -> tuple[str, ...]:
    user, password, keys = settings.RUDDERSTACK_USER, settings.RUDDERSTACK_PASS, settings.RUDDERSTACK_WRITE_KEYS.values()
    pairs = [f"{user}:{password}", *(f"{key}:" for key in keys)]
    # A short user name of a proxy is no secret, and could be part of a source's id; a write key as user name is one.
    users = [user] if len(user) >= _SECRET_USER else []
    own = {settings.SECRET_KEY, *settings.GATEWAY_WEBHOOK_SECRET}
    secrets = {*pairs, *users, password, *keys, *own, *(base64.b64encode(pair.encode()).decode() for pair in pairs)}
    return tuple(sorted((secret for secret in secrets if len(secret) >= _SHORTEST), key=len, reverse=True))


@receiver(setting_changed, dispatch_uid="gateway.audit.redaction")
def _forget_secrets(**_: object) -> None:
    _known_secrets.cache_clear()
    _hidden.cache_clear()
