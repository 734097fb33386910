"""A job, the segments its input was cut into, the chunks it is sent in, and the events that could not be sent.

The row of the job is the truth: whoever works on it holds its lease, and writes with the lease's token or not at all.
"""

import uuid
from datetime import datetime
from typing import Any, Final

from django.db import models

from gateway.audit.models import Channel, new_id
from gateway.operations import OPERATIONS

EVENT_CHARACTERS: Final = 100_000
"""Of a faulty line of the input as many are kept."""
BODY_NOT_KEPT: Final = "body_not_kept"
"""The reason of a failure that is an earlier call, of which the body is not there."""


class State(models.TextChoices):
    """Where a job is. The last three are for good."""

    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    CANCELLING = "cancelling", "Being cancelled"
    CANCELLED = "cancelled", "Cancelled"
    SUCCEEDED = "succeeded", "Finished"
    FAILED = "failed", "Failed"


TERMINAL: Final = frozenset({State.CANCELLED, State.SUCCEEDED, State.FAILED})
AT_WORK: Final = (State.QUEUED, State.RUNNING, State.CANCELLING)
"""The states in which there is something to do."""


BOUNDS: Final = {"rate": (1, 1_000_000), "priority": (-100, 100), "chunk_events": (1, 10_000)}
"""What these columns of a job may be, ends included."""


class Format(models.TextChoices):
    """How the input is written. Each may be gzipped, which is found out by looking."""

    NDJSON = "ndjson", "One event a line"
    ARRAY = "array", "A JSON array of events"
    BATCH = "batch", 'An object with "batch"'
    ARCHIVE = "archive", "RudderStack's archive"
    CALLS = "calls", "Earlier calls"


class WebhookState(models.TextChoices):
    """What came of telling a job's end."""

    WAITING = "waiting", "Not delivered yet"
    DELIVERED = "delivered", "Delivered"
    GIVEN_UP = "given_up", "Given up"


class Job(models.Model):
    """One long piece of work. Its id is that of the call that made it, which holds its Idempotency-Key.

    `input` names the upload in storage, the directory or address of an archive, or as JSON the filter of earlier calls.
    Times are UTC, `rate` is events a second. Between `window_from` and `window_to` of each day it sends; both None: at any time.
    `retry_of` is the job whose failures these events were.
    `lines`, `faulty`, `events`, `bytes`, `without_message_id` are of the input; `accepted`, `failed`, `possible_duplicates` of the sending;
    `delivered` and `undelivered` of RudderStack's job status. `next_event` is the first that is in none of the `chunks` yet.
    Chunks up to `judged_from` were sent before somebody resumed it. `dry_run_report` is JSON; of a dry run `chunks` are the calls that it would be.
    `reason` says why it is in its state, as a code and a sentence. Its end is told to `webhook`, tried next at `webhook_due_at`;
    `webhook_note` says what came of the last try, as a WebhookState and a sentence; "" before it.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    state = models.CharField(max_length=12, choices=State, default=State.QUEUED)
    reason = models.CharField(max_length=500, blank=True)

    operation = models.CharField(max_length=32, choices=[(o.name, o.description) for o in OPERATIONS.values()])
    client = models.CharField(max_length=36)
    actor = models.CharField(max_length=200)
    channel = models.CharField(max_length=8, choices=Channel)
    address = models.CharField(max_length=45, blank=True)
    request_id = models.CharField(max_length=200)
    idempotency_key = models.CharField(max_length=255, null=True)
    sha256 = models.CharField("SHA-256 of the input", max_length=64, blank=True)

    source = models.CharField(max_length=1000, blank=True)
    destination = models.CharField(max_length=200, blank=True)
    job_run_id = models.CharField(max_length=200, blank=True)
    dry_run = models.BooleanField(default=False)
    ordered = models.BooleanField(default=True)
    rate = models.PositiveIntegerField(null=True)
    priority = models.SmallIntegerField(default=0)
    not_before = models.DateTimeField(null=True)
    window_from = models.TimeField(null=True)
    window_to = models.TimeField(null=True)
    chunk_events = models.PositiveIntegerField(default=500)

    retry_of = models.UUIDField(null=True)
    format = models.CharField(max_length=8, choices=Format)
    input = models.CharField(max_length=1000)
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)
    taken_in = models.BooleanField(default=False)
    intake_place = models.TextField(blank=True)
    lines = models.PositiveBigIntegerField(default=0)
    faulty = models.PositiveBigIntegerField(default=0)
    events = models.PositiveBigIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0)
    without_message_id = models.PositiveBigIntegerField(default=0)

    next_event = models.PositiveBigIntegerField(default=0)
    chunks = models.PositiveIntegerField(default=0)
    judged_from = models.PositiveIntegerField(default=0)
    dry_run_report = models.TextField(blank=True)
    accepted = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveBigIntegerField(default=0)
    possible_duplicates = models.PositiveBigIntegerField(default=0)
    delivered = models.PositiveBigIntegerField(null=True)
    undelivered = models.PositiveBigIntegerField(null=True)

    due_at = models.DateTimeField()
    tries = models.PositiveIntegerField(default=0)
    lease_token = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)

    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    segments_until = models.DateTimeField(null=True)

    webhook = models.CharField(max_length=500, blank=True)
    webhook_due_at = models.DateTimeField(null=True)
    webhook_tries = models.PositiveIntegerField(default=0)
    webhook_note = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["state", "due_at"], name="job_due"),
            models.Index(fields=["client", "id"], name="job_client"),
            models.Index(fields=["webhook_due_at"], name="job_webhook", condition=models.Q(webhook_due_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def is_over(self) -> bool:
        """Whether its state is for good."""
        return self.state in TERMINAL

    def message_id(self, line: int | str) -> str:
        """The messageId of an event that has none that RudderStack would keep: the same whenever it is made."""
        return str(uuid.uuid5(self.id, str(line)))


class Segment(models.Model):
    """A bounded part of the input, normalised: one event a line, each with a messageId. `path` is in storage; None once it is gone.

    `places` says where its events came from, as JSON: [[event, file, line], …], each for the events from this one (counted within the
    segment) to the next: their lines follow one another.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="segments")
    number = models.PositiveIntegerField()
    path = models.CharField(max_length=200, null=True)
    first_event = models.PositiveBigIntegerField()
    events = models.PositiveIntegerField()
    bytes = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    places = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="segment_number")]

    def __str__(self) -> str:
        return f"{self.job_id}/{self.number}"


class Chunk(models.Model):
    """Consecutive events of one segment that are sent together. `offset` is in bytes within the segment.

    `parts` are the stretches of it that are still to send, as JSON: [[first, end], …], counted within the chunk; "" when it is done.
    `sending` counts events that may be on the wire: of a chunk found so after a crash they may have arrived. `failed` were refused.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="chunk_rows")
    number = models.PositiveIntegerField()
    segment = models.PositiveIntegerField()
    offset = models.PositiveBigIntegerField()
    bytes = models.PositiveBigIntegerField()
    first_event = models.PositiveBigIntegerField()
    events = models.PositiveIntegerField()
    parts = models.TextField(blank=True)
    sending = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="chunk_number")]

    def __str__(self) -> str:
        return f"{self.job_id}/{self.number}"


class Failure(models.Model):
    """An event that was not sent, or not taken. `line` counts lines or elements of the input (of an archive: of `file`) from 1.

    `event` is the line as it was, personal data and all, so that it can be corrected and sent again; "" once it is gone.
    `retried_by` is the job that sends it again.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="failures")
    at = models.DateTimeField()
    file = models.CharField(max_length=500, blank=True)
    line = models.PositiveBigIntegerField()
    reason = models.CharField(max_length=64)
    pointer = models.CharField(max_length=500, blank=True)
    detail = models.CharField(max_length=1000)
    event = models.TextField(blank=True)
    retried_by = models.UUIDField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "file", "line"], name="failure_line")]
        indexes = [models.Index(fields=["job", "reason", "id"], name="failure_reason")]

    def __str__(self) -> str:
        return f"{self.job_id} line {self.line}: {self.reason}"


WHOLE: Final = ~models.Q(event="") & ~models.Q(reason="body_too_large") & ~models.Q(size=EVENT_CHARACTERS)
"""Failures whose `event` is there, and all of it, where `size` is its length. What has just as many characters as are kept may be cut."""


def free(now: datetime) -> Any:
    """Jobs with something to do that nobody works on."""
    return Job.objects.filter(models.Q(lease_until=None) | models.Q(lease_until__lt=now), state__in=AT_WORK)


def due(now: datetime) -> Any:
    """Jobs that somebody could work on now, the most urgent first."""
    return free(now).filter(due_at__lte=now).order_by("-priority", "due_at", "id")
