"""The REST routes."""

from django.urls import path

from gateway.api.calls import CallsView, CallView
from gateway.api.health import HealthView, ReadyView
from gateway.api.operation import view_of
from gateway.operations import OPERATIONS

urlpatterns = [
    *(path(operation.path, view_of(operation).as_view(), name=operation.name) for operation in OPERATIONS.values()),
    path("v1/calls", CallsView.as_view(), name="calls"),
    path("v1/calls/<uuid:call_id>", CallView.as_view(), name="call"),
    path("healthz", HealthView.as_view(), name="healthz"),
    path("readyz", ReadyView.as_view(), name="readyz"),
]
