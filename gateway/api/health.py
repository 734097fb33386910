"""/healthz and /readyz."""

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from gateway.audit import log
from gateway.upstream import client


class HealthView(APIView):
    """Whether the process answers."""

    http_method_names = ("get", "head")

    def get(self, request: Request) -> HttpResponse:
        """200, always."""
        return Response({"status": "ok"})


class ReadyView(APIView):
    """Whether calls can be served: the log takes a row. RudderStack being away makes it degraded, not unready."""

    http_method_names = ("get", "head")

    def get(self, request: Request) -> HttpResponse:
        """200 or 503."""
        try:
            log.probe()
        except log.LogUnavailableError:
            return Response({"status": "unavailable", "log": "unavailable", "upstream": "not asked"}, status=503)
        upstream = client.reachable()
        return Response({"status": "ok" if upstream else "degraded", "log": "ok", "upstream": "ok" if upstream else "unreachable"})
