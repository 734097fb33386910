"""Every answer of REST and the admin has X-Request-Id."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from gateway.ingress.request_id import HEADER, request_id_of


class RequestIdMiddleware:
    """Puts `request_id` on the request and the header on the response."""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """One request."""
        request_id = request_id_of(request.headers.get(HEADER, ""))
        request.request_id = request_id  # type: ignore[attr-defined]
        response: HttpResponse = self._get_response(request)
        response[HEADER] = request_id
        return response
