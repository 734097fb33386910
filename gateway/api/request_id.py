"""X-Request-Id: the caller's own is echoed, else one is made. Every answer of the gateway has it."""

import re
from collections.abc import Callable
from typing import Any, Final

from django.http import HttpRequest, HttpResponse

from gateway.audit.models import new_id

HEADER: Final = "X-Request-Id"
_GOOD: Final = re.compile(r"[!-~]{1,200}")


class RequestIdMiddleware:
    """Puts `request_id` on the request and the header on the response. What is no printable ASCII of at most 200 is made anew."""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """One request."""
        given = request.headers.get(HEADER, "")
        request_id = given if _GOOD.fullmatch(given) else str(new_id())
        request.request_id = request_id  # type: ignore[attr-defined]
        response: HttpResponse = self._get_response(request)
        response[HEADER] = request_id
        return response
