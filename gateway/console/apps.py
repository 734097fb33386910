"""The app's registration."""

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    """Console."""

    name = "gateway.console"
    label = "console"
