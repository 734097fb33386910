"""Who calls: an API key. Looked at before anything of the body."""

from typing import Final

from django.http import HttpRequest

from gateway.access import keys
from gateway.access.principal import Principal
from gateway.api.problems import Problem
from gateway.ingress.credentials import key_of, strangers

_CHALLENGE: Final = 'Bearer realm="rudder gateway", Basic realm="rudder gateway"'


def principal_of(request: HttpRequest) -> Principal:
    """Raises Problem (401), LogUnavailableError."""
    key = key_of(request.headers.get("Authorization", ""))
    principal = keys.verify(key) if key else None
    if principal is None:
        strangers.note(str(request.META.get("REMOTE_ADDR", "")))
        detail = "The API key is not known, or revoked." if key else "Send an API key: Authorization: Bearer KEY, or HTTP Basic with it as user."
        raise Problem(401, "no_such_key" if key else "no_key", detail, headers={"WWW-Authenticate": _CHALLENGE})
    return principal
