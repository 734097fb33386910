"""manage.py run_mcp: the MCP server, over HTTP or stdio."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from gateway.ingress.server import serve
from gateway.mcp_server import stdio


class Command(BaseCommand):
    """Serves the project's MCP application, or this process's own standard streams."""

    help = "Run the MCP server: streamable HTTP at /mcp, or one client on stdio, whose key is in GATEWAY_API_KEY."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How and where."""
        parser.add_argument("--transport", choices=("http", "stdio"), default="http")
        parser.add_argument("--host", default=settings.GATEWAY_HOST)
        parser.add_argument("--port", type=int, default=settings.GATEWAY_MCP_PORT)

    def handle(self, *_: Any, **options: Any) -> None:
        """Serve until interrupted, or until stdin ends."""
        if options["transport"] == "stdio":
            stdio.serve()
            return
        processes = settings.GATEWAY_MCP_PROCESSES
        serve("rudderproxy.mcp:application", options["host"], options["port"], "GATEWAY_MCP_PORT", processes)
