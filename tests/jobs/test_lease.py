"""The lease: one holder at a time, and nobody else writes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from gateway.audit.log import LogUnavailableError
from gateway.jobs.lease import LeaseLostError, claim, next_due
from gateway.jobs.models import Failure, Job, State
from tests.jobs.making import make_job

pytestmark = pytest.mark.usefixtures("client_key")


def later(seconds):
    return timezone.now() + timedelta(seconds=seconds)


def test_a_claimed_job_runs_and_is_nobody_elses():
    job = make_job([])
    lease = claim()
    assert (lease.job, lease.job.state, lease.token) == (job, State.RUNNING, 1)
    assert claim() is None
    job.refresh_from_db()
    assert (job.state, job.lease_token, job.reason) == (State.RUNNING, 1, "")
    assert job.started_at is not None


def test_the_most_urgent_first():
    usual, old, urgent = make_job([]), make_job([], due_at=later(-60)), make_job([], priority=1)
    make_job([], due_at=later(60), priority=9)
    assert [claim().job for _ in range(3)] == [urgent, old, usual]
    assert claim() is None


@pytest.mark.parametrize("state", [State.PAUSED, State.CANCELLED, State.SUCCEEDED, State.FAILED])
def test_there_is_nothing_to_do(state):
    make_job([], state=state)
    assert claim() is None


def test_a_job_that_is_being_cancelled_stays_so():
    make_job([], state=State.CANCELLING)
    assert claim().job.state == State.CANCELLING


def test_an_expired_lease_is_anybodys_and_its_holder_writes_nothing():
    make_job([])
    first = claim()
    Job.objects.update(lease_until=later(-1))
    second = claim()
    assert second.token == 2
    for use in (first.reload, first.commit, first.release):
        with pytest.raises(LeaseLostError):
            use()
    second.commit(accepted=5)
    assert Job.objects.get().accepted == 5


def test_after_its_end_nothing_is_written_even_where_nobody_took_it():
    make_job([])
    lease = claim()
    Job.objects.update(lease_until=later(-1))
    with pytest.raises(LeaseLostError):
        lease.commit(accepted=5)
    assert Job.objects.get().accepted == 0


def test_a_commit_writes_all_or_nothing_and_holds_on():
    job = make_job([])
    lease = claim()
    Job.objects.update(lease_until=later(1))

    def write():
        Failure.objects.create(job=job, at=timezone.now(), line=1, reason="r", detail="d")

    lease.commit(write, failed=1)
    assert lease.job.failed == 1
    assert Job.objects.get().lease_until > later(2)

    def fails():
        write()

    with pytest.raises(LogUnavailableError):
        lease.commit(fails, failed=2)
    assert (Job.objects.get().failed, Failure.objects.count(), lease.job.failed) == (1, 1, 1)


def test_reloading_sees_what_others_wrote():
    make_job([])
    lease = claim()
    Job.objects.update(rate=7)
    assert lease.reload().rate == lease.job.rate == 7


def test_a_released_job_can_be_claimed_again():
    make_job([])
    claim().release(tries=3)
    assert claim().job.tries == 3


def test_when_the_next_is_due():
    assert next_due() is None
    far, near = make_job([], due_at=later(60)), make_job([], due_at=later(30))
    make_job([], due_at=later(1), state=State.PAUSED)
    make_job([], due_at=later(-1))
    claim()
    assert next_due() == near.due_at < far.due_at


def test_of_many_who_claim_at_once_one_gets_the_job():
    make_job([])
    with ThreadPoolExecutor(8) as threads:
        leases = [found for found in threads.map(lambda _: claimed_and_closed(), range(8)) if found]
    assert [lease.token for lease in leases] == [1]


def claimed_and_closed():
    try:
        return claim()
    finally:
        connections.close_all()
