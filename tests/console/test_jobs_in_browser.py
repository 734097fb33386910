"""Jobs in a real browser: what changes by itself, a question before the end, and the three screens with a real upload."""

import json
import threading
from pathlib import Path

import pytest
from django.db import connections
from django.utils import timezone
from playwright.sync_api import Page, expect

from gateway.audit.models import Action
from gateway.jobs.engine import work
from gateway.jobs.lease import claim
from gateway.jobs.models import Chunk, Job, State
from tests.audit.rows import new_call, new_outcome
from tests.console.browsing import fits, log_in
from tests.console.pages import JOBS, a_failure, a_job
from tests.jobs.making import arrived, events, ids

pytestmark = pytest.mark.chromium


def a_running_job(**fields) -> Job:
    now = timezone.now()
    usual = {"state": "running", "started_at": now, "taken_in": True, "events": 2000, "next_event": 500, "accepted": 500, "chunks": 1, "lines": 2003}
    return a_job(**{**usual, "faulty": 3, "rate": 800, **fields})


@pytest.fixture
def worker(transactional_db):
    """Works on whatever is due, as a worker does, until the test is over."""
    done = threading.Event()

    def run() -> None:
        try:
            while not done.wait(0.1):
                if lease := claim():
                    work(lease, 5.0)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    done.set()
    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_no_page_of_jobs_goes_sideways(open_page, width, scheme):
    long = "x" * 180
    job = a_running_job(actor=long, source=long, destination=long, job_run_id=long, input=long, request_id=long, reason=f"{long}: {long}")
    a_failure(job, 1, file=long, pointer=f"/{long}", detail=long, reason=long[:64])
    Chunk.objects.create(job=job, number=1, segment=0, offset=0, bytes=9, first_event=0, events=500, failed=1)
    for number in range(20):
        call = new_call(job=job.id, chunk=number, channel="job", events=25, actor=long)
        call.save()
        new_outcome("accepted", call=call, upstream_ms=number * 3).save()
    a_job(state="paused", actor="ann")
    dry = a_running_job(dry_run=True, source=long)
    page = open_page(width, scheme)
    log_in(page)
    ways = ["", "?tab=running", "?tab=finished", f"?source={long}&tab=paused", "add/", f"{dry.id}/check/", f"{dry.id}/change/"]
    ways += [
        f"{job.id}/{way}"
        for way in ("change/", "change/?section=chunks", "change/?section=history", "change/?section=input", "cancel/", "failures/", "retry/")
    ]
    for way in ways:
        page.goto(JOBS + way)
        fits(page)
    assert page.evaluate("document.documentElement.classList.contains('dark')") == (scheme == "dark")


def test_a_running_row_changes_by_itself_and_comes_to_rest(open_page):
    job, still = a_running_job(), a_job(state="paused")
    page = open_page()
    log_in(page)
    page.goto(JOBS)
    row = page.locator("#result_list tbody tr", has_text="Running")
    expect(row).to_contain_text("500 accepted · 3 refused · 1,500 left")
    Job.objects.filter(id=job.id).update(accepted=1999, next_event=2000, failed=1)
    expect(row).to_contain_text("1,999 accepted · 4 refused · 0 left")
    Job.objects.filter(id=job.id).update(state=State.SUCCEEDED)
    expect(page.locator(f"#state-{job.id}")).to_contain_text("Finished")
    expect(page.locator("[data-poll]")).to_have_count(0)
    expect(page.locator(f"#state-{still.id}")).to_contain_text("Paused")


def test_the_page_of_a_job_changes_by_itself_and_keeps_what_is_typed(open_page):
    job = a_running_job()
    page = open_page()
    log_in(page)
    page.goto(f"{JOBS}{job.id}/change/")
    rate = page.get_by_label("Events/s, at most")
    rate.fill("123")
    Job.objects.update(accepted=777)
    expect(page.locator("#live")).to_contain_text("777")
    expect(rate).to_have_value("123")
    Job.objects.update(state=State.PAUSED, reason="paused: Paused by eve: too fast.")
    expect(page.locator("#live")).to_contain_text("Paused by eve: too fast.")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)


@pytest.mark.parametrize("way", ["", "change/"])
def test_where_the_session_is_over_the_page_to_log_in_comes_alone(open_page, way):
    job = a_running_job()
    page = open_page()
    log_in(page)
    page.goto(f"{JOBS}{job.id}/{way}" if way else JOBS)
    expect(page.locator("[data-poll]")).to_have_count(1)
    page.context.clear_cookies()
    page.wait_for_url("**/admin/login/?next=**")
    expect(page.get_by_label("Password")).to_have_count(1)


def test_nothing_is_asked_for_while_nobody_looks(open_page):
    a_running_job()
    page = open_page()
    log_in(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/live/" in request.url else None)
    page.goto(JOBS)
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})")
    asked.clear()
    page.wait_for_timeout(4500)
    assert asked == []
    page.evaluate("delete document.hidden")
    with page.expect_request("**/live/**"):
        pass


def test_a_job_is_paused_slowed_resumed_and_cancelled_after_a_question(open_page):
    job = a_running_job()
    page = open_page()
    log_in(page)
    page.goto(f"{JOBS}{job.id}/change/")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator('#live [data-state="paused"]')).to_be_visible()
    page.get_by_label("Events/s, at most").fill("50")
    page.get_by_role("button", name="Set rate").click()
    expect(page.get_by_text("The rate is changed.")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator('#live [data-state="queued"]')).to_be_visible()
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("link", name="Keep it").click()
    assert Job.objects.get().state == State.QUEUED
    page.get_by_role("link", name="Cancel").click()
    page.get_by_label("Reason").fill("a mistake")
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.locator('#live [data-state="cancelling"]')).to_be_visible()
    assert Job.objects.get().rate == 50
    assert list(Action.objects.order_by("id").values_list("verb", flat=True)) == ["job_paused", "job_rate_changed", "job_resumed", "job_cancelled"]


def upload(page: Page, file: Path, number: int) -> None:
    page.goto(JOBS)
    page.get_by_role("link", name="Make a job").click()
    page.locator('input[type="file"]').set_input_files(file)
    page.get_by_label("Events in one call").fill("7")
    page.get_by_role("button", name="Check it").click()
    expect(page.get_by_text(f"{number} of {number + 1} events can be sent")).to_be_visible()


@pytest.mark.parametrize("script", [True, False])
def test_a_new_job_from_the_file_to_the_last_event(open_page, sandbox, worker, tmp_path, settings, script):
    settings.MEDIA_ROOT = tmp_path / "media"
    file = tmp_path / "events.ndjson"
    file.write_text("".join(json.dumps(one) + "\n" for one in events(40)) + "no json\n")
    page = open_page(script=script)
    log_in(page)
    page.goto(JOBS)
    expect(page.get_by_text("There is no job yet")).to_be_visible()
    upload(page, file, 40)
    expect(page.get_by_role("link", name="invalid_json")).to_be_visible()
    page.get_by_role("button", name="Start: send 40 events").click()
    expect(page.get_by_text("The job is made.")).to_be_visible()
    if not script:
        for _ in range(50):
            if Job.objects.filter(dry_run=False, state=State.SUCCEEDED).exists():
                break
            page.wait_for_timeout(200)
        page.reload()
    expect(page.locator('#live [data-state="succeeded"]')).to_be_visible(timeout=30_000)
    assert arrived(sandbox) == ids(40)


def test_a_file_that_is_too_large_is_not_even_sent(open_page, tmp_path, settings):
    settings.GATEWAY_MAX_UPLOAD_BYTES = 10
    file = tmp_path / "events.ndjson"
    file.write_text("x" * 11)
    page = open_page()
    log_in(page)
    page.goto(f"{JOBS}add/")
    page.locator('input[type="file"]').set_input_files(file)
    page.get_by_role("button", name="Check it").click()
    expect(page.get_by_text("The file has 11 bytes; at most 10 bytes are taken")).to_be_visible()
    page.locator('input[type="file"]').set_input_files([])
    page.get_by_role("button", name="Check it").click()
    expect(page.get_by_text("Choose one: a file, an archive, or earlier calls.")).to_be_visible()
