"""What came in over HTTP: the body, and the caller's true address."""

from io import BytesIO
from typing import BinaryIO

from django.conf import settings
from django.http import HttpRequest

from gateway.contract.body import Body, BodyTooLargeError
from gateway.forwarding.answer import Refusal
from gateway.ingress.address import original_address
from gateway.ingress.trouble import Trouble


def body_of(request: HttpRequest) -> Body:
    """The request's body; what went wrong on its way in is raised when it is first asked for."""
    return Body(lambda: _read(request), request.headers.get("Content-Encoding", ""), settings.GATEWAY_MAX_BODY_BYTES)


def upload_of(request: HttpRequest) -> BinaryIO:
    """The body as a file. Raises Refusal (400, 408, 413, 503)."""
    trouble: Trouble | None = getattr(request, "trouble", None)
    if trouble is Trouble.TOO_LARGE:
        limit = f"{settings.GATEWAY_MAX_UPLOAD_BYTES:,} bytes (GATEWAY_MAX_UPLOAD_BYTES)"
        raise Refusal(413, "upload_too_large", f"An upload may have at most {limit}.")
    if trouble:
        raise trouble.refusal()
    stream: BinaryIO = request._stream
    return stream if stream.seekable() else BytesIO(request.read())


def _read(request: HttpRequest) -> bytes:
    """All bytes. Raises BodyTooLargeError, Refusal (400, 408, 503)."""
    trouble: Trouble | None = getattr(request, "trouble", None)
    if trouble is Trouble.TOO_LARGE:
        raise BodyTooLargeError(settings.GATEWAY_MAX_BODY_BYTES)
    if trouble:
        raise trouble.refusal()
    return request.read()


def address_of(request: HttpRequest) -> str:
    """The original caller's address."""
    return original_address(str(request.META.get("REMOTE_ADDR", "")), request.headers.get("X-Forwarded-For", ""))
