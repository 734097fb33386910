"""The web process's way in."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rudderproxy.settings")
django.setup()

from gateway.api.front import Front  # noqa: E402 - Django must be set up first
from gateway.audit import late  # noqa: E402

late.watch()
application = Front()
