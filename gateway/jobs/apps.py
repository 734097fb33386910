"""The app's registration."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Jobs."""

    name = "gateway.jobs"
    label = "jobs"
