"""The admin's Content-Security-Policy. unfold's Alpine needs unsafe-eval, and its pages have style attributes; nothing comes from elsewhere."""

from collections.abc import Callable
from typing import Any, Final

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.http import HttpRequest, HttpResponse

PREFIX: Final = "/admin/"
PAGES: Final[dict[str, Any]] = {
    "default-src": [NONE],
    "script-src": [SELF, UNSAFE_EVAL],
    "style-src": [SELF, UNSAFE_INLINE],
    "img-src": [SELF, "data:"],
    "font-src": [SELF],
    "connect-src": [SELF],
    "form-action": [SELF],
    "base-uri": [SELF],
    "frame-ancestors": [NONE],
}


class AdminPolicyMiddleware:
    """Gives pages under /admin/ their policy; stands inside django-csp's middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """One request."""
        response = self._get_response(request)
        if request.path.startswith(PREFIX):
            response._csp_replace = PAGES  # type: ignore[attr-defined]
            response.headers.setdefault("Cache-Control", "no-store")
        return response
