"""The web server: granian, with the limits that the gateway was measured with."""

import resource
import socket

from django.conf import settings
from django.core.checks import run_checks
from django.core.management.base import CommandError
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings


def check() -> None:
    """Raises CommandError where a system check of the gateway speaks."""
    for found in run_checks(tags=["gateway"], databases=["default"]):
        raise CommandError(f"{found.id}: {found.msg} {found.hint}")


def serve(application: str, host: str, port: int, setting: str, processes: int) -> None:
    """Serve `application` (module:name) until interrupted. `setting` names where the port is set.

    Raises CommandError where a system check of the gateway speaks or the port is taken.
    """
    check()
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(f"cannot listen on {host}:{port}: {error.strerror}. Choose another with --port or {setting}.") from None
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    Granian(
        application,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        workers=processes,
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
