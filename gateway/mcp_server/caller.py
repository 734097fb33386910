"""Who calls a tool, as far as the transport tells."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mcp.server import ServerRequestContext

from gateway.access.principal import Principal


@dataclass(frozen=True, slots=True)
class Caller:
    """`address` is the original caller's, "" on stdio. `headers` are those of the request that REST would look at.

    `client` is the name and version that the client's program gives itself, `protocol` the version that is spoken.
    """

    principal: Principal
    address: str
    request_id: str
    headers: Mapping[str, str] = field(default_factory=dict)
    client: str = ""
    protocol: str = ""


class Callers(Protocol):
    """What differs between HTTP and stdio."""

    async def caller(self, context: ServerRequestContext[Any, Any]) -> Caller:
        """Who calls. Raises MCPError where that is nobody, LogUnavailableError where it cannot be told."""
