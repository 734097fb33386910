"""The view behind the five operations' routes, made from the table of operations."""

import json
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from gateway.api.authentication import principal_of
from gateway.api.preferences import RESPOND_ASYNC, preferences
from gateway.api.problems import Problem, respond
from gateway.api.received import address_of, body_of
from gateway.audit.models import Channel
from gateway.audit.redaction import KEPT_HEADERS
from gateway.forwarding.admission import PASSED_ON
from gateway.forwarding.answer import Answer, Refusal
from gateway.forwarding.submission import Submission
from gateway.jobs.models import Job
from gateway.jobs.shape import shape
from gateway.operations import Operation
from gateway.submission import submit

_DRY_RUN = "dry_run"
_NOT_SURE = "dry_run must be true or false, and be spelled so. Nothing was sent."
_WISHES = {"": False, "false": False, "0": False, "true": True, "1": True}
_HEADERS = frozenset(KEPT_HEADERS) | frozenset(PASSED_ON)


class OperationView(APIView):
    """POST one body to RudderStack."""

    operation: ClassVar[Operation]
    http_method_names = ("post",)

    def post(self, request: Request) -> HttpResponse:
        """Forward it and answer as JSON, or make a job of it."""
        submission = self._submission(request._request)
        answer = submit(submission)
        if isinstance(answer, Answer):
            return present(answer)
        response = present_job(answer)
        if submission.respond_async:
            response["Preference-Applied"] = RESPOND_ASYNC
        return response

    def _submission(self, request: HttpRequest) -> Submission:
        dry_run = _dry_run(request)
        return Submission(
            principal=principal_of(request),
            operation=self.operation,
            body=body_of(request),
            channel=Channel.REST,
            address=address_of(request),
            request_id=request.request_id,  # type: ignore[attr-defined]
            headers={name: value for name in _HEADERS if (value := request.headers.get(name)) is not None},
            idempotency_key=request.headers.get("Idempotency-Key"),
            query=_query(request),
            dry_run=bool(dry_run),
            respond_async=RESPOND_ASYNC in preferences(request.headers.get("Prefer", "")),
            refusal=None if dry_run is not None else Refusal(400, "bad_parameter", _NOT_SURE),
        )


def view_of(operation: Operation) -> Any:
    """The view class of one operation."""
    return type(f"{operation.route.capitalize()}View", (OperationView,), {"operation": operation, "__doc__": operation.help})


def present(answer: Answer) -> HttpResponse:
    """The answer as HTTP."""
    if answer.succeeded:
        content = answer.raw if answer.raw is not None else json.dumps(answer.document)
        response = HttpResponse(content, status=answer.status, content_type="application/json")
    elif answer.raw is not None and answer.status < 500:
        response = HttpResponse(answer.raw, status=answer.status, content_type="application/json")
    else:
        response = respond(
            Problem(
                answer.status,
                answer.reason,
                answer.detail,
                errors=answer.errors,
                origin=answer.origin,
                outcome=answer.result,
                retryable=answer.retryable,
                audit_id=str(answer.call_id),
            )
        )
    response["X-Audit-Id"] = str(answer.call_id)
    if answer.retry_after is not None:
        response["Retry-After"] = answer.retry_after
    if answer.replayed:
        response["Idempotency-Replayed"] = "true"
    if answer.pending:
        response["X-Audit-State"] = "pending"
    return response


def present_job(job: Job) -> HttpResponse:
    """A job that was made, as HTTP."""
    return Response(shape(job), status=202, headers={"Location": f"/v1/jobs/{job.id}", "X-Audit-Id": str(job.id)})


def _dry_run(request: HttpRequest) -> bool | None:
    """`?dry_run=true`; None for what is neither true nor false, or both, or only looks like it: who meant to try must not send."""
    # Not request.GET, which fails for more than 1,000 parameters.
    given = [(name, value) for name, value in parse_qsl(_query_of(request), keep_blank_values=True) if _spelling(name) == _spelling(_DRY_RUN)]
    wishes = {_WISHES.get(value.lower()) if name == _DRY_RUN else None for name, value in given}
    if not wishes:
        return False
    return wishes.pop() if len(wishes) == 1 else None


def _spelling(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _query(request: HttpRequest) -> str:
    """The query string as it came, without what is meant for the gateway."""
    return "&".join(part for part in _query_of(request).split("&") if part and part.partition("=")[0] != _DRY_RUN)


def _query_of(request: HttpRequest) -> str:
    return str(request.META.get("QUERY_STRING", ""))
