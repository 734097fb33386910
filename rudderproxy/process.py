"""The beginning of a process that serves."""

import multiprocessing
import os
import signal

import django

from rudderproxy import parent


def begin() -> None:
    """Set Django up, look after outcomes that wait, and end when the process that started this one is gone."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rudderproxy.settings")
    django.setup()

    from gateway.audit import late

    late.watch()
    # The web server's first process starts those that serve; they stop in order when it is gone.
    if first := multiprocessing.parent_process():
        parent.watch(first.pid or 0, lambda: os.kill(os.getpid(), signal.SIGTERM))
