"""What RudderStack judges before it reads the body: the credential, the source, the destination (rudder-server gateway/handle_http_auth.go)."""

import base64
import binascii
from collections.abc import Mapping

from gateway.operations import Credential, Operation
from gateway.sandbox.sources import Source, Workspace


class Rejected(Exception):  # noqa: N818 - an answer, not an error
    """RudderStack's answer to this head."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def judge(operation: Operation, headers: Mapping[str, str], workspace: Workspace) -> Source | None:
    """The source of a request, None on internal batch. `headers` by lower-case name, the first of doubled ones. Raises Rejected."""
    if operation.credential is Credential.NONE:
        return None
    if operation.credential is Credential.WRITE_KEY:
        key = _write_key(headers.get("authorization", ""))
        if not key:
            raise Rejected(401, "failed to read writekey from header")
        source = workspace.by_key.get(key)
        if source is None:
            raise Rejected(401, "invalid write key")
    else:
        source_id = headers.get("x-rudder-source-id", "")
        if not source_id:
            raise Rejected(401, "failed to read source id from header")
        source = workspace.by_id.get(source_id)
        if source is None:
            raise Rejected(401, "invalid source id")
    if not source.enabled:
        raise Rejected(404, "source is disabled")
    if operation.needs_replay_source and source.original is None:
        raise Rejected(401, "invalid replay source")
    destination = headers.get("x-rudder-destination-id", "")
    if operation.takes_destination and destination:
        if destination not in source.destinations:
            raise Rejected(400, "invalid destination id")
        if not source.destinations[destination]:
            raise Rejected(404, "destination is disabled")
    return source


def _write_key(authorization: str) -> str:
    """The user name of HTTP Basic as Go's net/http reads it: one space, padded base64, a colon."""
    if authorization[:6].lower() != "basic ":
        return ""
    try:
        user, colon, _ = base64.b64decode(authorization[6:], validate=True).decode("latin-1").partition(":")
    except (binascii.Error, ValueError):
        return ""
    return user if colon else ""
