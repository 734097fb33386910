"""The log's clockwork."""

from typing import Any

from celery import shared_task
from celery.signals import worker_ready

from gateway.audit import late, log


@shared_task(
    name="gateway.audit.tasks.close_overdue_calls",
    ignore_result=True,
    autoretry_for=(log.LogUnavailableError,),
    retry_kwargs={"countdown": 2},
    max_retries=None,
)
def close_overdue_calls(whole_log: bool = False) -> None:
    """Write down that the outcome of overdue calls is unknown. While the log is away it is tried again, until the message expires."""
    log.close_overdue(whole_log=whole_log)


@worker_ready.connect
def _write_what_waits(**_: Any) -> None:
    """Of processes that ended before the log was back, too."""
    late.watch()
