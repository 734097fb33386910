"""How fast jobs go, how far they are, and the drawings of both: right, and cheap."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gateway.audit import log
from gateway.console.charts import CALLS as CHARTED
from gateway.console.charts import charts
from gateway.console.pace import duration, paces
from gateway.console.progress import CELLS, bar, tracker
from tests.audit.rows import new_call, new_outcome
from tests.console.pages import a_call, a_chunk, a_job

pytestmark = pytest.mark.django_db


def test_the_pace_is_of_the_last_seconds_and_of_each_job_alone():
    started = timezone.now() - timedelta(hours=1)
    usual = {"state": "running", "started_at": started, "taken_in": True, "events": 10_000, "next_event": 4000}
    quick, slow, idle = a_job(**usual), a_job(**usual, rate=1), a_job(**usual)
    for ago in (1, 3, 5):
        a_call(quick, ago)
        a_call(slow, ago)
    a_call(quick, 60)
    found = paces([quick, slow, idle, a_job()])
    assert (found[quick.id].rate, found[quick.id].left) == (30.0, 200.0)
    assert (found[slow.id].rate, found[idle.id].rate, found[idle.id].left) == (1.0, 0.0, None)
    assert len(found) == 3


def test_what_the_job_was_made_of_is_none_of_its_calls():
    started = timezone.now() - timedelta(seconds=9)
    job = a_job(state="running", started_at=started, taken_in=True, events=10_000, next_event=4000)
    made = new_call(at=timezone.now() - timedelta(seconds=8), job=job.id, events=5000)
    made.id = job.id
    log.intend(made)
    assert (paces([job])[job.id].rate, charts(job)) == (0.0, None)
    a_call(job, 1)
    assert charts(job) is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59, "59 s"), (60, "1 min"), (61, "1 min 1 s"), (3661, "1 h 1 min"), (90_000, "1 d 1 h"), (172_800, "2 d")]
)
def test_a_length_of_time_in_words(seconds, text):
    assert duration(seconds) == text


def test_the_pace_is_found_by_the_index(django_assert_num_queries):
    job = a_job(state="running", started_at=timezone.now())
    with CaptureQueriesContext(connection) as captured:
        paces([job])
    [query] = captured
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN QUERY PLAN " + query["sql"])
            plan = " ".join(str(row) for row in cursor.fetchall())
        assert "call_job" in plan, plan


def test_the_tracker_shows_what_is_sent_refused_left_and_faulty(django_assert_num_queries):
    job = a_job(taken_in=True, events=900, faulty=100, next_event=450, chunks=3)
    a_chunk(job, 1, 0, 90)
    a_chunk(job, 2, 90, 90, failed=2)
    a_chunk(job, 3, 180, 270, parts="[[0,90]]")
    with django_assert_num_queries(1):
        found = tracker(job)
    kinds = [cell.kind for cell in found]
    assert [cell.place for cell in found] == list(range(CELLS))
    assert kinds[:9] == ["sent"] * 9
    assert (kinds[9], kinds[18], kinds[44], kinds[45], kinds[89]) == ("refused", "left", "sent", "left", "left")
    assert kinds[90:] == ["faulty"] * 10


@pytest.mark.parametrize(
    "fields", [{}, {"events": 1}, {"faulty": 3}, {"events": 1, "faulty": 10_000}, {"events": 3, "next_event": 3}, {"events": 7, "dry_run": True}]
)
def test_a_tracker_of_few_events_has_few_cells(fields):
    job = a_job(**fields)
    found = tracker(job)
    assert len(found) <= min(CELLS, job.events + job.faulty)
    assert bool(found) == bool(fields)
    assert bar(job).total == job.events + job.faulty


def test_the_charts_are_of_the_last_calls_in_one_query(django_assert_num_queries):
    job = a_job(rate=50)
    now = timezone.now()
    calls = [a_call(job, ago, ms=ms, now=now) for ago, ms in ((30, 10), (20, 30), (10, None), (0, 40))]
    log.close(new_outcome("accepted", call=calls[0], upstream_ms=12))
    with django_assert_num_queries(1):
        drawn = charts(job)
    assert drawn.calls == 4
    assert [(round(part.rate), part.p50, part.p95) for part in drawn.parts] == [(10, 12, 12), (10, 30, 30), (10, None, None)]
    assert drawn.limit == 0.0
    assert CHARTED <= 500
    assert charts(a_job()) is None
