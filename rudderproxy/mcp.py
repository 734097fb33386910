"""The MCP process's way in."""

from rudderproxy.process import begin

begin()

from gateway.mcp_server.front import Front  # noqa: E402 - Django must be set up first

application = Front()
