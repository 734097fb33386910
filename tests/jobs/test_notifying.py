"""A job's end is told to its webhook: signed, at least once, again and again until it is taken or given up."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from time import monotonic, sleep

import pytest
import time_machine
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connections
from django.utils import timezone

from gateway.audit.log import LogUnavailableError
from gateway.audit.models import Action, Call, Channel
from gateway.jobs import control, notifying, tasks
from gateway.jobs.models import Format, Job, State
from gateway.jobs.notifying import WAITS, notify
from gateway.jobs.shape import shape
from gateway.webhooks.signing import secrets_of
from tests.jobs.making import events, make_job, run

pytestmark = pytest.mark.usefixtures("client_key")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def ended(receiver, **fields):
    """A job whose end is due to be told."""
    now = timezone.now()
    usual = {"state": State.SUCCEEDED, "ended_at": now, "webhook": f"{receiver.url}?token=s3cret", "webhook_due_at": now}
    return make_job([], **{**usual, **fields})


def told(job):
    """What its shape says of it."""
    job.refresh_from_db()
    return shape(job)["webhook"]


def test_every_end_is_told(receiver, sandbox):
    url = receiver.url
    done, dry = run(make_job(events(3), webhook=url)), run(make_job(events(3), webhook=url, dry_run=True))
    path = default_storage.save("input", ContentFile(b'{"nobatch": []}'))
    broken = run(make_job([], webhook=url, format=Format.BATCH, input=path, taken_in=False))
    waiting = make_job(events(3), webhook=url, due_at=timezone.now() + timedelta(days=1))
    control.pause(waiting.id, actor="anna", channel=Channel.CLI)
    control.cancel(waiting.id, actor="anna", channel=Channel.CLI)
    waiting = run(waiting)
    jobs = (done, dry, broken, waiting)
    assert [job.state for job in jobs] == ["succeeded", "succeeded", "failed", "cancelled"]
    assert [job.webhook_due_at for job in jobs] == [job.ended_at for job in jobs]
    assert not notify()
    documents = {got.headers["webhook-id"]: got.verified(secrets_of(done.client)[0]) for got in receiver.received}
    assert {name: one["type"] for name, one in documents.items()} == {f"job_{job.id}": f"job.{job.state}" for job in jobs}
    document = documents[f"job_{done.id}"]
    assert document["timestamp"] == document["data"]["ended_at"] == done.ended_at.isoformat().replace("+00:00", "Z")
    assert (document["data"]["id"], document["data"]["accepted"], document["data"]["dry_run"]) == (str(done.id), 3, False)
    assert document["data"].keys() == shape(done).keys()
    assert told(done) == {"url": receiver.url, "state": "delivered", "tries": 1, "note": "The receiver answered 204."}
    assert Job.objects.exclude(webhook_due_at=None).count() == 0


def test_without_a_webhook_nothing_is_due(receiver):
    assert run(make_job([])).webhook_due_at is None
    notify()
    assert receiver.received == []
    assert shape(Job.objects.get())["webhook"] is None


def test_before_the_end_it_waits(receiver):
    job = make_job(events(3), webhook=receiver.url)
    notify()
    assert told(job) == {"url": receiver.url, "state": "waiting", "tries": 0, "note": None}
    assert receiver.received == []


def test_what_is_not_taken_is_tried_again_later_and_later_and_given_up(receiver):
    receiver.status = 500
    with time_machine.travel(NOON, tick=False) as clock:
        job = ended(receiver)
        for tries, wait in enumerate(WAITS, start=1):
            notify()
            assert told(job) == {"url": receiver.url, "state": "waiting", "tries": tries, "note": "The receiver answered 500."}
            assert job.webhook_due_at == timezone.now() + timedelta(seconds=wait)
            clock.shift(wait - 1)
            notify()
            assert len(receiver.received) == tries
            clock.shift(1)
        notify()
        assert told(job) == {"url": receiver.url, "state": "given_up", "tries": 10, "note": "The receiver answered 500."}
        clock.shift(timedelta(days=30))
        notify()
        assert len(receiver.received) == 10
        assert clock is not None
    assert {got.headers["webhook-id"] for got in receiver.received} == {f"job_{job.id}"}
    assert len({got.headers["webhook-timestamp"] for got in receiver.received}) == 10
    assert sum(WAITS) == timedelta(hours=75, minutes=35, seconds=5).total_seconds()


def test_what_is_taken_at_last_is_not_tried_again(receiver):
    receiver.status = 503
    with time_machine.travel(NOON, tick=False) as clock:
        job = ended(receiver)
        notify()
        receiver.status = 200
        clock.shift(5)
        notify()
        clock.shift(timedelta(days=5))
        notify()
    assert told(job) == {"url": receiver.url, "state": "delivered", "tries": 2, "note": "The receiver answered 200."}
    assert len(receiver.received) == 2


def test_who_wants_no_more_gets_no_more(receiver, caplog):
    receiver.status = 410
    job = ended(receiver)
    notify()
    assert told(job)["state"] == "given_up"
    assert job.webhook_due_at is None
    assert f"job {job.id}: telling its end is given up after try 1: The receiver answered 410." in caplog.text


@pytest.mark.parametrize(
    ("what", "says"), [("networks", "Not sent: its host was not found, or is not on the"), ("secret", "GATEWAY_WEBHOOK_SECRET is not set")]
)
def test_what_the_settings_no_longer_allow_is_not_sent_and_tried_again(receiver, settings, what, says):
    if what == "networks":
        settings.GATEWAY_WEBHOOK_NETWORKS = []
    else:
        settings.GATEWAY_WEBHOOK_SECRET = []
    job = ended(receiver)
    notify()
    assert told(job)["state"] == "waiting"
    assert says in told(job)["note"]
    assert receiver.received == []


def test_a_new_secret_signs_what_was_made_before_it(receiver, settings):
    job = ended(receiver)
    settings.GATEWAY_WEBHOOK_SECRET = ["a-new-secret-of-the-tests-0123456789", *settings.GATEWAY_WEBHOOK_SECRET]
    notify()
    for secret in secrets_of(job.client):
        assert receiver.received[0].verified(secret)


def test_several_at_once_deliver_once(receiver):
    """Each of them sees the same jobs due before any has claimed one."""
    jobs = [ended(receiver) for _ in range(8)]
    together = Barrier(4)
    claim = notifying._claim

    def all_see_it(job):
        if job.id == jobs[0].id:
            together.wait(10)
        return claim(job)

    def work(_):
        try:
            notify()
        finally:
            connections.close_all()

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(4) as threads:
        patch.setattr(notifying, "_claim", all_see_it)
        list(threads.map(work, range(4)))
    assert sorted(got.headers["webhook-id"] for got in receiver.received) == sorted(f"job_{job.id}" for job in jobs)
    assert {told(job)["state"] for job in jobs} == {"delivered"}


def test_what_a_lost_worker_had_in_hand_is_tried_again(receiver, monkeypatch):
    with time_machine.travel(NOON, tick=False) as clock:
        job = ended(receiver)
        with monkeypatch.context() as patch:
            patch.setattr(notifying, "_note", lambda *_: (_ for _ in ()).throw(LogUnavailableError("away")))
            with pytest.raises(LogUnavailableError):
                notify()
        clock.shift(59)
        notify()
        assert len(receiver.received) == 1
        clock.shift(1)
        notify()
    assert told(job)["state"] == "delivered"
    assert [got.headers["webhook-id"] for got in receiver.received] == [f"job_{job.id}"] * 2


def test_slow_receivers_are_waited_for_together(receiver):
    receiver.script = lambda handler: sleep(0.5)
    jobs = [ended(receiver) for _ in range(8)]
    began = monotonic()
    notify()
    assert monotonic() - began < 2.5
    assert {told(job)["note"] for job in jobs} == {"The receiver gave no whole answer (RemoteDisconnected)."}


def test_the_longest_due_go_first_so_many_at_once(receiver, monkeypatch):
    monkeypatch.setattr(notifying, "AT_ONCE", 3)
    jobs = [ended(receiver, webhook_due_at=timezone.now() - timedelta(seconds=10 - number)) for number in range(4)]
    assert notify()
    assert [told(job)["state"] for job in jobs] == ["delivered"] * 3 + ["waiting"]
    assert not notify()
    assert told(jobs[3])["state"] == "delivered"


def test_a_failure_inside_is_logged_without_the_address_and_tried_again(receiver, monkeypatch, caplog):
    def fails(url, *_):
        raise RuntimeError(url)

    monkeypatch.setattr(notifying.posting, "post", fails)
    job = ended(receiver)
    notify()
    assert told(job)["note"].startswith("Not sent: the gateway failed")
    assert "unexpected RuntimeError" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("status", [204, 302, 500])
def test_the_address_stands_in_no_log_no_note_and_no_action(receiver, caplog, status):
    caplog.set_level(logging.DEBUG)
    receiver.status = status
    job = ended(receiver)
    notify()
    job.refresh_from_db()
    assert "s3cret" not in f"{caplog.text} {job.webhook_note} {shape(job)} {list(Action.objects.values())} {list(Call.objects.values())}"
    assert "s3cret" not in receiver.received[0].body.decode()
    assert receiver.received[0].path == "/hook?token=s3cret"


# the bell


def test_the_end_of_a_job_rings_at_once_and_the_message_says_nothing(receiver, monkeypatch):
    sent = []
    monkeypatch.setattr(tasks.notify, "apply_async", lambda *arguments, **options: sent.append((arguments, options)))
    make_job([], webhook=receiver.url)
    tasks.ring()
    assert sent == [((), {"countdown": 0.0, "expires": tasks.SWEEP_SECONDS, "retry": False})]
    tasks.notify()
    assert len(receiver.received) == 1
    assert len(sent) == 1


def test_where_more_is_due_it_rings_again(receiver, monkeypatch):
    sent = []
    monkeypatch.setattr(tasks.notify, "apply_async", lambda **options: sent.append(options))
    monkeypatch.setattr(notifying, "AT_ONCE", 1)
    ended(receiver)
    tasks.notify()
    assert len(sent) == 1


def test_one_at_a_time_in_a_process_and_not_in_the_way_of_the_ring(receiver, monkeypatch):
    monkeypatch.setattr(tasks.notify, "apply_async", lambda **options: None)
    job, other = ended(receiver), make_job([])
    with tasks._telling:
        tasks.notify()
        tasks.ring()
    other.refresh_from_db()
    assert (told(job)["tries"], other.state) == (0, State.SUCCEEDED)
    with tasks._at_work:
        tasks.notify()
    assert told(job)["tries"] == 1


def test_without_the_database_it_waits_for_the_next_ring(monkeypatch):
    def away():
        raise LogUnavailableError("away")

    monkeypatch.setattr(tasks.notifying, "notify", away)
    tasks.notify()
    assert not tasks._telling.locked()
