"""/healthz and /readyz."""

import threading
from time import monotonic
from typing import Any, Final

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from gateway.audit import late, log
from gateway.upstream import client

SECONDS: Final = 1.0
"""How long an answer to /readyz is good."""


class HealthView(APIView):
    """Whether the process answers."""

    http_method_names = ("get", "head")

    def get(self, request: Request) -> HttpResponse:
        """200, always."""
        return Response({"status": "ok"})


class Readiness:
    """Whether calls can be served. Anybody may ask, so it is found out once a second at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Find out anew when next asked."""
        self._found_at = -SECONDS
        self._found: dict[str, Any] = {}

    def ask(self) -> dict[str, Any]:
        """The state of all, of the log and of RudderStack."""
        with self._lock:
            if monotonic() - self._found_at >= SECONDS:
                self._found, self._found_at = self._find_out(), monotonic()
            return self._found

    def _find_out(self) -> dict[str, Any]:
        try:
            late.check()
            log.probe()
        except log.LogUnavailableError:
            return {"status": "unavailable", "log": "unavailable", "upstream": "not asked"}
        upstream = client.state()
        return {"status": "ok" if upstream == "ok" else "degraded", "log": "ok", "upstream": upstream}


readiness: Final = Readiness()


class ReadyView(APIView):
    """Whether calls can be served: the log takes a row and no outcome waits for it. RudderStack being away makes it degraded, not unready."""

    http_method_names = ("get", "head")

    def get(self, request: Request) -> HttpResponse:
        """200 or 503."""
        found = readiness.ask()
        return Response(found, status=503 if found["log"] == "unavailable" else 200)
