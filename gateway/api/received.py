"""What came in over HTTP: the body, read when it is first needed and never beyond the limit, and the caller's true address."""

import ipaddress
from time import monotonic
from typing import Final

from django.conf import settings
from django.http import HttpRequest

from gateway.contract.body import Body, BodyTooLargeError
from gateway.forwarding.answer import Refusal

_PIECE: Final = 64 * 1024


def body_of(request: HttpRequest) -> Body:
    """The request's body, unread."""
    cap = settings.GATEWAY_MAX_BODY_BYTES
    return Body(lambda: _read(request, cap), request.headers.get("Content-Encoding", ""), cap)


def _read(request: HttpRequest, cap: int) -> bytes:
    """All bytes, by Content-Length or to the end of a chunked body. Raises BodyTooLargeError, Refusal (400, 408)."""
    announced = request.META.get("CONTENT_LENGTH") or ""
    if announced and not (announced.isascii() and announced.isdigit()):
        raise Refusal(400, "bad_content_length", "Content-Length must be a whole number.")
    left = int(announced) if announced else None
    if left is None and not request.META.get("HTTP_TRANSFER_ENCODING"):
        return b""
    if left is not None and left > cap:
        raise BodyTooLargeError(cap)
    stream, parts, size, started = request.META["wsgi.input"], [], 0, monotonic()
    while left != 0:
        try:
            part = stream.read(_PIECE if left is None else min(left, _PIECE))
        except OSError:
            part = b""
        if not part:
            break
        parts.append(part)
        size += len(part)
        left = None if left is None else left - len(part)
        if size > cap:
            raise BodyTooLargeError(cap)
        if monotonic() - started > settings.GATEWAY_BODY_SECONDS:
            raise Refusal(408, "body_too_slow", f"The body took over {settings.GATEWAY_BODY_SECONDS:g} s (GATEWAY_BODY_SECONDS). Nothing was sent.")
    if left:
        raise Refusal(400, "body_cut", "The body is shorter than Content-Length says. Nothing was sent.")
    return b"".join(parts)


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
