"""manage.py run_web: the web server, REST and admin."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from gateway.ingress.server import serve


class Command(BaseCommand):
    """Serves the project's ASGI application."""

    help = "Run the web server (REST, admin). Stops at once if a system check of the gateway speaks."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where."""
        parser.add_argument("--host", default=settings.GATEWAY_HOST)
        parser.add_argument("--port", type=int, default=settings.GATEWAY_PORT)

    def handle(self, *_: Any, **options: Any) -> None:
        """Serve until interrupted."""
        serve("rudderproxy.asgi:application", options["host"], options["port"], "GATEWAY_PORT", settings.GATEWAY_WEB_PROCESSES)
