"""One view for every path; it reads the body, as every answer to a POST must."""

from django.http import HttpRequest, HttpResponse
from django.urls import re_path
from rest_framework.request import Request
from rest_framework.views import APIView

from gateway.api.received import body_of


class IdleView(APIView):
    def get(self, request: Request) -> HttpResponse:
        return self._answer(request._request)

    post = get

    def _answer(self, request: HttpRequest) -> HttpResponse:
        assert body_of(request).received is not None
        return HttpResponse(b'{"result": "ok"}', content_type="application/json")


urlpatterns = [re_path("", IdleView.as_view())]
