"""A new job in three screens: what the form takes, the dry run, and the one job that Start makes of the same input."""

import gzip
import json
import re
from datetime import time, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from gateway.audit.models import Action, Call, Result
from gateway.console.new_job import JobForm, _packed, _unpacked
from gateway.jobs.making import Wishes
from gateway.jobs.models import Job, State
from tests.console.pages import JOBS
from tests.jobs.making import arrived, events, ids, run

pytestmark = pytest.mark.django_db(transaction=True)
ADD = f"{JOBS}add/"


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    return settings.MEDIA_ROOT


def lines(number: int) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in events(number))


def given(content: bytes | None = None, **fields) -> dict:
    usual = {"operation": "replay", "ordered": "on", "priority": "0", "chunk_events": "500"}
    return {**usual, **({"file": SimpleUploadedFile("events.ndjson", content)} if content is not None else {}), **fields}


def checked(client, **fields) -> Job:
    """The dry run that the form makes, at its end."""
    answer = client.post(ADD, given(lines(30), **fields))
    assert answer.status_code == 302, answer.content.decode()
    job = run(Job.objects.get())
    assert answer["Location"] == f"{JOBS}{job.id}/check/"
    return job


def test_an_upload_is_checked_and_then_sent_once(admin_client, sandbox):
    dry = checked(admin_client)
    assert (dry.dry_run, dry.state, dry.actor, dry.channel, dry.client, dry.events) == (True, State.SUCCEEDED, "admin", "admin", "", 30)
    html = admin_client.get(f"{JOBS}{dry.id}/check/").content.decode()
    assert "30 of 30 events can be sent to rep-1 by replay" in html
    assert "As a job it would be 1 call" in html
    assert set(Call.objects.values_list("outcomes__result", flat=True)) == {Result.JOB}
    assert arrived(sandbox) == []

    for _ in range(2):
        answer = admin_client.post(f"{JOBS}{dry.id}/start/")
    [job] = Job.objects.filter(dry_run=False)
    assert answer["Location"] == f"{JOBS}{job.id}/change/"
    run(job)
    assert arrived(sandbox) == ids(30)
    assert set(Action.objects.values_list("verb", "actor", "channel")) == {("job_made", "admin", "admin")}
    assert Action.objects.count() == 2


def test_the_real_job_has_an_input_of_its_own(admin_client, media, sandbox):
    dry = checked(admin_client)
    admin_client.post(f"{JOBS}{dry.id}/start/")
    job = Job.objects.get(dry_run=False)
    assert job.input != dry.input
    assert (media / job.input).read_bytes() == (media / dry.input).read_bytes()
    (media / dry.input).unlink()
    assert run(job).state == State.SUCCEEDED


def test_wishes_are_of_the_real_job_and_do_not_hold_up_the_dry_run(admin_client, settings):
    settings.GATEWAY_WEBHOOK_SECRET, settings.GATEWAY_WEBHOOK_NETWORKS = ["x" * 32], [ip_network("127.0.0.0/8")]
    later = (timezone.now() + timedelta(hours=3)).replace(microsecond=0)
    wishes = {"not_before": f"{later:%Y-%m-%dT%H:%M:%S}", "window_from": "22:00", "window_to": "06:00", "webhook": "http://127.0.0.1/x"}
    wishes |= {"rate": "70", "priority": "-3", "chunk_events": "9", "job_run_id": "run-9", "source": "rep-1", "destination": "d-1"}
    form = given(lines(30), **wishes)
    del form["ordered"]
    admin_client.post(ADD, form)
    dry = run(Job.objects.get())
    assert (dry.not_before, dry.webhook, dry.state) == (None, "", State.SUCCEEDED)
    admin_client.post(f"{JOBS}{dry.id}/start/")
    job = Job.objects.get(dry_run=False)
    assert (job.not_before, job.due_at, job.window_from, job.window_to, job.webhook) == (later, later, time(22), time(6), "http://127.0.0.1/x")
    assert (job.rate, job.priority, job.chunk_events, job.job_run_id, job.ordered) == (70, -3, 9, "run-9", False)
    assert (job.source, job.destination) == ("rep-1", "d-1")


def test_wishes_survive_the_session_and_a_time_that_is_past_is_now():
    wishes = Wishes(not_before=timezone.now() + timedelta(days=1), window_from=time(1), window_to=time(2, 30), webhook="https://x", rate=5)
    assert _unpacked(_packed(wishes)) == wishes
    assert _unpacked(_packed(Wishes(not_before=timezone.now() - timedelta(days=1)))).not_before is None


def test_faulty_lines_are_told_and_left_out(admin_client, sandbox):
    answer = admin_client.post(ADD, given(lines(3) + b'{"userId": ""}\nno json\n'))
    dry = run(Job.objects.get())
    html = admin_client.get(answer["Location"]).content.decode()
    assert "3 of 5 events can be sent" in html
    assert "missing_user" in html
    assert "invalid_json" in html
    admin_client.post(f"{JOBS}{dry.id}/start/")
    assert run(Job.objects.get(dry_run=False)).accepted == 3


def test_an_input_without_a_good_event_cannot_be_started(admin_client):
    admin_client.post(ADD, given(b"nothing\n"))
    dry = run(Job.objects.get())
    html = admin_client.get(f"{JOBS}{dry.id}/check/").content.decode()
    assert "No event of the input can be sent" in html
    assert "/start/" not in html


def test_an_archive_of_a_directory_is_read_in_its_time(admin_client, tmp_path, sandbox):
    folder = tmp_path / "7day" / "rep-1" / "gw" / "2026-11-24" / "6" / "lab-1"
    folder.mkdir(parents=True)
    rows = [{"userId": "x", "payload": one, "createdAt": f"2026-11-24T06:0{n}:00Z", "messageId": "m"} for n, one in enumerate(events(5))]
    content = gzip.compress(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    (folder / "1795500000_1795500240_ws-1_cad3bbb9-fd9e-4ec7-a0ed-d79e4ba88fa0.json.gz").write_bytes(content)
    answer = admin_client.post(ADD, given(archive=str(tmp_path / "7day"), since="2026-11-24T06:01", until="2026-11-24T06:04"))
    dry = run(Job.objects.get())
    assert (answer.status_code, dry.events, dry.format) == (302, 3, "archive")
    admin_client.post(f"{JOBS}{dry.id}/start/")
    run(Job.objects.get(dry_run=False))
    assert arrived(sandbox) == ["m-1", "m-2", "m-3"]


def test_earlier_calls_of_a_job_are_sent_again(admin_client, sandbox):
    dry = checked(admin_client, chunk_events="10")
    admin_client.post(f"{JOBS}{dry.id}/start/")
    first = run(Job.objects.get(dry_run=False))
    answer = admin_client.post(ADD, given(calls="accepted", of_job=str(first.id)))
    again = run(Job.objects.get(format="calls"))
    assert (answer.status_code, again.events, again.dry_run) == (302, 30, True)
    admin_client.post(f"{JOBS}{again.id}/start/")
    run(Job.objects.get(format="calls", dry_run=False))
    assert arrived(sandbox) == ids(30) * 2


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "Choose one: a file, an archive, or earlier calls."),
        ({"file": SimpleUploadedFile("x", b"{}"), "archive": "/somewhere"}, "Choose one: a file, an archive, or earlier calls."),
        ({"calls": "accepted", "archive": "/x"}, "Choose one"),
        ({"calls": "nope"}, "valid choice"),
        ({"calls": "failed", "of_job": "x"}, "valid UUID"),
        ({"archive": "/x", "since": "2026-01-02T00:00", "until": "2026-01-01T00:00"}, "after the time before it"),
        ({"archive": "/x", "window_from": "22:00"}, "Give both ends"),
        ({"archive": "/x", "window_from": "22:00", "window_to": "22:00"}, "must differ"),
        ({"archive": "/x", "rate": "0"}, "greater than or equal to 1"),
        ({"archive": "/x", "priority": ""}, "required"),
        ({"archive": "/x", "operation": "nope"}, "valid choice"),
        ({"archive": "/x", "webhook": "ftp://x"}, "valid URL"),
        ({"archive": "/x", "job_run_id": "a\tb"}, "job_run_id must be printable ASCII"),
        ({"archive": "/x", "operation": "extract", "source": "unknown"}, "no write key for this source"),
        ({"archive": "/x", "since": "yesterday"}, "valid date"),
        ({"file": SimpleUploadedFile("x", b"\x1f\x8bnot gzip")}, "gzip"),
        ({"archive": "/x", "webhook": "https://hooks.example/x"}, "webhook cannot be used while GATEWAY_WEBHOOK_SECRET is not set"),
    ],
)
def test_what_cannot_be_says_so_and_makes_no_job(admin_client, fields, told):
    answer = admin_client.post(ADD, given(**fields))
    assert (answer.status_code, Job.objects.count()) == (200, 0)
    assert told in answer.content.decode()


def test_a_form_that_is_sent_again_is_one_more_dry_run_and_each_is_started_once(admin_client, sandbox):
    form = given(lines(3))
    for _ in range(2):
        form["file"].seek(0)
        assert admin_client.post(ADD, form).status_code == 302
    first, second = (run(job) for job in Job.objects.order_by("id"))
    assert (first.dry_run, second.dry_run) == (True, True)
    for _ in range(2):
        admin_client.post(f"{JOBS}{second.id}/start/")
    run(Job.objects.get(dry_run=False))
    assert arrived(sandbox) == ids(3)


def test_a_webhook_that_cannot_be_is_told_before_the_dry_run(admin_client, settings):
    settings.GATEWAY_WEBHOOK_SECRET = ["x" * 32]
    answer = admin_client.post(ADD, given(lines(3), webhook="http://127.0.0.1/x?token=hidden"))
    assert (answer.status_code, Job.objects.count()) == (200, 0)
    assert "not on the public internet" in answer.content.decode()


def test_a_storage_that_takes_nothing_says_so(admin_client, media):
    media.parent.joinpath("media").write_text("a file where the folder should be")
    answer = admin_client.post(ADD, given(lines(3)))
    assert (answer.status_code, Job.objects.count()) == (200, 0)
    assert "its storage takes no more" in answer.content.decode()


def test_start_says_why_it_does_not(admin_client, media):
    dry = checked(admin_client)
    path = f"{JOBS}{dry.id}/start/"
    assert admin_client.get(path).status_code == 405
    (media / dry.input).unlink()
    assert "not kept any more" in admin_client.post(path, follow=True).content.decode()
    Job.objects.update(state=State.RUNNING)
    assert "not come to a good end" in admin_client.post(path, follow=True).content.decode()
    session = admin_client.session
    session["jobs_prepared"] = {}
    session.save()
    assert "prepared by somebody else" in admin_client.post(path, follow=True).content.decode()
    assert Job.objects.count() == 1


def test_a_job_that_is_no_dry_run_has_no_check(admin_client):
    dry = checked(admin_client)
    Job.objects.update(dry_run=False)
    assert admin_client.get(f"{JOBS}{dry.id}/check/").status_code == 404
    assert admin_client.post(f"{JOBS}{dry.id}/start/").status_code == 404


def test_the_check_looks_again_until_it_is_over(admin_client):
    admin_client.post(ADD, given(lines(3)))
    path = f"{JOBS}{Job.objects.get().id}/check/"
    html = admin_client.get(path).content.decode()
    assert "data-poll" in html
    assert 'http-equiv="refresh"' in html
    assert "/start/" not in html
    part = admin_client.get(path, headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith('<div id="checked"')
    run(Job.objects.get())
    html = admin_client.get(path).content.decode()
    assert "data-poll" not in html
    assert "/start/" in html


def test_the_session_keeps_a_few_prepared_jobs(admin_client):
    for number in range(22):
        admin_client.post(ADD, given(lines(number + 1)))
    kept = admin_client.session["jobs_prepared"]
    assert set(kept) == {str(job) for job in Job.objects.order_by("-id").values_list("id", flat=True)[:20]}


def test_the_form_asks_for_all_that_a_job_can_be_told():
    assert set(Wishes.__dataclass_fields__) <= set(JobForm().fields)


def test_a_larger_upload_is_moved_not_copied(admin_client, media, settings):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 10
    dry = checked(admin_client)
    assert [path.name for path in media.iterdir()] == ["uploads"]
    assert (media / dry.input).stat().st_mode & 0o777 == 0o600
    assert (media / dry.input).read_bytes() == lines(30)


def test_the_script_is_small_and_has_no_handler_in_the_page(admin_client):
    script = Path("gateway/console/static/console/gateway.js").read_text()
    assert len(script) < 10_000
    assert not re.search(r"\son(click|submit|load|change)=", admin_client.get(ADD).content.decode())
