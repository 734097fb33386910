"""Following a job in a terminal: a bar, the numbers at the end, and the way back."""

import json

import pytest
from django.core.management import CommandError, call_command

from gateway.audit.models import Channel
from gateway.jobs import control, engine, following
from gateway.jobs.lease import claim
from gateway.jobs.models import Job
from tests.conftest import EVENT

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def submit(storage, tmp_path, sandbox):
    """Runs submit_job on three events, the last of them as given."""

    def run(*options, last=None):
        path = tmp_path / "events.ndjson"
        lines = [json.dumps({**EVENT, "messageId": f"m-{number}"}) for number in range(2)] + [last or json.dumps(EVENT)]
        path.write_text("\n".join(lines))
        call_command("submit_job", str(path), "--operation", "replay", "--job-run-id", "none", *options)

    return run


@pytest.fixture
def meanwhile(monkeypatch):
    """What happens while it waits."""
    return lambda happens: monkeypatch.setattr(following.time, "sleep", lambda seconds: happens())


def test_to_the_end(submit, meanwhile, capsys):
    meanwhile(lambda: engine.work(claim(), 30))
    submit("--follow", last="no event")
    shown = capsys.readouterr().err
    assert "succeeded: 2 of 2 events accepted, 1 refused, 0 perhaps sent twice" in shown
    assert "refused=1" in shown and "100%" in shown


def test_ctrl_c_leaves_the_job_and_says_how_to_come_back(submit, meanwhile, capsys):
    def interrupt():
        raise KeyboardInterrupt

    meanwhile(interrupt)
    submit("--follow")
    shown = capsys.readouterr()
    job = shown.out.strip()
    assert f"manage.py follow_job {job}" in shown.err
    assert Job.objects.get().state == "queued"
    meanwhile(lambda: engine.work(claim(), 30))
    call_command("follow_job", job)
    assert "succeeded: 3 of 3 events accepted" in capsys.readouterr().err


def test_a_pause_ends_it_and_says_how_to_resume(submit, meanwhile):
    meanwhile(lambda: control.pause(Job.objects.get().id, actor="somebody", channel=Channel.CLI))
    with pytest.raises(CommandError, match=r"paused: Paused by somebody\. Resume it in the admin or by /v1/jobs/.*/resume"):
        submit("--follow")


def test_a_bad_end_is_an_error(submit, meanwhile):
    def cancel():
        control.cancel(Job.objects.get().id, actor="somebody", channel=Channel.CLI)
        engine.work(claim(), 30)

    meanwhile(cancel)
    with pytest.raises(CommandError, match=r"^the job is cancelled: Cancelled by somebody\.$"):
        submit("--follow")


def test_a_failure_says_why(tmp_path, meanwhile):
    meanwhile(lambda: engine.work(claim(), 30))
    with pytest.raises(CommandError, match="^the job has failed: input_missing: The input is not there"):
        call_command("submit_job", "--archive", str(tmp_path / "nowhere"), "--operation", "replay", "--follow")


def test_a_dry_run_says_what_would_be_sent(submit, meanwhile, capsys):
    meanwhile(lambda: engine.work(claim(), 30))
    submit("--follow", "--dry-run", last="no event")
    assert "a dry run: 2 events, 1 calls, 1 refused, 0 without a messageId; sending would take 1 to 1 seconds" in capsys.readouterr().err


def test_what_it_waits_for_is_shown_and_what_was_done_before_is_not_its_pace(submit, meanwhile, capsys):
    submit()
    job = Job.objects.get()
    Job.objects.update(state="running", taken_in=True, events=1000, next_event=900, reason="window: Sends again at 22:00 UTC.")

    def interrupt():
        raise KeyboardInterrupt

    meanwhile(interrupt)
    call_command("follow_job", str(job.id))
    shown = capsys.readouterr().err
    assert "refused=0, window: Sends again at 22:00 UTC." in shown
    assert "900/1.00k [00:00<?, ? events/s" in shown


def test_a_pause_by_the_gateway_says_why(submit, meanwhile, sandbox):
    sandbox.trouble("401", times=1)
    meanwhile(lambda: engine.work(claim(), 30))
    with pytest.raises(CommandError, match=r"^the job is paused: rejected_by_upstream: RudderStack answered 401.*[^.]\. Resume it in the admin"):
        submit("--follow")


@pytest.mark.parametrize(("job", "says"), [("1", "a job's id is a UUID"), ("01a2053f-0000-7000-8000-000000000000", "there is no such job")])
def test_what_is_no_job_is_told(job, says):
    with pytest.raises(CommandError, match=says):
        call_command("follow_job", job)
