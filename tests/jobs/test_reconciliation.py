"""What RudderStack says became of the events, by its job status."""

import pytest
from django.utils import timezone

from gateway.jobs import reconciliation
from gateway.jobs.models import Job, State
from gateway.jobs.reconciliation import Report, ask
from gateway.upstream import client
from tests.jobs.making import events, make_job, run

pytestmark = pytest.mark.usefixtures("client_key")


def test_delivered_and_undelivered_stand_on_the_job(sandbox):
    job = run(make_job(events(30), job_run_id="run 1"))
    assert (job.state, job.delivered, job.undelivered) == (State.SUCCEEDED, 30, 0)


def test_without_a_job_run_nothing_is_asked(monkeypatch):
    monkeypatch.setattr(client, "job_status", lambda *_: 1 / 0)
    job = run(make_job(events(3)))
    assert (job.state, job.delivered, job.undelivered) == (State.SUCCEEDED, None, None)


@pytest.fixture
def says(monkeypatch):
    """RudderStack says this of the job run."""

    def answer(status, content):
        reply = client.Reply(status, "application/json", content, None, 1, 1)
        monkeypatch.setattr(client, "job_status", lambda *_: reply)

    return answer


SINK = '{"id": "d", "completed": %s, "stats": {"in": 5, "out": 3, "failed": 2}}'
SOURCE = '{"id": "%s", "completed": %s, "stats": {}, "destinations": %s}'
STATUS = '{"id": "run", "tasks": [{"id": "", "sources": [%s]}]}'


def status(*sources):
    return (STATUS % ", ".join(SOURCE % source for source in sources)).encode()


@pytest.mark.parametrize(
    ("content", "report"),
    [
        (status(("rep-1", "true", f"[{SINK % 'true'}, {SINK % 'true'}]")), Report(True, 6, 4)),
        (status(("rep-1", "false", f"[{SINK % 'true'}]")), Report(False, 3, 2)),
        (status(("rep-1", "true", "null")), Report(True)),
        (status(("other", "false", f"[{SINK % 'false'}]"), ("rep-1", "true", f"[{SINK % 'true'}]")), Report(True, 3, 2)),
        (status(("other", "true", "null")), Report(False)),
        (status(), Report(False)),
        (b"no JSON", Report(False)),
        (b"[]", Report(False)),
        (b'{"tasks": null}', Report(False)),
        (b'{"tasks": [{"sources": [{"id": "rep-1"}]}]}', Report(False)),
    ],
)
def test_reading_a_status(says, content, report):
    says(200, content)
    assert ask(make_job([], job_run_id="run")) == report


def test_of_messages_all_sources_count(says):
    says(200, status(("a", "true", f"[{SINK % 'true'}]"), ("b", "true", f"[{SINK % 'true'}]")))
    assert ask(make_job([], operation="internalbatch", job_run_id="run")) == Report(True, 6, 4)


def test_an_error_is_no_report(says, settings):
    says(404, b"status not found")
    assert ask(make_job([], job_run_id="run")) == Report(False)


def test_where_nothing_answers_there_is_no_report(settings):
    settings.RUDDERSTACK_BASE_URL = "http://127.0.0.1:9"
    assert ask(make_job([], job_run_id="run")) == Report(False)


def test_while_it_is_not_complete_nobody_waits_for_it_and_in_the_end_the_job_ends(says):
    says(200, status(("rep-1", "false", f"[{SINK % 'true'}]")))
    job = run(make_job(events(5), job_run_id="run"))
    assert (job.state, job.lease_until, job.tries, job.delivered) == (State.RUNNING, None, 1, 3)
    assert job.due_at > timezone.now()
    Job.objects.update(tries=reconciliation.TRIES - 1, due_at=timezone.now())
    assert run(job).state == State.RUNNING
    Job.objects.update(due_at=timezone.now())
    run(job)
    assert (job.state, job.delivered, job.undelivered) == (State.SUCCEEDED, 3, 2)


def test_the_looks_are_together_over_ten_minutes():
    assert 600 < sum(map(reconciliation.delay, range(reconciliation.TRIES))) < 1200


def test_the_gateways_credentials_are_sent(monkeypatch, settings):
    settings.RUDDERSTACK_USER, settings.RUDDERSTACK_PASS = "user", "pass"
    given = []
    monkeypatch.setattr(client, "_exchange", lambda method, path, headers, *_: given.append((method, path, headers)) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ask(make_job([], job_run_id="a/b"))
    assert given == [("GET", "/internal/v2/job-status/a%2Fb", {"Authorization": "Basic dXNlcjpwYXNz"})]
