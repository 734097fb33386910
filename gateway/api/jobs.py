"""/v1/jobs: long replays and extracts, made, watched and steered."""

import uuid
from datetime import time
from typing import Any, BinaryIO, Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from gateway.access.principal import Principal
from gateway.api.authentication import principal_of
from gateway.api.operation import present, present_job
from gateway.api.problems import Problem
from gateway.api.query import given, page_after
from gateway.api.received import address_of, upload_of
from gateway.api.serializers import OPERATION_CHOICES
from gateway.audit.database import using_log
from gateway.audit.log import available
from gateway.audit.models import Channel
from gateway.contract.body import Body
from gateway.forwarding.admission import PASSED_ON, SOURCE
from gateway.forwarding.answer import Refusal
from gateway.forwarding.forward import refuse
from gateway.forwarding.submission import Submission
from gateway.jobs import control, failures, making, retrying, window
from gateway.jobs.earlier import ANY, RESULTS, Filter
from gateway.jobs.formats import InputError, detect
from gateway.jobs.making import Wishes
from gateway.jobs.models import BOUNDS, Format, Job, State
from gateway.jobs.shape import shape
from gateway.jobs.tasks import wake
from gateway.operations import OPERATIONS
from gateway.submission import NO_DISK
from gateway.webhooks.address import LONGEST

FORMATS: Final = [choice for choice in Format.choices if choice[0] in (Format.NDJSON, Format.ARRAY, Format.BATCH)]
"""Not an archive: its input is a place that the gateway's machine can read, and so for who is on it."""
_HEADERS: Final = (SOURCE, *PASSED_ON)
_OF_CALLS: Final = ("since", "until", "from_source", "from_job", "reason")


def _whole(name: str, help_text: str, **options: Any) -> serializers.IntegerField:
    low, high = BOUNDS[name]
    return serializers.IntegerField(min_value=low, max_value=high, help_text=help_text, **options)


class JobOrder(serializers.Serializer[Any]):
    """How a job is to be done."""

    operation = serializers.ChoiceField(choices=OPERATION_CHOICES)
    format = serializers.ChoiceField(choices=FORMATS, required=False, help_text="How the body is written; found out by looking without it.")
    dry_run = serializers.BooleanField(default=False, help_text="Read and check everything exactly; send nothing.")
    ordered = serializers.BooleanField(default=True, help_text="One chunk at a time, in order; else up to 16 at once.")
    rate = _whole("rate", "Events a second, at most.", required=False)
    priority = _whole("priority", "Of the jobs that wait the highest goes first.", default=0)
    chunk_events = _whole("chunk_events", "Events sent together.", default=500)
    not_before = serializers.DateTimeField(required=False, help_text="Begin at this time.")
    from_calls = serializers.ChoiceField(
        choices=[*((result.value, result.label) for result in RESULTS), (ANY, "Any of these")],
        required=False,
        help_text="The input is not the body, which must be empty, but your client's earlier calls of the operation with this result, as far as "
        "their bodies are kept: today those of jobs' chunks.",
    )
    since = serializers.DateTimeField(required=False, help_text="With from_calls: made from this time on; the last 7 days without it.")
    until = serializers.DateTimeField(required=False, help_text="With from_calls: made before this time.")
    from_source = serializers.CharField(required=False, max_length=200, help_text="With from_calls: of this source, not of the job's own.")
    from_job = serializers.UUIDField(required=False, help_text="With from_calls: of this job.")
    reason = serializers.CharField(required=False, max_length=64, help_text="With from_calls: with this reason.")
    window = serializers.CharField(required=False, help_text="Send only in these hours of each day, in UTC, such as 22:00-06:00.")
    job_run_id = serializers.CharField(
        required=False, max_length=200, help_text="RudderStack's job run for all events; one of its own without it, none with `none`."
    )
    webhook = serializers.CharField(
        required=False,
        max_length=LONGEST,
        help_text="Tell the job's end to this address: a signed POST as Standard Webhooks has it, at least once. Better without a secret in it.",
    )

    def validate_window(self, text: str) -> tuple[time, time]:
        """From when to when."""
        try:
            return window.read(text)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """What belongs together."""
        without = [name for name in _OF_CALLS if name in values]
        if without and "from_calls" not in values:
            raise serializers.ValidationError({without[0]: "This is for from_calls alone."})
        if "from_calls" in values and "format" in values:
            raise serializers.ValidationError({"format": "Earlier calls have their own: leave it out."})
        return values


class JobsQuery(serializers.Serializer[Any]):
    """Filters of the list; all that are given must hold."""

    state = serializers.ChoiceField(choices=State.choices, required=False)
    operation = serializers.ChoiceField(choices=OPERATION_CHOICES, required=False)
    cursor = serializers.UUIDField(required=False, help_text="Given by `next`.")
    limit = serializers.IntegerField(required=False, min_value=1, max_value=200, default=50)


class RateQuery(serializers.Serializer[Any]):
    """Another rate."""

    rate = _whole("rate", "Events a second; without it as many as go.", required=False)


class FailuresQuery(serializers.Serializer[Any]):
    """Which failures."""

    reason = serializers.CharField(required=False, max_length=64)
    after = serializers.IntegerField(default=0, min_value=0, max_value=2**62, help_text="After the one with this id; an empty answer is the end.")
    summary = serializers.BooleanField(default=False, help_text="Only how many there are of each reason.")


class RetryQuery(serializers.Serializer[Any]):
    """Which failures are sent again."""

    reason = serializers.CharField(required=False, max_length=64, help_text="Those of this reason; without it all.")


class JobsView(APIView):
    """The jobs that the key may see, and new ones."""

    http_method_names = ("get", "head", "post")

    def get(self, request: Request) -> HttpResponse:
        """One page, newest first."""
        principal = principal_of(request._request)
        values = given(JobsQuery, request)
        found = Job.objects.filter(**principal.own_calls, **{name: values[name] for name in ("state", "operation") if name in values})
        if "cursor" in values:
            found = found.filter(id__lt=values["cursor"])
        with available(), using_log():
            jobs = list(found.order_by("-id")[: values["limit"] + 1])
        following = None
        if len(jobs) > values["limit"]:
            jobs = jobs[: values["limit"]]
            following = page_after(request, jobs[-1].id)
        return Response({"results": [shape(job) for job in jobs], "next": following})

    def post(self, request: Request) -> HttpResponse:
        """A job of the body (NDJSON, a JSON array, or an object with `batch`, each also gzipped), or of earlier calls."""
        principal = principal_of(request._request)
        values = given(JobOrder, request)
        submission = _submission(request._request, principal, values)
        try:
            wishes = _wishes(values)
            content = upload_of(request._request)
            if "from_calls" in values:
                job = _of_calls(submission, content, values, wishes)
            else:
                form = Format(values["format"]) if "format" in values else detect(content, settings.GATEWAY_MAX_BODY_BYTES)
                job = making.from_upload(submission, content, form, wishes)
        except InputError as error:
            return present(refuse(submission, Refusal(400, error.reason, str(error))))
        except Refusal as refusal:
            return present(refuse(submission, refusal))
        except OSError:
            raise _no_disk() from None
        return _made(job)


class JobView(APIView):
    """One job."""

    http_method_names = ("get", "head")

    def get(self, request: Request, job_id: uuid.UUID) -> HttpResponse:
        """Its shape, as in the list."""
        return Response(shape(_job(principal_of(request._request), job_id)))


class JobControlView(APIView):
    """Pause, resume, cancel, or another rate."""

    http_method_names = ("post",)

    def post(self, request: Request, job_id: uuid.UUID, verb: str) -> HttpResponse:
        """In force within a second."""
        principal = principal_of(request._request)
        job = _job(principal, job_id)
        try:
            if verb == "rate":
                job = control.set_rate(job.id, given(RateQuery, request).get("rate"), actor=principal.name, channel=Channel.REST)
            else:
                job = _CONTROLS[verb](job.id, actor=principal.name, channel=Channel.REST)
        except control.TransitionError as error:
            raise Problem(409, "not_possible", str(error)) from None
        wake()
        return Response(shape(job))


class FailuresView(APIView):
    """Events that were not taken."""

    http_method_names = ("get", "head")

    def get(self, request: Request, job_id: uuid.UUID) -> HttpResponse:
        """As NDJSON, in the order of the input; `event` is the line as it was."""
        job = _job(principal_of(request._request), job_id)
        values = given(FailuresQuery, request)
        if values["summary"]:
            content = failures.as_lines(failures.by_reason(job))
        else:
            content = failures.lines(job, values.get("reason", ""), values["after"])
        return HttpResponse(content, content_type="application/x-ndjson")


class RetryView(APIView):
    """Events that were not taken, sent again."""

    http_method_names = ("post",)

    def post(self, request: Request, job_id: uuid.UUID) -> HttpResponse:
        """A new job of the failures: as they were, or as the body has them corrected."""
        principal = principal_of(request._request)
        job, values = _job(principal, job_id), given(RetryQuery, request)
        submission = _submission(request._request, principal, {"operation": job.operation, "dry_run": False})
        try:
            content = upload_of(request._request)
            corrected = content if content.read(1) else None
            return _made(retrying.retry_failed(job, submission, reason=values.get("reason", ""), corrected=corrected))
        except Refusal as refusal:
            return present(refuse(submission, refusal))
        except OSError:
            raise _no_disk() from None


_CONTROLS: Final = {"pause": control.pause, "resume": control.resume, "cancel": control.cancel}


def _submission(request: HttpRequest, principal: Principal, values: dict[str, Any]) -> Submission:
    return Submission(
        principal=principal,
        operation=OPERATIONS[values["operation"]],
        body=Body.of(b""),
        channel=Channel.REST,
        address=address_of(request),
        request_id=request.request_id,  # type: ignore[attr-defined]
        headers={name: value for name in _HEADERS if (value := request.headers.get(name)) is not None},
        idempotency_key=request.headers.get("Idempotency-Key"),
        dry_run=values["dry_run"],
    )


def _of_calls(submission: Submission, content: BinaryIO, values: dict[str, Any], wishes: Wishes) -> Job:
    if content.read(1):
        raise Refusal(400, "bad_parameter", "With from_calls the body must be empty: the input is the calls. No job was made.")
    filter_ = Filter(
        since=values.get("since"),
        until=values.get("until"),
        result=None if values["from_calls"] == ANY else values["from_calls"],
        source=values.get("from_source", ""),
        job=str(values.get("from_job", "")),
        reason=values.get("reason", ""),
    )
    return making.from_calls(submission, filter_, wishes)


def _wishes(values: dict[str, Any]) -> Wishes:
    window_from, window_to = values.get("window", (None, None))
    given = {name: values[name] for name in Wishes.__dataclass_fields__ if name in values}
    return Wishes(**given, window_from=window_from, window_to=window_to)


def _made(job: Job) -> HttpResponse:
    wake()
    return present_job(job)


def _no_disk() -> Problem:
    return Problem(503, "no_disk", NO_DISK)


def _job(principal: Principal, job_id: uuid.UUID) -> Job:
    with available(), using_log():
        job = Job.objects.filter(id=job_id, **principal.own_calls).first()
    if job is None:
        raise Http404
    return job
