"""The Django project: settings, routes, processes. Rooms of `gateway` read `django.conf.settings` and never this package."""

from rudderproxy.celery import app as celery_app

__all__ = ["celery_app"]
