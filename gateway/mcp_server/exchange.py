"""One HTTP request and its answer, in any version of the protocol: nothing is kept between two of them, so any process can serve each.

The SDK's handler kernel does the work. Its own transport for the handshake versions (2024-11-05 to 2025-11-25) starts a task group and four
streams for each request, which takes as long as a call.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
from mcp.server import Server
from mcp.server.connection import Connection
from mcp.server.runner import serve_one
from mcp.shared.exceptions import NoBackChannelError
from mcp.shared.inbound import (
    ERROR_CODE_HTTP_STATUS,
    InboundLadderRejection,
    classify_inbound_request,
    find_duplicated_routing_header,
    unsupported_protocol_version_rejection,
)
from mcp.shared.jsonrpc_dispatcher import handler_exception_to_error_data
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp_types import HEADER_MISMATCH, INTERNAL_ERROR, ErrorData, RequestId
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from gateway.audit.failure import INTERNAL, log_exception
from gateway.mcp_server.arrival import PROTOCOL, Arrival

_UNDECLARED: Final = "2025-03-26"
"""The version of a client that names none: the last that did not have to."""


async def answer(server: Server[Any], arrival: Arrival) -> tuple[int, dict[str, Any] | None]:
    """Status and JSON-RPC message; none for a notification. Raises nothing but cancellation."""
    declared = arrival.headers.get(PROTOCOL)
    if declared is None or declared in HANDSHAKE_PROTOCOL_VERSIONS:
        return await _of_handshake(server, arrival, declared)
    return await _of_envelope(server, arrival, declared)


async def _of_handshake(server: Server[Any], arrival: Arrival, declared: str | None) -> tuple[int, dict[str, Any] | None]:
    if arrival.message.method is None or arrival.message.request_id is None:
        return 202, None
    version = declared or (arrival.session.protocol if arrival.session else _UNDECLARED)
    return 200, await _serve(server, arrival, Connection.from_envelope(version, None, None))


async def _of_envelope(server: Server[Any], arrival: Arrival, declared: str) -> tuple[int, dict[str, Any] | None]:
    """From 2026-07-28 on each request says all of itself, and an error has an HTTP status too."""
    asked = arrival.message
    if asked.method is None or asked.request_id is None:
        unsupported = unsupported_protocol_version_rejection(declared)
        return (400, _error(None, _data(unsupported))) if unsupported else (202, None)
    route = classify_inbound_request(asked.content, headers=arrival.headers)
    if isinstance(route, InboundLadderRejection):
        return ERROR_CODE_HTTP_STATUS.get(route.code, 400), _error(asked.request_id, _data(route))
    if doubled := find_duplicated_routing_header((name.decode("latin-1"), value.decode("latin-1")) for name, value in arrival.raw_headers):
        return 400, _error(asked.request_id, ErrorData(code=HEADER_MISMATCH, message=f"{doubled} header appears more than once"))
    connection = Connection.from_envelope(route.protocol_version, route.client_info, route.client_capabilities)
    document = await _serve(server, arrival, connection)
    return (ERROR_CODE_HTTP_STATUS.get(document["error"]["code"], 200) if "error" in document else 200), document


async def _serve(server: Server[Any], arrival: Arrival, connection: Connection) -> dict[str, Any]:
    asked = arrival.message
    exchange = _Exchange(asked.request_id, ServerMessageMetadata(request_context=arrival))
    try:
        result = await serve_one(server, exchange, str(asked.method), asked.content.get("params"), connection=connection, lifespan_state={})
    except Exception as error:
        known = handler_exception_to_error_data(error)
        if known is None:
            log_exception(error)
        return _error(asked.request_id, known or ErrorData(code=INTERNAL_ERROR, message=INTERNAL))
    return {"jsonrpc": "2.0", "id": asked.request_id, "result": result}


def _data(rejection: InboundLadderRejection) -> ErrorData:
    return ErrorData(code=rejection.code, message=rejection.message, data=rejection.data)


def _error(request_id: RequestId | None, error: ErrorData) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "error": error.model_dump(exclude_none=True)}


@dataclass
class _Exchange:
    """The SDK's DispatchContext of a request whose answer is all that goes back: nothing can be asked or told in between."""

    request_id: RequestId | None
    message_metadata: ServerMessageMetadata
    transport: TransportContext = field(default_factory=lambda: TransportContext(kind="streamable-http", can_send_request=False))
    cancel_requested: anyio.Event = field(default_factory=anyio.Event)
    can_send_request: bool = False

    async def send_raw_request(self, method: str, params: Mapping[str, Any] | None, opts: Any = None) -> dict[str, Any]:
        """Refused."""
        raise NoBackChannelError(method)

    async def notify(self, method: str, params: Mapping[str, Any] | None, opts: Any = None) -> None:
        """Dropped."""

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Dropped."""
