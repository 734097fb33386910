"""The log's tables. Rows are only ever added: what was intended (Call), what came of it (Outcome), what people did beside calls (Action).

Actor and source are text copies: deleting a client never changes history. JSON is kept as text, byte for byte.
"""

import uuid
from datetime import datetime
from typing import Any

import uuid_utils.compat
from django.db import models

from gateway.operations import OPERATIONS


def new_id() -> uuid.UUID:
    """A UUIDv7: ids sort by time, so a range of time is a range of ids."""
    return uuid_utils.compat.uuid7()


class Channel(models.TextChoices):
    """The door that a call came through."""

    REST = "rest", "REST"
    MCP = "mcp", "MCP"
    JOB = "job", "Job"
    ADMIN = "admin", "Admin"
    CLI = "cli", "Command line"


class Result(models.TextChoices):
    """What came of a call."""

    ACCEPTED = "accepted", "Accepted"
    REJECTED = "rejected", "Rejected"
    FAILED = "failed", "Failed"
    REFUSED = "refused", "Refused"
    UNKNOWN = "unknown", "Unknown"
    DRY_RUN = "dry_run", "Dry run"
    JOB = "job", "Made a job"


IN_FLIGHT = "in_flight"
"""How a call without an outcome reads until its deadline."""


class AppendOnlyModel(models.Model):
    """A row that is added once and neither changed nor deleted by any code."""

    class Meta:
        abstract = True

    def save(self, **options: Any) -> None:
        """Insert; a row that is there already is an error."""
        if not self._state.adding:
            raise TypeError(f"{type(self).__name__} rows are never changed")
        super().save(**{**options, "force_insert": True})

    def delete(self, *_: Any, **__: Any) -> Any:
        """Refused."""
        raise TypeError(f"{type(self).__name__} rows are never deleted")


class Call(AppendOnlyModel):
    """The intent: committed before anything is sent. `bytes` and `sha256` are of the body as received; empty where it was never read.

    `job` with a `chunk` is the job that sent it; without one the job that was made of it, which has the same id.
    """

    id = models.UUIDField("audit id", primary_key=True, default=new_id, editable=False)
    at = models.DateTimeField()
    deadline_at = models.DateTimeField()
    operation = models.CharField(max_length=32, choices=[(o.name, o.description) for o in OPERATIONS.values()])
    channel = models.CharField(max_length=8, choices=Channel)
    client = models.CharField(max_length=36, blank=True)
    actor = models.CharField(max_length=200)
    key_prefix = models.CharField(max_length=16, blank=True)
    address = models.CharField(max_length=45, blank=True)
    request_id = models.CharField(max_length=200)
    idempotency_key = models.CharField(max_length=255, blank=True)
    idempotency_try = models.PositiveIntegerField(null=True)
    source = models.CharField(max_length=1000, blank=True)
    destination = models.CharField(max_length=200, blank=True)
    job_run_id = models.CharField(max_length=200, blank=True)
    events = models.PositiveIntegerField(null=True)
    bytes = models.PositiveBigIntegerField(null=True)
    sha256 = models.CharField("SHA-256 of the body", max_length=64, blank=True)
    headers = models.TextField(blank=True)
    job = models.UUIDField(null=True)
    chunk = models.PositiveIntegerField(null=True)
    resend_of = models.UUIDField(null=True)

    class Meta:
        verbose_name = "call"
        indexes = [
            models.Index(fields=["actor", "id"], name="call_actor"),
            models.Index(fields=["client", "id"], name="call_client"),
            models.Index(fields=["source", "id"], name="call_source"),
            models.Index(fields=["operation", "id"], name="call_operation"),
            models.Index(fields=["request_id"], name="call_request"),
            models.Index(fields=["job", "id"], name="call_job", condition=models.Q(job__isnull=False)),
        ]
        constraints = [
            # The intent is the lock: of many at once only one gets its try in. No try (NULL) locks nothing.
            models.UniqueConstraint(fields=["client", "idempotency_key", "idempotency_try"], name="call_idempotency")
        ]

    def __str__(self) -> str:
        return str(self.id)

    @staticmethod
    def lowest_id(at: datetime) -> uuid.UUID:
        """The lowest id that a call of this time can have: UUIDv7 begins with milliseconds since 1970."""
        return uuid.UUID(int=max(0, int(at.timestamp() * 1000)) << 80)


class Outcome(AppendOnlyModel):
    """What came of a call. There may be several (first `unknown`, later the truth): the highest number counts. Durations in ms."""

    call = models.ForeignKey(Call, on_delete=models.PROTECT, related_name="outcomes")
    number = models.PositiveSmallIntegerField(default=1)
    at = models.DateTimeField()
    result = models.CharField(max_length=8, choices=Result)
    status = models.PositiveSmallIntegerField("status answered", null=True)
    upstream_status = models.PositiveSmallIntegerField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    duration_ms = models.PositiveIntegerField(null=True)
    upstream_ms = models.PositiveIntegerField(null=True)
    answer_sha256 = models.CharField("SHA-256 of the answer", max_length=64, blank=True)
    answer_type = models.CharField("content type of the answer", max_length=200, blank=True)
    answer = models.TextField(blank=True)
    reason = models.CharField(max_length=64, blank=True)
    faults = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["call", "number"], name="outcome_number")]
        indexes = [models.Index(fields=["result", "call"], name="outcome_result")]

    def __str__(self) -> str:
        return f"{self.call_id} {self.result}"


class Verb(models.TextChoices):
    """What people and clients do beside calls."""

    KEY_MADE = "key_made", "Key made"
    KEY_REVOKED = "key_revoked", "Key revoked"
    CLIENT_DISABLED = "client_disabled", "Client disabled"
    CLIENT_ENABLED = "client_enabled", "Client enabled"
    JOB_MADE = "job_made", "Job made"
    JOB_PAUSED = "job_paused", "Job paused"
    JOB_RESUMED = "job_resumed", "Job resumed"
    JOB_CANCELLED = "job_cancelled", "Job cancelled"
    JOB_RATE_CHANGED = "job_rate_changed", "Job's rate changed"
    JOB_RETRIED = "job_retried", "Job's failures sent again"
    JOB_FAILURES_READ = "job_failures_read", "Job's failures read"


class Action(AppendOnlyModel):
    """Something done beside calls, by whom, to what."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    at = models.DateTimeField()
    actor = models.CharField(max_length=200)
    channel = models.CharField(max_length=8, choices=Channel)
    verb = models.CharField(max_length=32, choices=Verb)
    subject = models.CharField(max_length=200)
    reason = models.CharField(max_length=500, blank=True)
    detail = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["subject", "id"], name="action_subject")]

    def __str__(self) -> str:
        return f"{self.verb} {self.subject}"
