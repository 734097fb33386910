"""manage.py submit_job: the id alone on a line, progress on stderr, and what cannot be."""

import gzip
import json
import uuid
from datetime import time

import pytest
from django.core.management import CommandError, call_command

from gateway.audit.models import Action, Channel
from gateway.jobs import engine, notifying
from gateway.jobs.lease import claim
from gateway.jobs.models import Job
from gateway.webhooks.signing import secrets_of
from tests.conftest import EVENT

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def events(storage, tmp_path):
    path = tmp_path / "events.ndjson"
    path.write_text("".join(json.dumps({**EVENT, "messageId": f"m-{number}"}) + "\n" for number in range(3)))
    return path


def test_it_prints_the_id_and_the_job_is_done_in_the_name_of_who_runs_it(events, sandbox, capsys):
    call_command("submit_job", str(events), "--operation", "replay", "--job-run-id", "none", "--rate", "1000", "--window", "00:00-23:59")
    job = Job.objects.get()
    assert (job.window_from, job.window_to) == (time(0), time(23, 59))
    Job.objects.update(window_from=None)
    assert uuid.UUID(capsys.readouterr().out.strip()) == job.id
    assert (job.client, job.channel, job.rate, job.job_run_id, Action.objects.get().channel) == ("", Channel.CLI, 1000, "", Channel.CLI)
    engine.work(claim(), 30)
    job.refresh_from_db()
    assert (job.state, job.accepted) == ("succeeded", 3)
    assert events.exists()


def test_a_webhook_is_signed_with_the_secret_of_the_command_line(events, sandbox, receiver, capsys):
    call_command("submit_job", str(events), "--operation", "replay", "--webhook", receiver.url)
    engine.work(claim(), 30)
    notifying.notify()
    assert receiver.received[0].verified(secrets_of("")[0])["data"]["accepted"] == 3


def test_an_archive_by_time(storage, tmp_path, sandbox, capsys):
    folder = tmp_path / "archive" / "src-1" / "gw" / "2026-11-24" / "6" / "node"
    folder.mkdir(parents=True)
    rows = [
        {
            "userId": "k",
            "payload": {**EVENT, "messageId": f"m-{minute}"},
            "createdAt": f"2026-11-24T06:{minute:02}:00.000000Z",
            "messageId": f"m-{minute}",
        }
        for minute in range(4)
    ]
    name = f"1795500000_1795500180_ws-1_{uuid.uuid4()}.json.gz"
    (folder / name).write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode(), mtime=0))
    times = ["--from", "2026-11-24T06:01Z", "--to", "2026-11-24T06:03Z"]
    call_command("submit_job", "--archive", str(tmp_path / "archive"), *times, "--operation", "replay", "--job-run-id", "none")
    engine.work(claim(), 30)
    assert (Job.objects.get().state, Job.objects.get().accepted) == ("succeeded", 2), Job.objects.get().reason


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--operation", "replay"], "name a file"),
        ([__file__, "--operation", "replay", "--webhook", "http://10.0.0.1/"], "GATEWAY_WEBHOOK_NETWORKS"),
        (["--archive", "x", "--operation", "replay", "--webhook", "http://10.0.0.1/"], "GATEWAY_WEBHOOK_NETWORKS"),
        (["x.ndjson"], "--operation is missing"),
        ([__file__, "--operation", "replay", "--rate", "0"], "rate must be between 1 and 1,000,000"),
        ([__file__, "--operation", "replay", "--priority", "101"], "priority must be between -100 and 100"),
        (["--archive", "x", "--operation", "replay", "--chunk-events", "0"], "chunk_events must be between 1 and 10,000"),
        (["x.ndjson", "--operation", "replay", "--window", "1-2"], "--window must be two times"),
        (["--retry-failed", "x"], "there is no job x"),
        (["--retry-failed", "x", "--operation", "replay"], "takes operation"),
        (["nowhere.ndjson", "--operation", "replay"], "nowhere.ndjson: No such file"),
        (["/", "--operation", "replay"], "/ is a directory: if it is an archive, name it by --archive"),
        (["--archive", "x", "--from", "soon", "--operation", "replay"], "--from must be a time"),
    ],
)
def test_what_cannot_be_says_why(db, storage, inside, arguments, says):
    with pytest.raises(CommandError, match=says):
        call_command("submit_job", *arguments)
    assert not Job.objects.exists()


def test_a_missing_source_is_told_by_its_option(storage, settings):
    settings.RUDDERSTACK_REPLAY_SOURCE_ID = ""
    with pytest.raises(CommandError, match="No source: name one by --source"):
        call_command("submit_job", "--archive", "x", "--operation", "replay")


def test_failures_are_sent_again(storage, tmp_path, sandbox, capsys):
    bad = tmp_path / "bad.ndjson"
    bad.write_text('{"type": "track", "messageId": "m-1"}\n{"type": "track", "messageId": "m-2"}\n')
    call_command("submit_job", str(bad), "--operation", "replay", "--job-run-id", "none", "--priority", "5")
    engine.work(claim(), 30)
    first = Job.objects.get()
    fixed = tmp_path / "fixed.ndjson"
    fixed.write_text(json.dumps({"id": first.failures.earliest("id").id, "event": {**EVENT, "messageId": "m-1"}}) + "\n")
    call_command("submit_job", str(fixed), "--retry-failed", str(first.id), "--job-run-id", "none", "--rate", "9")
    engine.work(claim(), 30)
    second = Job.objects.get(retry_of=first.id)
    assert (second.state, second.accepted, second.priority, second.rate) == ("succeeded", 1, 5, 9)
    call_command("submit_job", "--retry-failed", str(first.id), "--reason", "missing_user")
    assert Job.objects.filter(retry_of=first.id).count() == 2
    with pytest.raises(CommandError, match="There is no failure"):
        call_command("submit_job", "--retry-failed", str(first.id))


def test_earlier_calls_are_sent_again(events, sandbox, capsys):
    call_command("submit_job", str(events), "--operation", "replay", "--job-run-id", "none")
    first = Job.objects.get()
    engine.work(claim(), 30)
    times = ["--since", "2020-01-01T00:00Z", "--until", "2120-01-01T00:00Z"]
    call_command("submit_job", "--calls", "--result", "accepted", *times, "--job", str(first.id), "--operation", "replay", "--job-run-id", "none")
    engine.work(claim(), 30)
    second = Job.objects.exclude(id=first.id).get()
    assert (second.state, second.format, second.accepted) == ("succeeded", "calls", 3)
