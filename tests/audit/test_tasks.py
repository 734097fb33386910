"""The clockwork calls through to the log."""

from datetime import timedelta

import pytest

from gateway.audit import view
from gateway.audit.tasks import close_overdue_calls
from rudderproxy.celery import app
from tests.audit.rows import written


@pytest.mark.parametrize("run", [close_overdue_calls, lambda: close_overdue_calls.apply(throw=True)], ids=["called", "applied"])
def test_overdue_calls_are_written_down(db, run):
    call = written(ago=timedelta(hours=1))
    run()
    assert [outcome.result for outcome in view.outcomes(call)] == ["unknown"]


def test_the_whole_log_is_looked_through_when_told(db):
    call = written(ago=timedelta(days=30))
    close_overdue_calls()
    assert view.outcomes(call) == []
    close_overdue_calls.apply(kwargs={"whole_log": True}, throw=True)
    assert [outcome.result for outcome in view.outcomes(call)] == ["unknown"]


def test_beat_rings_for_it_often_enough():
    """What is overdue must be written down within 30 s."""
    app.loader.import_default_modules()
    [entry] = [entry for entry in app.conf.beat_schedule.values() if entry["task"] == close_overdue_calls.name]
    assert entry["schedule"] <= 20
    assert entry["task"] in app.tasks
