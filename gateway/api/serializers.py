"""The JSON shapes that REST answers with, as OpenAPI has them."""

from typing import Any, Final

from rest_framework import serializers

from gateway.audit.models import Channel
from gateway.audit.view import STATES
from gateway.jobs.models import Format, State, WebhookState
from gateway.operations import OPERATIONS

OPERATION_CHOICES: Final = [(operation.name, operation.description) for operation in OPERATIONS.values()]


class FaultSerializer(serializers.Serializer[Any]):
    """One thing wrong with a body. Never quotes a value."""

    pointer = serializers.CharField(allow_blank=True, help_text="JSON Pointer (RFC 6901) into the body; empty for the body as a whole.")
    detail = serializers.CharField(help_text="What is wrong.")
    cure = serializers.CharField(help_text="What to change.")


class ProblemSerializer(serializers.Serializer[Any]):
    """A problem (RFC 9457)."""

    type = serializers.CharField(help_text="about:blank")
    title = serializers.CharField(help_text="The status in words.")
    status = serializers.IntegerField(min_value=400, max_value=599)
    detail = serializers.CharField(
        allow_blank=True, help_text="What went wrong; upstream's own text where origin is upstream, of a 5xx a general sentence."
    )
    reason = serializers.CharField(allow_blank=True, help_text="A code for programs, as in the log.")
    origin = serializers.ChoiceField(choices=["gateway", "upstream"], help_text="Who said no.")
    outcome = serializers.ChoiceField(choices=STATES, required=False, help_text="What the log says came of the call; unknown: it may have arrived.")
    retryable = serializers.BooleanField(required=False, help_text="Whether sending it again is safe and may help.")
    audit_id = serializers.UUIDField(required=False, help_text="The call's id in the audit log.")
    errors = FaultSerializer(many=True, required=False, help_text="At most 100.")  # type: ignore[assignment]


class ResultSerializer(serializers.Serializer[Any]):
    """Upstream's text as JSON. An upstream answer that is JSON already passes unchanged in its place."""

    result = serializers.CharField(allow_null=True, help_text="What RudderStack said, ok as a rule; null for nothing.")


class DryRunSerializer(serializers.Serializer[Any]):
    """What would be sent; only with dry_run=true."""

    dry_run = serializers.BooleanField()
    operation = serializers.ChoiceField(choices=OPERATION_CHOICES)
    target = serializers.CharField(help_text="The address it would be sent to.")
    source = serializers.CharField(allow_null=True, help_text="The effective source.")  # type: ignore[assignment]
    destination = serializers.CharField(allow_null=True)
    job_run_id = serializers.CharField(allow_null=True, help_text="The one that would win upstream.")
    events = serializers.IntegerField()
    bytes = serializers.IntegerField(help_text="Of the body as received.")
    events_without_message_id = serializers.IntegerField(
        allow_null=True, help_text="RudderStack gives these a random one, so sending twice doubles them."
    )
    errors = FaultSerializer(many=True, help_text="What the exact check would refuse, where GATEWAY_VALIDATION is observe.")  # type: ignore[assignment]


class CallSerializer(serializers.Serializer[Any]):
    """One call of the audit log."""

    id = serializers.UUIDField(help_text="The audit id, a UUIDv7.")
    at = serializers.DateTimeField()
    operation = serializers.ChoiceField(choices=OPERATION_CHOICES)
    channel = serializers.ChoiceField(choices=Channel.choices)
    client = serializers.CharField(allow_null=True, help_text="The client's id.")
    actor = serializers.CharField(help_text="The client's name at that time.")
    key_prefix = serializers.CharField(allow_null=True)
    source = serializers.CharField(allow_null=True, help_text="The effective source; of an internal batch all, with commas between.")  # type: ignore[assignment]
    destination = serializers.CharField(allow_null=True)
    job_run_id = serializers.CharField(allow_null=True)
    request_id = serializers.CharField()
    events = serializers.IntegerField(allow_null=True)
    bytes = serializers.IntegerField(allow_null=True, help_text="Of the body as received; null where it was refused unread, or is a job's upload.")
    sha256 = serializers.CharField(allow_null=True, help_text="Of the body as received.")
    result = serializers.ChoiceField(choices=STATES)
    status = serializers.IntegerField(allow_null=True, help_text="As answered to the caller.")
    attempts = serializers.IntegerField(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True)
    upstream_ms = serializers.IntegerField(allow_null=True)
    reason = serializers.CharField(allow_null=True)
    errors = FaultSerializer(many=True)  # type: ignore[assignment]
    resend_of = serializers.UUIDField(allow_null=True)
    job = serializers.UUIDField(allow_null=True, help_text="The job that sent it; or, where result is job, that was made of it.")


class CallListSerializer(serializers.Serializer[Any]):
    """One page."""

    results = CallSerializer(many=True)
    next = serializers.URLField(allow_null=True, help_text="The next page, or null.")


class WebhookSerializer(serializers.Serializer[Any]):
    """How far a job's end is told."""

    url = serializers.CharField(help_text="The address without its query.")
    state = serializers.ChoiceField(choices=WebhookState.choices)
    tries = serializers.IntegerField()
    note = serializers.CharField(allow_null=True, help_text="What came of the last try; null before it.")


class WebhookSecretSerializer(serializers.Serializer[Any]):
    """What a receiver checks signatures with."""

    secret = serializers.CharField(help_text="`whsec_…`, as the libraries of Standard Webhooks take it.")


class SpanSerializer(serializers.Serializer[Any]):
    """At least, and about at most."""

    low = serializers.IntegerField()
    high = serializers.IntegerField()


class DryRunReportSerializer(serializers.Serializer[Any]):
    """What a job would do."""

    events = serializers.IntegerField()
    bytes = serializers.IntegerField()
    calls = serializers.IntegerField(help_text="Calls to RudderStack, if none has to be sent again.")
    without_message_id = serializers.IntegerField(help_text="Events that would get a stable messageId from the gateway.")
    faulty = serializers.IntegerField(help_text="Lines that are no good event; each is a failure.")
    bodies_not_kept = serializers.IntegerField(allow_null=True, help_text="Earlier calls of which the body is not kept; null for other inputs.")
    job_run_id = serializers.CharField(help_text="What the job run id changes.")
    upstream_ms = serializers.IntegerField(allow_null=True, help_text="What RudderStack took for such calls lately (median); null: 16 is assumed.")
    seconds = SpanSerializer(help_text="How long it would take.")


class JobSerializer(serializers.Serializer[Any]):
    """One job."""

    id = serializers.UUIDField(help_text="Also the audit id of the call that made it.")
    state = serializers.ChoiceField(choices=State.choices)
    reason = serializers.CharField(allow_null=True, help_text="Why it is in this state: a code and a sentence.")
    retry_of = serializers.UUIDField(allow_null=True, help_text="The job whose failures these events were.")
    format = serializers.ChoiceField(choices=Format.choices, help_text="How the input is written.")
    operation = serializers.ChoiceField(choices=OPERATION_CHOICES)
    source = serializers.CharField(allow_null=True)  # type: ignore[assignment]
    client = serializers.CharField(allow_blank=True)
    actor = serializers.CharField()
    dry_run = serializers.BooleanField()
    dry_run_report = DryRunReportSerializer(allow_null=True, help_text="Of a dry run that is finished.")
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    kept_until = serializers.DateTimeField(
        allow_null=True, help_text="When its events, and the texts of its failures, are removed; null before its end, and once they are gone."
    )
    rate = serializers.IntegerField(allow_null=True, help_text="Events a second, at most.")
    window = serializers.CharField(allow_null=True, help_text="The hours of each day, in UTC, in which it sends; null for all.")
    ordered = serializers.BooleanField()
    priority = serializers.IntegerField()
    events = serializers.IntegerField(help_text="Good events of the input, as far as it is taken in.")
    bytes = serializers.IntegerField()
    lines = serializers.IntegerField()
    taken_in = serializers.BooleanField(help_text="Whether the whole input was read.")
    without_message_id = serializers.IntegerField(help_text="Events that got a stable messageId from the gateway.")
    submitted = serializers.IntegerField()
    accepted = serializers.IntegerField()
    refused = serializers.IntegerField(help_text="Events not taken, faulty lines included.")
    delivered = serializers.IntegerField(allow_null=True, help_text="As RudderStack reports it; null where it does not.")
    failed = serializers.IntegerField(allow_null=True, help_text="As RudderStack reports it; null where it does not.")
    possible_duplicates = serializers.IntegerField(help_text="Events that may have been sent twice, with the same messageId.")
    job_run_id = serializers.CharField(allow_null=True)
    webhook = WebhookSerializer(allow_null=True)


class JobListSerializer(serializers.Serializer[Any]):
    """One page."""

    results = JobSerializer(many=True)
    next = serializers.URLField(allow_null=True, help_text="The next page, or null.")


class HealthSerializer(serializers.Serializer[Any]):
    """Alive."""

    status = serializers.ChoiceField(choices=["ok"])


class ReadySerializer(serializers.Serializer[Any]):
    """Ready, degraded (RudderStack does not answer), or unavailable (the log takes no row)."""

    status = serializers.ChoiceField(choices=["ok", "degraded", "unavailable"])
    log = serializers.ChoiceField(choices=["ok", "unavailable"])
    upstream = serializers.ChoiceField(choices=["ok", "unreachable", "circuit_open", "not asked"])
