"""manage.py run_web: the web server, REST and admin."""

import resource
import socket
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.checks import run_checks
from django.core.management.base import BaseCommand, CommandError
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings


class Command(BaseCommand):
    """Runs granian with the threads and limits that the gateway was measured with."""

    help = "Run the web server (REST, admin). Stops at once if a system check of the gateway speaks."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where."""
        parser.add_argument("--host", default=settings.GATEWAY_HOST)
        parser.add_argument("--port", type=int, default=settings.GATEWAY_PORT)

    def handle(self, *_: Any, **options: Any) -> None:
        """Serve until interrupted."""
        host, port = options["host"], options["port"]
        for found in run_checks(tags=["gateway"], databases=["default"]):
            raise CommandError(f"{found.id}: {found.msg} {found.hint}")
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise CommandError(f"cannot listen on {host}:{port}: {error.strerror}. Choose another with --port or GATEWAY_PORT.") from None
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        Granian(
            "rudderproxy.asgi:application",
            address=host,
            port=port,
            interface=Interfaces.ASGINL,
            workers=settings.GATEWAY_WEB_PROCESSES,
            # A connection that rests takes a file and a little memory; what is held for requests is bounded by GATEWAY_BUFFER_BYTES.
            backpressure=16_384,
            # HTTP/2 may end a body without saying its length, which would be taken for none.
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=int(settings.GATEWAY_BODY_SECONDS * 1000)),
            websockets=False,
            log_access=False,
            respawn_failed_workers=True,
            workers_kill_timeout=int(settings.GATEWAY_DEADLINE_SECONDS) + 10,
        ).serve()
