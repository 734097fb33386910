"""Failures sent again from the admin: all, of one reason, or corrected; once."""

import json
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from gateway.audit.models import Action
from gateway.jobs.models import Failure, Job
from tests.console.pages import JOBS, a_failure, a_job
from tests.jobs.making import arrived, event, run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def job():
    """A job that is over, with three failures: two of reason a, one of b."""
    made = a_job(state="succeeded", failed=3)
    for number, reason in enumerate("aab"):
        a_failure(made, number + 1, reason=reason, event=json.dumps(event(number)))
    return made


def again(client, job, **fields):
    answer = client.post(f"{JOBS}{job.id}/retry/", {"once": str(uuid4()), **fields})
    made = Job.objects.exclude(id=job.id).first()
    if made:
        assert answer["Location"] == f"{JOBS}{made.id}/change/"
        run(made)
    return answer, made


def test_what_would_be_sent_is_told_first(admin_client, job):
    html = admin_client.get(f"{JOBS}{job.id}/retry/").content.decode()
    assert "Send 3 again" in html
    assert "Send 2 again" in admin_client.get(f"{JOBS}{job.id}/retry/?reason=a").content.decode()
    assert Job.objects.count() == 1
    assert "/retry/" in admin_client.get(f"{JOBS}{job.id}/change/").content.decode()


@pytest.mark.parametrize(("reason", "sent"), [("", ["m-0", "m-1", "m-2"]), ("a", ["m-0", "m-1"])])
def test_failures_are_sent_again_and_recorded(admin_client, job, sandbox, reason, sent):
    _, made = again(admin_client, job, reason=reason)
    assert arrived(sandbox) == sent
    assert (made.retry_of, made.actor, made.channel) == (job.id, "admin", "admin")
    done = list(Action.objects.filter(verb="job_retried").values_list("subject", "actor", "channel"))
    assert done == [(str(job.id), "admin", "admin")]
    assert str(made.id) in admin_client.get(f"{JOBS}{job.id}/failures/").content.decode()
    assert str(job.id) in admin_client.get(f"{JOBS}{made.id}/change/?section=input").content.decode()


def test_corrected_events_are_taken_from_a_file(admin_client, job, sandbox):
    line = {"id": Failure.objects.get(reason="b").id, "event": event(2, userId="mended")}
    again(admin_client, job, corrected=SimpleUploadedFile("x.ndjson", json.dumps(line).encode()))
    [request] = sandbox.received()
    assert "mended" in request["body"]
    assert Failure.objects.filter(retried_by=None).count() == 2


def test_a_form_that_is_sent_again_sends_once(admin_client, job, sandbox):
    once = str(uuid4())
    _, first = again(admin_client, job, once=once)
    answer = admin_client.post(f"{JOBS}{job.id}/retry/", {"once": once})
    assert answer["Location"] == f"{JOBS}{first.id}/change/"
    assert Job.objects.count() == 2


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"reason": "none such"}, "There is no failure, of this reason"),
        ({"corrected": SimpleUploadedFile("x", b"no json")}, "Line 1 of the corrected events"),
        ({"by_file": "1"}, "This field is required"),
    ],
)
def test_what_cannot_be_sent_again_says_why(admin_client, job, fields, told):
    answer, made = again(admin_client, job, **fields)
    assert (answer.status_code, made) == (200, None)
    assert told in answer.content.decode()
