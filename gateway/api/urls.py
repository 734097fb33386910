"""The REST routes."""

from django.urls import path

from gateway.api.openapi import (
    DocsView,
    OpenApiView,
    call_view,
    calls_view,
    control_views,
    failures_view,
    health_view,
    job_view,
    jobs_view,
    operation_view,
    ready_view,
    retry_view,
)
from gateway.operations import OPERATIONS

urlpatterns = [
    *(path(operation.path, operation_view(operation).as_view(), name=operation.name) for operation in OPERATIONS.values()),
    path("v1/calls", calls_view.as_view(), name="calls"),
    path("v1/calls/<uuid:call_id>", call_view.as_view(), name="call"),
    path("v1/jobs", jobs_view.as_view(), name="jobs"),
    path("v1/jobs/<uuid:job_id>", job_view.as_view(), name="job"),
    path("v1/jobs/<uuid:job_id>/failures", failures_view.as_view(), name="failures"),
    path("v1/jobs/<uuid:job_id>/retry-failed", retry_view.as_view(), name="retry-failed"),
    *(path(f"v1/jobs/<uuid:job_id>/{verb}", view.as_view(), {"verb": verb}, name=verb) for verb, view in control_views.items()),
    path("healthz", health_view.as_view(), name="healthz"),
    path("readyz", ready_view.as_view(), name="readyz"),
    path("openapi.json", OpenApiView.as_view(), name="openapi"),
    path("docs", DocsView.as_view(), name="docs"),
]
