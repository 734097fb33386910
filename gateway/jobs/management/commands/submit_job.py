"""manage.py submit_job: a job from a file, an archive, earlier calls or failures, and perhaps its progress."""

from argparse import ArgumentParser
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from gateway.access.keys import local_actor
from gateway.access.principal import Principal
from gateway.audit.log import LogUnavailableError, available
from gateway.audit.models import Channel, Result, new_id
from gateway.contract.body import Body
from gateway.forwarding.admission import DESTINATION, SOURCE
from gateway.forwarding.answer import Refusal
from gateway.forwarding.submission import Submission
from gateway.jobs import making, window
from gateway.jobs.earlier import ANY, RESULTS, Filter
from gateway.jobs.following import follow
from gateway.jobs.formats import InputError, detect
from gateway.jobs.making import Wishes
from gateway.jobs.models import Job
from gateway.jobs.retrying import retry_failed, wishes_of
from gateway.jobs.tasks import wake
from gateway.operations import OPERATIONS


class Command(BaseCommand):
    """Makes the job; prints its id alone on a line."""

    requires_system_checks: list[str] = []
    help = "Make a job of a file (NDJSON, a JSON array, or an object with batch; gzip too), RudderStack's archive, or earlier calls."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What, and how."""
        parser.add_argument("file", nargs="?", type=Path)
        parser.add_argument("--archive", help="a directory, or s3://bucket/prefix")
        parser.add_argument("--calls", action="store_true", help="earlier calls whose bodies are kept (today those of jobs' chunks), of all clients")
        parser.add_argument("--from", "--since", dest="since", help="events of an archive, or calls, from this time on, such as 2026-11-23T00:00Z")
        parser.add_argument("--to", "--until", dest="until", help="events of an archive, or calls, before this time")
        parser.add_argument("--result", choices=[*RESULTS, ANY], default=Result.FAILED, help="with --calls; failed without it")
        parser.add_argument("--from-source", default="", help="with --calls: of this source, not of the job's own")
        parser.add_argument("--job", type=UUID, help="with --calls: of this job")
        parser.add_argument("--retry-failed", metavar="JOB", help="send this job's failures again, as they were or corrected in FILE (NDJSON)")
        parser.add_argument("--reason", help="with --retry-failed: failures of this reason alone; with --calls: calls of it")
        parser.add_argument("--operation", choices=list(OPERATIONS), help="needed, but for --retry-failed")
        parser.add_argument("--source", default="")
        parser.add_argument("--destination", default="")
        parser.add_argument("--rate", type=int, help="events a second, at most")
        parser.add_argument("--window", help="send only in these hours of each day, in UTC, such as 22:00-06:00")
        parser.add_argument("--priority", type=int)
        parser.add_argument("--chunk-events", type=int, help="500")
        parser.add_argument("--job-run-id", help="RudderStack's job run; one of its own without it, none with `none`")
        parser.add_argument("--webhook", help="tell the job's end to this address, by a signed POST")
        parser.add_argument("--unordered", action="store_true", help="up to 16 chunks at once")
        parser.add_argument("--dry-run", action="store_true")
        parser.add_argument("--idempotency-key")
        parser.add_argument("--follow", action="store_true", help="show progress until the end; Ctrl-C leaves the job running")

    def handle(self, *_: Any, **options: Any) -> None:
        """Make it. Raises CommandError."""
        try:
            job = self._retry(options) if options["retry_failed"] else self._make(options)
        except Refusal as refusal:
            detail = "No source: name one by --source, or set a default in the settings." if refusal.reason == "no_source" else refusal.detail
            raise CommandError(detail) from None
        except InputError as error:
            raise CommandError(str(error)) from None
        except LogUnavailableError:
            raise CommandError("the database cannot be used, so no job was made") from None
        except IsADirectoryError:
            raise CommandError(f"{options['file']} is a directory: if it is an archive, name it by --archive") from None
        except OSError as error:
            raise CommandError(f"{error.filename or options['file']}: {error.strerror or error}") from None
        wake()
        self.stdout.write(str(job.id))
        self.stdout.flush()
        if options["follow"]:
            follow(job, self.stderr)

    def _submission(self, options: dict[str, Any], operation: str) -> Submission:
        headers = {SOURCE: options["source"], DESTINATION: options["destination"], "Content-Type": "application/json"}
        return Submission(
            principal=Principal.without_key(local_actor()),
            operation=OPERATIONS[operation],
            body=Body.of(b""),
            channel=Channel.CLI,
            address="",
            request_id=str(new_id()),
            headers={name: value for name, value in headers.items() if value},
            idempotency_key=options["idempotency_key"],
            dry_run=options["dry_run"],
        )

    def _retry(self, options: dict[str, Any]) -> Job:
        if options["archive"] or options["calls"] or options["operation"]:
            raise CommandError("--retry-failed takes operation, source and destination from its job")
        try:
            with available():
                job = Job.objects.get(id=options["retry_failed"])
        except (Job.DoesNotExist, ValidationError):
            raise CommandError(f"there is no job {options['retry_failed']}") from None
        submission = self._submission(options, job.operation)
        with options["file"].open("rb") if options["file"] else nullcontext() as corrected:
            wishes = replace(wishes_of(job), **_wishes(options))
            return retry_failed(job, submission, reason=options["reason"] or "", corrected=corrected, wishes=wishes)

    def _make(self, options: dict[str, Any]) -> Job:
        if sum(bool(options[name]) for name in ("file", "archive", "calls")) != 1:
            raise CommandError("name a file, or an archive by --archive, or say --calls")
        if not options["operation"]:
            raise CommandError(f"--operation is missing: one of {', '.join(OPERATIONS)}")
        submission = self._submission(options, options["operation"])
        wishes = Wishes(**_wishes(options))
        since, until = (_time(options[name], f"--{flag}") for name, flag in (("since", "from"), ("until", "to")))
        if options["calls"]:
            result, job = (None if options["result"] == ANY else options["result"]), str(options["job"] or "")
            filter_ = Filter(since, until, result, options["from_source"], job=job, reason=options["reason"] or "")
            return making.from_calls(submission, filter_, wishes)
        if options["archive"]:
            return making.from_archive(submission, options["archive"], since, until, wishes)
        with options["file"].open("rb") as file:
            return making.from_upload(submission, file, detect(file, settings.GATEWAY_MAX_BODY_BYTES), wishes)


def _wishes(options: dict[str, Any]) -> dict[str, Any]:
    """What was said of how the job is to be done."""
    given = {name: options[name] for name in ("rate", "priority", "chunk_events", "job_run_id", "webhook") if options[name] is not None}
    if options["window"] is not None:
        try:
            given["window_from"], given["window_to"] = window.read(options["window"])
        except ValueError as error:
            raise CommandError(f"--window {error}") from None
    return given | ({"ordered": False} if options["unordered"] else {})


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
