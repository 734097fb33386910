"""The log's clockwork."""

from celery import shared_task

from gateway.audit import log


@shared_task(name="gateway.audit.tasks.close_overdue_calls", ignore_result=True)
def close_overdue_calls(whole_log: bool = False) -> None:
    """Write down that the outcome of overdue calls is unknown."""
    log.close_overdue(whole_log=whole_log)
