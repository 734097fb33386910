"""manage.py create_api_key NAME: a new key; the key alone is the last line of standard output."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from gateway.access import keys
from gateway.access.models import ALL
from gateway.audit.log import LogUnavailableError
from gateway.audit.models import Channel


class Command(BaseCommand):
    """Makes an API key and shows it, once."""

    requires_system_checks: list[str] = []
    help = "Make an API key for a client and print it. It is shown this once and cannot be had again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """NAME and what the key may do."""
        parser.add_argument("name", help="the client's name; a client that exists gets one more key")
        parser.add_argument("--operations", default=ALL, help="names with commas between, or all (default)")
        parser.add_argument("--sources", default=ALL, help="source ids with commas between, or all (default)")
        parser.add_argument("--scopes", default="", help="audit (see everybody's calls), reveal (see bodies in clear)")

    def handle(self, *_: Any, **options: Any) -> None:
        """Make it."""
        rights = {name: options[name] for name in ("operations", "sources", "scopes")}
        try:
            key = keys.create(options["name"], **rights, actor=keys.local_actor(), channel=Channel.CLI)
        except ValidationError as error:
            raise CommandError("; ".join(f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items())) from None
        except (DatabaseError, LogUnavailableError) as error:
            raise CommandError(f"the database took no key ({type(error).__name__}): is it running and migrated?") from None
        self.stdout.write(f"Key of {options['name']}, shown this once:")
        self.stdout.write(key)
