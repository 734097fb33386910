"""manage.py write_sample_archive: an archive of made-up events to try a replay on."""

from argparse import ArgumentParser
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from gateway.sandbox.archive import write


class Command(BaseCommand):
    """Writes it; prints the time of its first event, and the time that all are before."""

    help = "Write an archive of made-up events of the last hours, laid out as RudderStack's own."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where, and how much."""
        parser.add_argument("folder", type=Path)
        parser.add_argument("--events", type=int, default=100_000)
        parser.add_argument("--hours", type=int, default=3)
        parser.add_argument("--source", default="src-1", help="the source that the events came by")

    def handle(self, *_: Any, **options: Any) -> None:
        """Write. Raises CommandError."""
        events, hours, source = options["events"], options["hours"], options["source"]
        if not 1 <= events <= 10_000_000:
            raise CommandError("--events must be between 1 and 10,000,000")
        if not 1 <= hours <= 24 * 365:
            raise CommandError("--hours must be between 1 and 8,760")
        if not source or "/" in source or source.startswith("."):
            raise CommandError("--source must be an id without slashes")
        until = timezone.now().replace(minute=0, second=0, microsecond=0)
        since = until - timedelta(hours=hours)
        try:
            if options["folder"].exists() and any(options["folder"].iterdir()):
                raise CommandError(f"{options['folder']} is not empty: name a new folder")
            files = write(options["folder"], source, since, until, events)
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from None
        size = sum(file.stat().st_size for file in files)
        self.stdout.write(f"{events:,} events from {since:%Y-%m-%dT%H:%MZ} to {until:%Y-%m-%dT%H:%MZ} in {len(files)} files, {size:,} bytes")
