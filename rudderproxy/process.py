"""The beginning of a process that serves. Importing it sets Django up."""

import multiprocessing
import os
import signal

import django

from rudderproxy import parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rudderproxy.settings")
django.setup()

from gateway.audit import late  # noqa: E402 - Django must be set up first


def begin() -> None:
    """Look after outcomes that wait, and end in order when the process that started this one is gone."""
    late.watch()
    if first := multiprocessing.parent_process():
        parent.watch(first.pid or 0, lambda: os.kill(os.getpid(), signal.SIGTERM))
