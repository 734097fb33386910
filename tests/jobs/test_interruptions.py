"""The engine interrupted: nothing is lost, and what may be there twice is counted."""

from collections import Counter

import pytest
from django.utils import timezone

from gateway.audit import log
from gateway.jobs import engine
from gateway.jobs.engine import work
from gateway.jobs.lease import Lease, claim
from gateway.jobs.models import Chunk, Job, State
from tests.jobs.making import arrived, events, ids, make_job, run
from tests.waiting import wait_for

pytestmark = pytest.mark.usefixtures("client_key")


def counts(job):
    return job.accepted, job.failed, job.possible_duplicates


def died(slice_, sandbox, sent):
    """As after kill -9: what it sent has arrived, and it writes nothing more."""
    wait_for(lambda: sandbox.count()["events"] == sent)
    slice_.close()
    Job.objects.update(lease_until=timezone.now())


@pytest.mark.parametrize("ordered", [True, False])
def test_what_was_on_the_wire_when_somebody_died_is_counted_and_sent_again(sandbox, slices, ordered):
    job = make_job(events(100), chunk_events=10, ordered=ordered)
    slice_ = slices()
    slice_.step()
    on_the_wire = 10 if ordered else 100
    died(slice_, sandbox, on_the_wire)
    run(job)
    assert (job.state, counts(job)) == (State.SUCCEEDED, (100, 0, on_the_wire))
    assert Counter(arrived(sandbox)) == Counter(ids(100) + ids(on_the_wire))


def test_who_lost_the_lease_sends_nothing_more(sandbox, slices):
    job = make_job(events(30), chunk_events=10)
    late = slices()
    late.step()
    wait_for(lambda: sandbox.count()["events"] == 10)
    Job.objects.update(lease_until=timezone.now())
    other = slices()
    with pytest.raises(engine.LeaseLostError):
        late.step()
    while other.step():
        pass
    job.refresh_from_db()
    assert (job.state, counts(job)) == (State.SUCCEEDED, (30, 0, 10))
    assert Counter(arrived(sandbox)) == Counter(ids(30) + ids(10))


def test_a_lease_is_held_for_as_long_as_an_answer_takes(sandbox, settings):
    settings.GATEWAY_LEASE_SECONDS = 1
    sandbox.trouble("delay", times=1, seconds=2)
    job = run(make_job(events(10)))
    assert (job.state, counts(job)) == (State.SUCCEEDED, (10, 0, 0))
    assert sandbox.count()["calls"] == 1


def test_a_lost_lease_ends_the_work_quietly(sandbox):
    make_job(events(30))
    lease = claim()
    Job.objects.update(lease_token=99)
    work(lease)
    assert sandbox.count()["calls"] == 0


def test_while_the_log_cannot_be_written_it_backs_off_and_sends_nothing(sandbox, monkeypatch):
    def away(call):
        raise log.LogUnavailableError("away")

    monkeypatch.setattr(log, "intend", away)
    job = run(make_job(events(10)))
    assert (job.state, counts(job), job.tries, job.lease_until) == (State.RUNNING, (0, 0, 0), 1, None)
    assert Chunk.objects.get().sending == 0
    assert sandbox.count()["calls"] == 0


def test_an_answer_survives_a_database_that_is_away_for_a_moment(sandbox, monkeypatch):
    job = make_job(events(10), chunk_events=5)
    away = iter([False, True, True])
    commit = Lease.commit

    def flaky(self, *args, **changes):
        commit(self, *args, **changes)
        if next(away, False):
            # Done, but nobody was told.
            raise log.LogUnavailableError("away", doubtful=True)

    monkeypatch.setattr(Lease, "commit", flaky)
    run(job)
    assert (job.state, counts(job), job.chunks) == (State.SUCCEEDED, (10, 0, 0), 2)
    assert arrived(sandbox) == ids(10)


def test_an_answer_that_cannot_be_recorded_within_the_lease_is_counted(sandbox, settings, monkeypatch):
    settings.GATEWAY_LEASE_SECONDS = 1
    job = make_job(events(10), chunk_events=5)
    commit, works = Lease.commit, iter([True])

    def fails(self, *args, **changes):
        if not next(works, False):
            raise log.LogUnavailableError("away")
        commit(self, *args, **changes)

    with monkeypatch.context() as patch:
        patch.setattr(Lease, "commit", fails)
        run(job)
    assert (job.state, counts(job), job.next_event) == (State.RUNNING, (0, 0, 0), 5)
    Job.objects.update(lease_until=None, due_at=timezone.now())
    run(job)
    assert (job.state, counts(job)) == (State.SUCCEEDED, (10, 0, 5))
    assert Counter(arrived(sandbox)) == Counter(ids(10) + ids(5))
