"""The app's registration."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """REST."""

    name = "gateway.api"
    label = "api"
