"""The app's registration."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """Clients and their keys."""

    name = "gateway.access"
    label = "access"
    verbose_name = "Access"
