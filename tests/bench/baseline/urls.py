"""One view that forwards with `requests`. The pool has room for every thread, which favours the baseline."""

import requests
from django.conf import settings
from django.urls import path
from requests.adapters import HTTPAdapter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

session = requests.Session()
session.trust_env = False
session.mount("http://", HTTPAdapter(pool_maxsize=settings.GATEWAY_WEB_THREADS))


class ReplayView(APIView):
    authentication_classes = ()

    def post(self, request: Request) -> Response:
        answer = session.post(
            f"{settings.RUDDERSTACK_BASE_URL}/internal/v1/replay",
            data=request.body,
            headers={"Content-Type": "application/json", "X-Rudder-Source-Id": "rep-1"},
            timeout=settings.GATEWAY_DEADLINE_SECONDS,
        )
        return Response({"result": answer.text}, status=answer.status_code)


urlpatterns = [path("internal/v1/replay", ReplayView.as_view())]
