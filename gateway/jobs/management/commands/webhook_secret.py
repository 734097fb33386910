"""manage.py webhook_secret CLIENT-NAME: what its receivers check signatures with; the secret alone is the last line of standard output."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from gateway.access.models import Client
from gateway.audit.database import using_log
from gateway.audit.log import LogUnavailableError, available
from gateway.webhooks.signing import secrets_of


class Command(BaseCommand):
    """Shows the current secret."""

    requires_system_checks: list[str] = []
    help = "Show what receivers of a client's webhooks check signatures with (Standard Webhooks)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose."""
        parser.add_argument("name", nargs="?", help="the client's name; without it, of jobs that submit_job made")

    def handle(self, *_: Any, **options: Any) -> None:
        """Show it. Raises CommandError."""
        name, client = options["name"], ""
        if name is not None:
            try:
                with available(), using_log():
                    found = Client.objects.filter(name=name).first()
            except LogUnavailableError:
                raise CommandError("the database cannot be read: is it running and migrated?") from None
            if found is None:
                raise CommandError("there is no client of this name; create_api_key makes one")
            client = str(found.id)
        secrets = secrets_of(client)
        if not secrets:
            raise CommandError("GATEWAY_WEBHOOK_SECRET is not set: set it to 50 random characters, and restart web and worker")
        self.stdout.write(f"Webhook secret of {'jobs that submit_job made' if name is None else name}:")
        self.stdout.write(secrets[0])
