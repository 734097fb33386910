"""The Celery app. Messages only ring a bell: the database holds what there is to do."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_ready
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
