"""manage.py run_sandbox: a RudderStack gateway to try things on."""

import asyncio
import signal
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import uvloop
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from gateway.sandbox.server import Sandbox, serve
from gateway.sandbox.sources import RECORDED, SourcesError, load


class Command(BaseCommand):
    """Runs the sandbox."""

    help = "Run a sandbox that answers as a real RudderStack gateway does. Keeps everything in memory."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where, and how it behaves."""
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=settings.GATEWAY_SANDBOX_PORT, help="0 for any free one")
        parser.add_argument("--sources", type=Path, help="a JSON file of sources, in place of those of the recorded answers")
        parser.add_argument("--delay-ms", type=float, default=0.0, help="wait before each answer; the real one takes 16")
        parser.add_argument("--quick", action="store_true", help="trust the quick check of bodies (for benchmarks; wrong for doubled keys and 1e400)")

    def handle(self, *_: Any, **options: Any) -> None:
        """Serve until interrupted."""
        host, port = options["host"], options["port"]
        if not 0 <= port <= 65535:
            raise CommandError(f"cannot listen on {host}:{port}: a port is between 0 and 65535")
        try:
            workspace = load(options["sources"]) if options["sources"] else RECORDED
            sandbox = Sandbox(workspace, options["delay_ms"] / 1000, options["quick"])
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve(sandbox, host, port))
        except SourcesError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            reason = f"cannot listen on {host}:{port}: {error.strerror}"
            raise CommandError(f"{reason}. Is something else running there? Choose another with --port.") from None
        except asyncio.CancelledError:
            pass

    async def _serve(self, sandbox: Sandbox, host: str, port: int) -> None:
        """Until Ctrl-C or SIGTERM. The loop itself must watch for both: idle, it would not notice Python's own handlers."""
        if task := asyncio.current_task():
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        await serve(sandbox, host, port, lambda chosen: self._say(host, chosen))

    def _say(self, host: str, port: int) -> None:
        self.stdout.write(f"sandbox listens on http://{host}:{port}")
        self.stdout.flush()
