"""The Celery app. Messages only ring a bell: the database holds what there is to do."""

import os
import threading
from time import sleep
from typing import Any

from celery import Celery
from celery.signals import beat_embedded_init, worker_process_init, worker_ready
from django.db import connections
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rudderproxy.settings")
TRANSPORT_ALIASES["embedded"] = "rudderproxy.broker:Transport"

app = Celery("rudderproxy")
app.config_from_object("rudderproxy.celery_settings")
app.autodiscover_tasks(["gateway.audit"])


@worker_process_init.connect
def _forget_connections(**_: Any) -> None:
    connections.close_all()


@worker_ready.connect
def _close_calls_of_before(sender: Any, **_: Any) -> None:
    """Calls that a crash left open long ago: one look through the whole log, at the start only."""
    app.send_task("gateway.audit.tasks.close_overdue_calls", kwargs={"whole_log": True}, expires=60)


@beat_embedded_init.connect
def _end_with_the_worker(**_: Any) -> None:
    """The clock is a process of its own. A killed worker would leave it ticking, one more with each restart."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        sleep(1)
    os._exit(1)
