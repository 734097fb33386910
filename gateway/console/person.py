"""A person of the admin who wants to send: who they are for the jobs, and what they are told of what goes wrong."""

from django.http import HttpRequest

from gateway.access.principal import Principal
from gateway.audit.log import LogUnavailableError
from gateway.audit.models import Channel
from gateway.contract.body import Body
from gateway.forwarding.answer import Refusal
from gateway.forwarding.submission import Submission
from gateway.ingress.address import original_address
from gateway.operations import OPERATIONS


def submission_of(request: HttpRequest, operation: str, headers: dict[str, str], once: str | None, *, dry_run: bool) -> Submission:
    """In the name of a person: their role allows it, no key does."""
    headers = {**headers, "Content-Type": "application/json"}
    return Submission(
        principal=Principal.without_key(request.user.get_username()),
        operation=OPERATIONS[operation],
        body=Body.of(b""),
        channel=Channel.ADMIN,
        address=original_address(str(request.META.get("REMOTE_ADDR", "")), request.headers.get("X-Forwarded-For", "")),
        request_id=request.request_id,  # type: ignore[attr-defined]
        headers={name: value for name, value in headers.items() if value},
        idempotency_key=once,
        dry_run=dry_run,
    )


def said(error: Exception) -> str:
    """Why no job was made."""
    if isinstance(error, Refusal):
        return error.detail
    if isinstance(error, LogUnavailableError):
        return "The database cannot be used now, so no job was made."
    if isinstance(error, OSError):
        return "The gateway cannot keep the input: its storage takes no more. No job was made."
    return str(error)
