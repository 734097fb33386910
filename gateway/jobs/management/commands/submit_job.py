"""manage.py submit_job: a job from a file or an archive, and perhaps its progress."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from gateway.access.keys import local_actor
from gateway.access.models import ALL
from gateway.access.principal import Principal
from gateway.audit.log import LogUnavailableError
from gateway.audit.models import Channel, new_id
from gateway.contract.body import Body
from gateway.forwarding.admission import DESTINATION, SOURCE
from gateway.forwarding.answer import Refusal
from gateway.forwarding.submission import Submission
from gateway.jobs import making
from gateway.jobs.following import follow
from gateway.jobs.formats import InputError, detect
from gateway.jobs.making import Wishes
from gateway.jobs.models import Job
from gateway.jobs.tasks import wake
from gateway.operations import OPERATIONS


class Command(BaseCommand):
    """Makes the job; prints its id alone on a line."""

    requires_system_checks: list[str] = []
    help = "Make a job of a file (NDJSON, a JSON array, or an object with batch; gzip too) or of RudderStack's archive."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What, and how."""
        parser.add_argument("file", nargs="?", type=Path)
        parser.add_argument("--archive", help="a directory, or s3://bucket/prefix")
        parser.add_argument("--from", dest="since", help="of an archive: events from this time on, such as 2026-11-23T00:00Z")
        parser.add_argument("--to", dest="until", help="of an archive: events before this time")
        parser.add_argument("--operation", required=True, choices=list(OPERATIONS))
        parser.add_argument("--source", default="")
        parser.add_argument("--destination", default="")
        parser.add_argument("--rate", type=int, help="events a second, at most")
        parser.add_argument("--priority", type=int, default=0)
        parser.add_argument("--chunk-events", type=int, default=500)
        parser.add_argument("--job-run-id", help="RudderStack's job run; one of its own without it, none with `none`")
        parser.add_argument("--webhook", default="", help="tell the job's end to this address, by a signed POST")
        parser.add_argument("--unordered", action="store_true", help="up to 16 chunks at once")
        parser.add_argument("--dry-run", action="store_true")
        parser.add_argument("--idempotency-key")
        parser.add_argument("--follow", action="store_true", help="show progress until the end; Ctrl-C leaves the job running")

    def handle(self, *_: Any, **options: Any) -> None:
        """Make it. Raises CommandError."""
        if (options["file"] is None) == (options["archive"] is None):
            raise CommandError("name a file, or an archive by --archive")
        wishes = Wishes(
            ordered=not options["unordered"],
            rate=options["rate"],
            priority=options["priority"],
            chunk_events=options["chunk_events"],
            job_run_id=options["job_run_id"],
            webhook=options["webhook"],
        )
        try:
            job = self._make(self._submission(options), wishes, options)
        except Refusal as refusal:
            detail = "No source: name one by --source, or set a default in the settings." if refusal.reason == "no_source" else refusal.detail
            raise CommandError(detail) from None
        except InputError as error:
            raise CommandError(str(error)) from None
        except LogUnavailableError:
            raise CommandError("the database cannot be used, so no job was made") from None
        except OSError as error:
            raise CommandError(f"{error.filename or options['file']}: {error.strerror or error}") from None
        wake()
        self.stdout.write(str(job.id))
        self.stdout.flush()
        if options["follow"]:
            follow(job, self.stderr)

    def _submission(self, options: dict[str, Any]) -> Submission:
        everything = frozenset({ALL})
        headers = {SOURCE: options["source"], DESTINATION: options["destination"], "Content-Type": "application/json"}
        return Submission(
            principal=Principal("", local_actor(), "", everything, everything),
            operation=OPERATIONS[options["operation"]],
            body=Body.of(b""),
            channel=Channel.CLI,
            address="",
            request_id=str(new_id()),
            headers={name: value for name, value in headers.items() if value},
            idempotency_key=options["idempotency_key"],
            dry_run=options["dry_run"],
        )

    def _make(self, submission: Submission, wishes: Wishes, options: dict[str, Any]) -> Job:
        if options["archive"]:
            since, until = (_time(options[name], f"--{flag}") for name, flag in (("since", "from"), ("until", "to")))
            return making.from_archive(submission, options["archive"], since, until, wishes)
        with options["file"].open("rb") as file:
            return making.from_upload(submission, file, detect(file, settings.GATEWAY_MAX_BODY_BYTES), wishes)


def _time(text: str | None, flag: str) -> Any:
    if text is None:
        return None
    try:
        at = parse_datetime(text)
    except ValueError:
        at = None
    if at is None:
        raise CommandError(f"{flag} must be a time such as 2026-11-23T00:00Z")
    return timezone.make_aware(at, timezone.UTC) if timezone.is_naive(at) else at  # type: ignore[attr-defined]
