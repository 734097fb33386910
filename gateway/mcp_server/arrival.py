"""A request as it came in by HTTP, and what handlers ask of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mcp.server import ServerRequestContext

from gateway.access.principal import Principal
from gateway.ingress.address import original_address
from gateway.ingress.request_id import HEADER as REQUEST_ID
from gateway.ingress.request_id import request_id_of
from gateway.mcp_server.caller import Caller
from gateway.mcp_server.message import Message
from gateway.mcp_server.session import Session, client_of, session_of

SESSION: Final = "mcp-session-id"
PROTOCOL: Final = "mcp-protocol-version"
_PASSED: Final = {"user-agent": "User-Agent", "traceparent": "traceparent"}


@dataclass(slots=True)
class Arrival:
    """`headers` have lower-case names; of doubled ones the last counts. `principal` and `message` are there once they are known."""

    raw_headers: Sequence[tuple[bytes, bytes]]
    peer: str
    headers: Mapping[str, str] = field(init=False)
    request_id: str = field(init=False)
    session: Session | None = field(init=False)
    principal: Principal = field(init=False)
    message: Message = field(init=False)

    def __post_init__(self) -> None:
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self.raw_headers}
        self.request_id = request_id_of(self.headers.get(REQUEST_ID.lower(), ""))
        self.session = session_of(self.headers.get(SESSION, ""))


class HttpCallers:
    """Who calls, of a request that came by HTTP."""

    async def caller(self, context: ServerRequestContext[Any, Any]) -> Caller:
        """The key's client, at its own address, and what the program says of itself."""
        arrival: Arrival = context.request  # type: ignore[assignment]
        about = context.session.client_params
        return Caller(
            principal=arrival.principal,
            address=original_address(arrival.peer, arrival.headers.get("x-forwarded-for", "")),
            request_id=arrival.request_id,
            headers={name: value for header, name in _PASSED.items() if (value := arrival.headers.get(header))},
            client=client_of(about.client_info) if about else arrival.session.client if arrival.session else "",
            protocol=context.protocol_version,
        )
