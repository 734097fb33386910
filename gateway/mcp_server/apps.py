"""The app's registration."""

from django.apps import AppConfig


class McpServerConfig(AppConfig):
    """MCP."""

    name = "gateway.mcp_server"
    label = "mcp_server"
