"""What came in over HTTP: the body, and the caller's true address."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest

from gateway.api.upload import Trouble
from gateway.contract.body import Body, BodyTooLargeError
from gateway.forwarding.answer import Refusal


def body_of(request: HttpRequest) -> Body:
    """The request's body; what went wrong on its way in is raised when it is first asked for."""
    cap = settings.GATEWAY_MAX_BODY_BYTES
    return Body(lambda: _read(request, cap), request.headers.get("Content-Encoding", ""), cap)


def _read(request: HttpRequest, cap: int) -> bytes:
    """All bytes. Raises BodyTooLargeError, Refusal (400, 408, 503)."""
    match getattr(request, "trouble", None):
        case Trouble.CUT:
            raise Refusal(
                400, "body_cut", "The body ended before its end: shorter than Content-Length says, or a chunk is missing. Nothing was sent."
            )
        case Trouble.TOO_SLOW:
            raise Refusal(408, "body_too_slow", f"The body took over {settings.GATEWAY_BODY_SECONDS:g} s (GATEWAY_BODY_SECONDS). Nothing was sent.")
        case Trouble.TOO_LARGE:
            raise BodyTooLargeError(cap)
        case Trouble.NO_THREAD:
            raise Refusal(503, "busy", "The gateway has too many calls waiting (GATEWAY_WEB_THREADS). Nothing was sent.", retry_after="1")
        case Trouble.NO_ROOM | Trouble.FROM_STRANGER:
            raise Refusal(503, "busy", "The gateway holds too many bodies (GATEWAY_BUFFER_BYTES). Nothing was sent: send it again.", retry_after="1")
    return request.read()


def address_of(request: HttpRequest) -> str:
    """The original caller's address: X-Forwarded-For counts from the right, and only as far as trusted proxies wrote it."""
    address = str(request.META.get("REMOTE_ADDR", ""))
    for hop in reversed(request.headers.get("X-Forwarded-For", "").split(",")):
        if not _is_trusted(address):
            break
        try:
            address = str(ipaddress.ip_address(hop.strip()))
        except ValueError:
            break
    return address


def _is_trusted(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in settings.GATEWAY_TRUSTED_PROXIES)
