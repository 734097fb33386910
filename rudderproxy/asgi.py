"""The web process's way in."""

import multiprocessing
import os
import signal

import django

from rudderproxy import parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rudderproxy.settings")
django.setup()

from gateway.api.front import Front  # noqa: E402 - Django must be set up first
from gateway.audit import late  # noqa: E402

late.watch()
# The web server's first process starts those that serve; they stop in order when it is gone.
if first := multiprocessing.parent_process():
    parent.watch(first.pid or 0, lambda: os.kill(os.getpid(), signal.SIGTERM))
application = Front()
