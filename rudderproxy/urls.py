"""The routes: REST, the admin, and JSON for what is none."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("gateway.api.urls")),
]
handler400 = "gateway.api.problems.bad_request"
handler403 = "gateway.api.problems.forbidden"
handler404 = "gateway.api.problems.not_found"
handler500 = "gateway.api.problems.server_error"
