"""Everything that goes wrong, as application/problem+json (RFC 9457). No exception's text reaches a caller or the log: it can quote values."""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.core.signals import got_request_exception
from django.dispatch import receiver
from django.http import Http404, HttpRequest, HttpResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response

from gateway.audit.failure import INTERNAL, LOG_UNAVAILABLE, log_exception
from gateway.audit.log import LogUnavailableError
from gateway.contract.faults import Fault
from gateway.ingress.problem import TYPE
from gateway.ingress.problem import problem as describe

_PAGES: Final = "/admin/"


class Problem(exceptions.APIException):
    """A problem to answer with; `extra` are further members of the document."""

    def __init__(
        self, status: int, reason: str, detail: str, *, errors: Iterable[Fault] = (), headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(detail)
        self.status_code = status
        self.reason = reason
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.extra = extra


def respond(problem: Problem) -> HttpResponse:
    """The response for a problem."""
    document = describe(problem.status_code, problem.reason, str(problem.detail), **problem.extra)
    if problem.errors:
        document["errors"] = [fault.shown() for fault in problem.errors]
    # ASCII only: lone surrogates of an upstream text could not be encoded otherwise.
    response = HttpResponse(json.dumps(document), status=problem.status_code, content_type=TYPE)
    for name, value in problem.headers.items():
        response[name] = value
    return response


def log_unavailable(error: LogUnavailableError) -> Problem:
    """503: no log, no sending."""
    headers = {"Retry-After": "1", **({"X-Audit-Id": str(error.call_id)} if error.call_id else {})}
    return Problem(503, "log_unavailable", LOG_UNAVAILABLE, headers=headers, outcome="failed", retryable=True)


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | HttpResponse:
    """What DRF calls for whatever a view raises."""
    if isinstance(error, Problem):
        return respond(error)
    if isinstance(error, LogUnavailableError):
        return respond(log_unavailable(error))
    if isinstance(error, exceptions.MethodNotAllowed):
        view = context["view"]
        allow = {"Allow": ", ".join(view.allowed_methods)}
        return respond(Problem(405, "method_not_allowed", f"Use {allow['Allow']} here.", headers=allow))
    if isinstance(error, exceptions.ValidationError):
        return respond(Problem(400, "bad_parameter", _first(error.detail)))
    if isinstance(error, Http404):
        return respond(Problem(404, "not_found", "There is no such thing here, or it is not yours to see."))
    if isinstance(error, SuspiciousOperation):
        return respond(Problem(400, "bad_request", "The request is malformed, or has more parameters than anybody needs."))
    if isinstance(error, exceptions.APIException | PermissionDenied):
        return respond(Problem(getattr(error, "status_code", 403), "refused", "The request cannot be served."))
    log_exception(error)
    return respond(_internal())


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404 of a path that is no route."""
    return respond(Problem(404, "no_such_route", "There is no such route. /openapi.json lists all; none ends in a slash."))


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400 of Django's own, such as a Host header that DJANGO_ALLOWED_HOSTS does not have."""
    return respond(Problem(400, "bad_request", "The request is malformed, or its Host is not among DJANGO_ALLOWED_HOSTS."))


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403 of Django's own: a page in the admin."""
    if request.path.startswith(_PAGES):
        return defaults.permission_denied(request, exception or PermissionDenied())
    return respond(Problem(403, "forbidden", "This is not allowed."))


def server_error(request: HttpRequest) -> HttpResponse:
    """500 outside the REST views: a page in the admin."""
    if request.path.startswith(_PAGES):
        return defaults.server_error(request)
    return respond(_internal())


@receiver(got_request_exception, dispatch_uid="gateway.api.problems")
def _log_uncaught(sender: object, **_: Any) -> None:
    error = sys.exc_info()[1]
    if error is not None:
        log_exception(error)


def _internal() -> Problem:
    return Problem(500, "internal", INTERNAL)


def _first(detail: Any) -> str:
    if isinstance(detail, dict):
        name, messages = next(iter(detail.items()))
        return f"{name}: {_first(messages)}"
    return str(detail[0]) if isinstance(detail, list) else str(detail)
