"""What people are told of a form that did not come in whole."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from gateway.console.policy import PREFIX
from gateway.ingress.trouble import Trouble


class AdminTroubleMiddleware:
    """Answers under /admin/ for the web server's way in; Django would see a form without anything in it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """One request."""
        trouble: Trouble | None = getattr(request, "trouble", None)
        if trouble is None or not request.path.startswith(PREFIX):
            return self._get_response(request)
        if trouble is Trouble.FROM_STRANGER:
            status, text = 403, "Sign in first: an upload is taken only from people who may make jobs. Nothing was kept."
        elif trouble is Trouble.TOO_LARGE:
            limit = f"{settings.GATEWAY_MAX_UPLOAD_BYTES:,} bytes (GATEWAY_MAX_UPLOAD_BYTES)"
            status, text = 413, f"An upload may have at most {limit}. Nothing was kept."
        else:
            refusal = trouble.refusal()
            status, text = refusal.status, refusal.detail
        return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
