"""The OpenAPI 3.1 document and its page: what each route takes and every answer it gives, generated from views and operations."""

import json
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

from csp.constants import NONE, SELF, UNSAFE_INLINE
from csp.decorators import csp_replace
from django.http import HttpResponse
from django.utils.decorators import method_decorator
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, PolymorphicProxySerializer, extend_schema, extend_schema_view
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.views import APIView

from gateway.api.calls import CallsQuery, CallsView, CallView
from gateway.api.health import HealthView, ReadyView
from gateway.api.jobs import (
    FailuresQuery,
    FailuresView,
    JobControlView,
    JobOrder,
    JobsQuery,
    JobsView,
    JobView,
    RateQuery,
    RetryQuery,
    RetryView,
)
from gateway.api.operation import view_of
from gateway.api.serializers import (
    CallListSerializer,
    CallSerializer,
    DryRunSerializer,
    HealthSerializer,
    JobListSerializer,
    JobSerializer,
    ProblemSerializer,
    ReadySerializer,
    ResultSerializer,
    WebhookSecretSerializer,
)
from gateway.api.webhooks import WebhookSecretView
from gateway.contract.schemas import body_schema, example_of
from gateway.forwarding.idempotency import MAX_LENGTH
from gateway.ingress.problem import TYPE
from gateway.operations import Operation, Shape

_PROBLEMS: Final = {
    400: "The body or a parameter is at fault: errors name the places.",
    401: "No API key, or an unknown one; or upstream's own 401 (origin upstream): the gateway's settings are wrong.",
    403: "The key may not use this operation or source.",
    404: "The source or destination is disabled, or upstream has no such route (origin upstream).",
    405: "A method that this route does not have; Allow names those that it has.",
    408: "The body came too slowly.",
    409: "A call with this Idempotency-Key is in flight, or its outcome is unknown.",
    413: "The body is too large: for RudderStack or for the gateway. POST /v1/jobs takes more.",
    422: "This Idempotency-Key was used with another body, or for a job where a call is asked for, or the other way round.",
    429: "Upstream's rate limit; Retry-After where upstream sent it.",
    500: "RudderStack could not store the events, or the gateway failed.",
    502: "RudderStack could not be reached and nothing was sent, or it answered with a redirect, which is not followed.",
    503: "The audit log cannot be written, or RudderStack is known not to answer, and nothing was sent; or upstream's own 503.",
    504: "No whole answer came: the outcome is unknown.",
}
_AUDIT_ID: Final = OpenApiParameter("X-Audit-Id", OpenApiTypes.UUID, OpenApiParameter.HEADER, response=True, description="The call's id in the log.")
_REQUEST_ID: Final = OpenApiParameter("X-Request-Id", str, OpenApiParameter.HEADER, response=True, description="Echoed or made.")
_CHALLENGE: Final = OpenApiParameter("WWW-Authenticate", str, OpenApiParameter.HEADER, response=[401], description="How to authenticate.")
_RETRY_AFTER: Final = OpenApiParameter("Retry-After", str, OpenApiParameter.HEADER, response=[409, 429, 503], description="In seconds.")
_REPLAYED: Final = OpenApiParameter(
    "Idempotency-Replayed", str, OpenApiParameter.HEADER, response=True, description="true: the recorded answer of an earlier call."
)
_PENDING: Final = OpenApiParameter(
    "X-Audit-State", str, OpenApiParameter.HEADER, response=True, description="pending: the outcome could not be written to the log yet."
)
_LOCATION: Final = OpenApiParameter("Location", str, OpenApiParameter.HEADER, response=[202], description="Where the job is.")
_APPLIED: Final = OpenApiParameter(
    "Preference-Applied", str, OpenApiParameter.HEADER, response=[202], description="respond-async, where it was asked for."
)
_COMMON: Final = [_AUDIT_ID, _REQUEST_ID, _CHALLENGE, _RETRY_AFTER, _REPLAYED, _PENDING]


def _header(name: str, description: str, schema: Any = str) -> OpenApiParameter:
    return OpenApiParameter(name, schema, OpenApiParameter.HEADER, description=description)


_KEY: Final = {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH, "pattern": "^[!-~]([ -~]*[!-~])?$"}
_INPUTS: Final = [
    OpenApiParameter("dry_run", bool, OpenApiParameter.QUERY, description="Check exactly and say what would be sent; send nothing.", default=False),
    _header("X-Rudder-Source-Id", "The source; without it the settings' default. Messages of an internal batch name their own."),
    _header("X-Rudder-Destination-Id", "One destination of the source (retl)."),
    _header("X-Rudder-Job-Run-Id", "RudderStack's job run; one in the first event wins."),
    _header("X-Rudder-Task-Run-Id", "RudderStack's task run; one in the first event wins."),
    _header("AnonymousId", "RudderStack's routing key."),
    _header("Content-Encoding", "gzip, or nothing."),
    _header("Prefer", "respond-async: make a job of it and answer at once (RFC 7240)."),
    _header("Idempotency-Key", "The same request under the same key is sent once, however often it is asked for.", _KEY),
]


def _problem(status: int) -> tuple[tuple[int, str], OpenApiResponse]:
    example: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": "…",
        "reason": "…",
        "origin": "gateway",
    }
    return (status, TYPE), OpenApiResponse(
        ProblemSerializer, _PROBLEMS[status], [OpenApiExample("problem", value=example, response_only=True, status_codes=[str(status)])]
    )


def _problems(*statuses: int) -> dict[Any, Any]:
    return dict(_problem(status) for status in statuses)


def _answers_of_upstream() -> dict[Any, Any]:
    """An upstream 4xx that is JSON passes unchanged."""
    unchanged: dict[str, Any] = {"description": "Upstream's own JSON, unchanged."}
    return {(status, "application/json"): OpenApiResponse(unchanged, text) for status, text in _PROBLEMS.items() if status < 500}


_LINES: Final = {"type": "string", "description": "With Prefer: respond-async, one event a line. A JSON array of events is taken then, too."}
_ASKED: Final = OpenApiResponse(JobSerializer, "A job was made, as was asked for: how far it is.")
_MADE: Final = {
    Shape.EVENT: _ASKED,
    Shape.MESSAGES: _ASKED,
    Shape.BATCH: OpenApiResponse(JobSerializer, "A job was made, as was asked for, or as the body is over 4,096,000 bytes: how far it is."),
}


def operation_view(operation: Operation) -> type[APIView]:
    """The operation's view with its documentation."""
    sent = PolymorphicProxySerializer(component_name="Sent", serializers=[ResultSerializer, DryRunSerializer], resource_type_field_name=None)
    success = OpenApiResponse(sent, "RudderStack took it, or a dry run. Upstream's JSON passes unchanged.")
    view: type[APIView] = view_of(operation)
    schema = extend_schema(
        operation_id=operation.name,
        summary=operation.description,
        description=f"{operation.description}: {operation.help}",
        tags=["operations"],
        parameters=[*_INPUTS, *_COMMON, _LOCATION, _APPLIED],
        request={"application/json": body_schema(operation), "application/x-ndjson": _LINES},
        examples=[OpenApiExample("body", value=example_of(operation), request_only=True, media_type="application/json")],
        responses={
            (200, "application/json"): success,
            (202, "application/json"): _MADE[operation.shape],
            **_problems(*_PROBLEMS),
            **_answers_of_upstream(),
        },
    )
    return extend_schema_view(post=schema)(view)


_calls = extend_schema(
    operation_id="list_calls",
    summary="List calls",
    description="The calls that the key may see, newest first: its client's own, all with the scope audit.",
    tags=["calls"],
    parameters=[CallsQuery, _REQUEST_ID, _CHALLENGE],
    responses={200: OpenApiResponse(CallListSerializer, "One page."), **_problems(400, 401, 405, 503)},
)
_call = extend_schema(
    operation_id="get_call",
    summary="Get one call",
    description="One call, if the key may see it.",
    tags=["calls"],
    parameters=[_REQUEST_ID, _CHALLENGE, OpenApiParameter("call_id", OpenApiTypes.UUID, OpenApiParameter.PATH, description="The audit id.")],
    responses={200: OpenApiResponse(CallSerializer, "The call."), **_problems(401, 404, 405, 503)},
)
_JOB_ID: Final = OpenApiParameter("job_id", OpenApiTypes.UUID, OpenApiParameter.PATH, description="The job's id.")
_jobs = extend_schema(
    operation_id="list_jobs",
    summary="List jobs",
    description="The jobs that the key may see, newest first: its client's own, all with the scope audit.",
    tags=["jobs"],
    parameters=[JobsQuery, _REQUEST_ID, _CHALLENGE],
    responses={200: OpenApiResponse(JobListSerializer, "One page."), **_problems(400, 401, 405, 503)},
)
_new_job = extend_schema(
    operation_id="make_job",
    summary="Make a job",
    description="A job of the body, which may be larger than memory: NDJSON, a JSON array, or an object with `batch`; each also gzipped. "
    "Or, with `from_calls`, of earlier calls; then the body is empty.",
    tags=["jobs"],
    parameters=[
        JobOrder,
        *(one for one in _INPUTS if one.name in ("X-Rudder-Source-Id", "X-Rudder-Destination-Id", "Idempotency-Key")),
        *_COMMON,
        _LOCATION,
    ],
    request={"application/x-ndjson": {"type": "string", "description": "One event a line."}},
    responses={(202, "application/json"): OpenApiResponse(JobSerializer, "The job."), **_problems(400, 401, 403, 405, 408, 409, 413, 422, 503)},
)
_job = extend_schema(
    operation_id="get_job",
    summary="Get one job",
    description="One job and its progress, if the key may see it.",
    tags=["jobs"],
    parameters=[_REQUEST_ID, _CHALLENGE, _JOB_ID],
    responses={200: OpenApiResponse(JobSerializer, "The job."), **_problems(401, 404, 405, 503)},
)
_failures = extend_schema(
    operation_id="list_failures",
    summary="Events that were not taken",
    description="As NDJSON, in the order of the input, at most 10,000: each with its line, reason, pointer, and the event as it was.",
    tags=["jobs"],
    parameters=[_REQUEST_ID, _CHALLENGE, _JOB_ID, FailuresQuery],
    responses={(200, "application/x-ndjson"): OpenApiResponse(OpenApiTypes.STR, "The failures."), **_problems(400, 401, 404, 405, 503)},
)


_retry = extend_schema(
    operation_id="retry_failed",
    summary="Send a job's failures again",
    description="A new job of the failures that no other took yet: all, those of one reason, or those in the body, corrected: NDJSON as the list "
    "of failures is, of which `id` and `event` (text or object) are read. Only for the job's own client.",
    tags=["jobs"],
    parameters=[RetryQuery, *(one for one in _INPUTS if one.name == "Idempotency-Key"), *_COMMON, _LOCATION, _JOB_ID],
    request={"application/x-ndjson": {"type": "string", "description": "Corrected failures, one a line; nothing: as they were."}},
    responses={
        (202, "application/json"): OpenApiResponse(JobSerializer, "The new job."),
        **_problems(400, 401, 403, 404, 405, 408, 409, 413, 422, 503),
    },
)


def _control(verb: str, description: str, *parameters: Any) -> type[APIView]:
    schema = extend_schema(
        operation_id=f"{verb}_job",
        summary=f"{verb.capitalize()} a job" if verb != "rate" else "Change a job's rate",
        description=f"{description} In force within a second.",
        tags=["jobs"],
        parameters=[_REQUEST_ID, _CHALLENGE, _JOB_ID, *parameters],
        request=None,
        responses={200: OpenApiResponse(JobSerializer, "The job."), **_problems(400, 401, 404, 405, 409, 503)},
    )
    return extend_schema_view(post=schema)(type(f"{verb.capitalize()}JobView", (JobControlView,), {}))


_webhook_secret = extend_schema(
    operation_id="get_webhook_secret",
    summary="Get the webhook secret",
    description="What receivers of the client's webhooks check signatures with (Standard Webhooks). Every client has one of its own.",
    tags=["jobs"],
    parameters=[_REQUEST_ID, _CHALLENGE],
    responses={200: OpenApiResponse(WebhookSecretSerializer, "The secret."), **_problems(401, 404, 405, 503)},
)
_health = extend_schema(
    operation_id="healthz",
    summary="Alive",
    description="Whether the process answers.",
    tags=["health"],
    auth=[],
    parameters=[_REQUEST_ID],
    responses={200: OpenApiResponse(HealthSerializer, "The process answers."), **_problems(405)},
)
_ready = extend_schema(
    operation_id="readyz",
    summary="Ready",
    description="Whether the log takes a row, and whether RudderStack answers.",
    tags=["health"],
    auth=[],
    parameters=[_REQUEST_ID],
    responses={
        200: OpenApiResponse(ReadySerializer, "Ready, perhaps degraded."),
        503: OpenApiResponse(ReadySerializer, "The log takes no row."),
        **_problems(405),
    },
)
calls_view: Final = extend_schema_view(get=_calls)(CallsView)
call_view: Final = extend_schema_view(get=_call)(CallView)
jobs_view: Final = extend_schema_view(get=_jobs, post=_new_job)(JobsView)
job_view: Final = extend_schema_view(get=_job)(JobView)
retry_view: Final = extend_schema_view(post=_retry)(RetryView)
failures_view: Final = extend_schema_view(get=_failures)(FailuresView)
control_views: Final = {
    "pause": _control("pause", "Send nothing more until it is resumed."),
    "resume": _control("resume", "Go on."),
    "cancel": _control("cancel", "End it; what was sent stays sent."),
    "rate": _control("rate", "So many events a second at most.", RateQuery),
}
webhook_secret_view: Final = extend_schema_view(get=_webhook_secret)(WebhookSecretView)
health_view: Final = extend_schema_view(get=_health)(HealthView)
ready_view: Final = extend_schema_view(get=_ready)(ReadyView)


def _generate() -> Any:
    made = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    for operation in (operation for methods in made["paths"].values() for operation in methods.values()):
        # What the generator has no word for.
        if "requestBody" in operation:
            operation["requestBody"]["required"] = "jobs" not in operation["tags"]
        for answer in operation["responses"].values():
            answer["headers"][_REQUEST_ID.name]["required"] = True
    return made


@lru_cache(maxsize=1)
def document() -> str:
    """The document as JSON text; the same in every process."""
    return json.dumps(_generate(), indent=2, ensure_ascii=False, sort_keys=False) + "\n"


class OpenApiView(APIView):
    """/openapi.json."""

    http_method_names = ("get", "head")

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        """The document."""
        return HttpResponse(document(), content_type="application/json")


_PAGE: Final[dict[str, Any]] = {
    "default-src": [NONE],
    "script-src": [SELF],
    "style-src": [SELF, UNSAFE_INLINE],
    "img-src": [SELF, "data:"],
    "connect-src": [SELF],
    "frame-ancestors": [NONE],
}


@method_decorator(csp_replace(_PAGE), name="dispatch")
class DocsView(SpectacularSwaggerSplitView):
    """/docs, from local files."""

    http_method_names = ("get", "head")
    url = "/openapi.json"
