"""The app's registration."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The audit log."""

    name = "gateway.audit"
    label = "audit"
    verbose_name = "Audit log"
