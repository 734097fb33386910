"""/v1/calls: the log, as far as it is the caller's to see."""

import uuid
from typing import Any

from django.http import Http404, HttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from gateway.api.authentication import principal_of
from gateway.api.query import given, page_after
from gateway.api.serializers import OPERATION_CHOICES
from gateway.audit import view
from gateway.audit.database import using_log
from gateway.audit.log import available
from gateway.audit.models import Channel
from gateway.audit.shape import shape
from gateway.audit.view import Query

_EQUAL = ("operation", "channel", "source", "client", "actor", "request_id")


class CallsQuery(serializers.Serializer[Any]):
    """Filters of the list; all that are given must hold."""

    operation = serializers.ChoiceField(choices=OPERATION_CHOICES, required=False)
    channel = serializers.ChoiceField(choices=Channel.choices, required=False)
    source = serializers.CharField(required=False, max_length=1000)  # type: ignore[assignment]
    client = serializers.UUIDField(required=False)
    actor = serializers.CharField(required=False, max_length=200)
    request_id = serializers.CharField(required=False, max_length=200)
    result = serializers.ChoiceField(choices=view.STATES, required=False)
    since = serializers.DateTimeField(required=False, help_text="From this time on; without it, the last 7 days.")
    until = serializers.DateTimeField(required=False, help_text="Before this time.")
    cursor = serializers.UUIDField(required=False, help_text="Given by `next`.")
    limit = serializers.IntegerField(required=False, min_value=1, max_value=200, default=50)


class CallsView(APIView):
    """The calls that the key may see, newest first."""

    http_method_names = ("get", "head")

    def get(self, request: Request) -> HttpResponse:
        """One page."""
        principal = principal_of(request._request)
        values = given(CallsQuery, request)
        equal = {name: str(values[name]) for name in _EQUAL if name in values}
        query = Query(
            equal={**equal, **principal.own_calls},
            result=values.get("result"),
            since=values.get("since"),
            until=values.get("until"),
            before=values.get("cursor"),
            limit=values["limit"],
        )
        if not principal.sees_all_calls and equal.get("client", principal.client_id) != principal.client_id:
            return Response({"results": [], "next": None})
        with available(), using_log():
            records, more = view.find(query)
        following = None
        if more:
            following = page_after(request, records[-1].call.id)
        return Response({"results": [shape(record) for record in records], "next": following})


class CallView(APIView):
    """One call."""

    http_method_names = ("get", "head")

    def get(self, request: Request, call_id: uuid.UUID) -> HttpResponse:
        """Its shape, as in the list."""
        principal = principal_of(request._request)
        with available(), using_log():
            record = view.get(call_id, principal.own_calls.get("client"))
        if record is None:
            raise Http404
        return Response(shape(record))
