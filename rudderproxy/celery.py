"""The Celery app. Messages only ring a bell: the database holds what there is to do."""

import os
import threading
from typing import Any, Final

from billiard import current_process
from celery import Celery
from celery.app.amqp import AMQP
from celery.platforms import EX_FAILURE
from celery.signals import beat_embedded_init, worker_process_init, worker_ready
from celery.worker import state
from django.db import connections
from kombu import Connection
from kombu.transport import TRANSPORT_ALIASES

from rudderproxy import parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rudderproxy.settings")
TRANSPORT_ALIASES["embedded"] = "rudderproxy.broker:Transport"

RECONNECT_SECONDS: Final = 3.0
"""The longest wait between two tries to reach a broker that is away: kombu's own would be half a minute."""


class _Connection(Connection):
    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        return super().ensure_connection(*args, **{"interval_start": 1.0, "interval_max": RECONNECT_SECONDS, **options})


class _AMQP(AMQP):
    Connection = _Connection


app = Celery("rudderproxy", amqp=_AMQP)
app.config_from_object("rudderproxy.celery_settings")
app.autodiscover_tasks(["gateway.audit", "gateway.jobs"])


@worker_process_init.connect
def _forget_connections(**_: Any) -> None:
    connections.close_all()


@worker_ready.connect
def _close_calls_of_before(sender: Any, **_: Any) -> None:
    """Calls that a crash left open long ago: one look through the whole log, at the start only, however long the log may still be away."""
    app.send_task("gateway.audit.tasks.close_overdue_calls", kwargs={"whole_log": True})


# The clock is a process of its own: without it a worker would wait for ever, and a clock without its worker would tick on beside the next one's.


@beat_embedded_init.connect
def _end_with_the_worker(**_: Any) -> None:
    worker: int = current_process()._parent_pid  # type: ignore[attr-defined]
    parent.watch(worker, lambda: os._exit(EX_FAILURE))


@worker_ready.connect
def _end_with_the_clock(sender: Any, **_: Any) -> None:
    if clock := sender.controller.beat:
        threading.Thread(target=_stop_after, args=(clock,), daemon=True).start()


def _stop_after(clock: Any) -> None:
    clock.join()
    if state.should_stop is None and state.should_terminate is None:
        state.should_stop = EX_FAILURE  # type: ignore[assignment]
