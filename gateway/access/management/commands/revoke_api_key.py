"""manage.py revoke_api_key PREFIX: a key is refused from then on, everywhere within seconds."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from gateway.access import keys
from gateway.audit.log import LogUnavailableError
from gateway.audit.models import Channel


class Command(BaseCommand):
    """Revokes an API key."""

    requires_system_checks: list[str] = []
    help = "Revoke an API key, for good."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """PREFIX."""
        parser.add_argument("prefix", help="the key's first twelve characters, as the log and the admin show them")

    def handle(self, *_: Any, **options: Any) -> None:
        """Revoke it."""
        try:
            revoked = keys.revoke(options["prefix"][:12], actor=keys.local_actor(), channel=Channel.CLI)
        except (DatabaseError, LogUnavailableError) as error:
            raise CommandError(f"the database took no change ({type(error).__name__}): is it running and migrated?") from None
        if not revoked:
            raise CommandError("there is no key in force with this prefix")
        self.stdout.write("revoked; refused everywhere within 5 seconds")
