"""manage.py follow_job: the progress of a job that runs already."""

import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from gateway.jobs.following import follow
from gateway.jobs.models import Job


class Command(BaseCommand):
    """Follows it to its end."""

    help = "Show a job's progress until its end; Ctrl-C leaves it running."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which."""
        parser.add_argument("job")

    def handle(self, *_: Any, **options: Any) -> None:
        """Follow it. Raises CommandError."""
        try:
            job = Job.objects.filter(id=uuid.UUID(options["job"])).first()
        except ValueError:
            raise CommandError("a job's id is a UUID, as submit_job prints it") from None
        if job is None:
            raise CommandError("there is no such job")
        follow(job, self.stderr)
