"""The project's own registration: its system checks."""

from django.apps import AppConfig
from django.core.checks import register

from rudderproxy.checks import TAG, check_settings, check_sqlite


class ProjectConfig(AppConfig):
    """Checks of how the gateway is set up."""

    name = "rudderproxy"

    def ready(self) -> None:
        """Register them."""
        register(check_settings, TAG)
        register(check_sqlite, TAG)
