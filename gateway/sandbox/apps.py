"""The app's registration."""

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    """Sandbox."""

    name = "gateway.sandbox"
    label = "sandbox"
