"""API keys: made once, shown once, checked in constant time, and revoked within seconds on every process."""

import hmac
import os
import secrets
import string
import uuid
from dataclasses import dataclass, replace
from getpass import getuser
from hashlib import sha256
from time import monotonic
from typing import Final

from django.utils import timezone

from gateway.access.models import ALL, ApiKey, Client, words
from gateway.access.principal import Principal
from gateway.audit import log
from gateway.audit.database import using_log
from gateway.audit.models import Action, Channel, Verb

REMEMBERED_SECONDS: Final = 2.0
"""How long a process goes without asking the database again. A revoked key is refused everywhere after this time."""
_PREFIX_LENGTH: Final = 12
_ALPHABET: Final = string.ascii_letters + string.digits
_NO_KEY: Final = sha256(secrets.token_bytes(32)).hexdigest()


@dataclass(frozen=True, slots=True)
class _Remembered:
    until: float
    sha256: str
    principal: Principal | None


_remembered: dict[str, _Remembered] = {}


def create(name: str, *, operations: str = ALL, sources: str = ALL, scopes: str = "", actor: str, channel: Channel) -> str:
    """A new key for the client of this name, who is made if there is none. Returns the key: it cannot be had again.

    Raises ValidationError where rights are not what `ApiKey` takes, LogUnavailableError.
    """
    key = f"rgw_{''.join(secrets.choice(_ALPHABET) for _ in range(48))}"
    with log.together():
        client = Client(name=name)
        client.clean_fields()
        client = Client.objects.filter(name=name).first() or client
        if client._state.adding:
            client.save(force_insert=True)
        row = ApiKey(client=client, prefix=key[:_PREFIX_LENGTH], sha256=_digest(key), operations=operations, sources=sources, scopes=scopes)
        row.full_clean()
        row.save(force_insert=True)
        rights = {"client": name, "operations": operations, "sources": sources, "scopes": scopes}
        _note(actor, channel, Verb.KEY_MADE, row.prefix, rights)
    return key


def revoke(prefix: str, *, actor: str, channel: Channel) -> bool:
    """Revoke a key for good. False where there is no such key in force. Raises LogUnavailableError."""
    if not _is_prefix(prefix):
        return False
    with log.together():
        revoked = ApiKey.objects.filter(prefix=prefix, revoked_at=None).update(revoked_at=timezone.now())
        if revoked:
            _note(actor, channel, Verb.KEY_REVOKED, prefix, {})
    _remembered.pop(prefix, None)
    return bool(revoked)


def verify(key: str) -> Principal | None:
    """Whose key this is, or None if it is nobody's, revoked, or its client disabled. Raises LogUnavailableError if the database is away."""
    prefix = key[:_PREFIX_LENGTH]
    known = _remembered.get(prefix)
    if known is None or known.until < monotonic():
        known = _look_up(prefix)
    # Compared even where there is no such key, so that the time taken tells nothing.
    same = hmac.compare_digest(_digest(key), known.sha256)
    return known.principal if same else None


class NoKeyError(Exception):
    """A client has no key for this. `code` and text say why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def principal_of(client_id: str, operation: str, source: str) -> Principal:
    """A client by any of its keys in force that may use the operation, and send to the source.

    Without a source ("") it may send where any of these keys may. Raises NoKeyError, LogUnavailableError.
    """
    with log.available(), using_log():
        rows = list(ApiKey.objects.select_related("client").filter(client=uuid.UUID(client_id), revoked_at=None).order_by("id"))
    if rows and rows[0].client.disabled:
        raise NoKeyError("client_disabled", f"The client {rows[0].client.name} is disabled.")
    found = [principal for row in rows if (principal := _principal(row)).may_use(operation) and (not source or principal.may_send_to(source))]
    if not found:
        raise NoKeyError("no_key", f"The client has no key in force that may use {operation}{f' and send to {source}' if source else ''}.")
    return found[0] if source else replace(found[0], sources=frozenset().union(*(one.sources for one in found)))


def is_remembered(key: str) -> bool:
    """Whether `verify` can tell without the database."""
    known = _remembered.get(key[:_PREFIX_LENGTH])
    return known is not None and known.until >= monotonic()


def local_actor() -> str:
    """Who runs a command, for the log."""
    try:
        return getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"


def forget() -> None:
    """Ask the database again for every key."""
    _remembered.clear()


def _look_up(prefix: str) -> _Remembered:
    with log.available(), using_log():
        row = ApiKey.objects.select_related("client").filter(prefix=prefix).first() if _is_prefix(prefix) else None
    if row is None:
        return _Remembered(0.0, _NO_KEY, None)
    principal = None
    if row.revoked_at is None and not row.client.disabled:
        principal = _principal(row)
    known = _Remembered(monotonic() + REMEMBERED_SECONDS, row.sha256, principal)
    _remembered[prefix] = known
    return known


def _principal(row: ApiKey) -> Principal:
    return Principal(str(row.client_id), row.client.name, row.prefix, words(row.operations), words(row.sources), words(row.scopes))


def _is_prefix(text: str) -> bool:
    """What no key can begin with is not worth a query, nor can every database be asked for it."""
    return len(text) == _PREFIX_LENGTH and text.isascii() and text.isprintable()


def _note(actor: str, channel: Channel, verb: Verb, subject: str, detail: dict[str, str]) -> None:
    log.act(Action(at=timezone.now(), actor=actor, channel=channel, verb=verb, subject=subject, detail=log.as_json([detail] if detail else [])))


def _digest(key: str) -> str:
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
