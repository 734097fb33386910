"""What differs between the ways in which requests arrive."""

from typing import Any, Protocol

from mcp.server import ServerRequestContext
from mcp_types import CallToolRequestParams

from gateway.mcp_server.caller import Caller


class Transport(Protocol):
    """HTTP or stdio."""

    async def caller(self, context: ServerRequestContext[Any, Any]) -> Caller:
        """Who calls. Raises MCPError where that is nobody, LogUnavailableError where it cannot be told."""

    def arguments(self, context: ServerRequestContext[Any, Any], params: CallToolRequestParams) -> dict[str, Any]:
        """A tool's arguments, as they came."""
