"""Jobs in the admin: who sees and steers them, what the list and the page say, what they cost, and that no event is shown."""

import json
import re
from datetime import UTC, datetime, timedelta
from itertools import chain
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gateway.audit.models import Action
from gateway.console.states import TABS, why
from gateway.jobs.models import Failure, Job, State
from tests.console.pages import CALLS, JOBS, SECRET, a_call, a_chunk, a_failure, a_job, cells, listed

pytestmark = pytest.mark.django_db
ALL_STATES = sorted(State)
POLL = r'data-poll hx-get="([^"]+)"'


@pytest.fixture
def person(django_user_model):
    """Makes a browser of somebody with these permissions on jobs."""

    def signed_in(*permissions: str) -> Client:
        user = django_user_model.objects.create(username=f"user-{uuid4()}", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(content_type__app_label="jobs", codename__in=permissions))
        client = Client()
        client.force_login(user)
        return client

    return signed_in


def page_of(job: Job, section: str = "") -> str:
    return f"{JOBS}{job.id}/change/{f'?section={section}' if section else ''}"


def done_to(job: Job) -> list[tuple[str, str, str]]:
    return list(Action.objects.filter(subject=str(job.id)).order_by("id").values_list("verb", "actor", "channel"))


# who may

READ = ["", "{id}/change/", "{id}/change/?section=chunks", "{id}/live/", "live/?id={id}", "{id}/failures/"]
STEER = ["{id}/pause/", "{id}/resume/", "{id}/cancel/", "{id}/rate/", "{id}/retry/"]
MAKE = ["{id}/start/", "add/"]
READ_EVENTS = ["{id}/failures/download/"]


@pytest.mark.parametrize(
    ("permissions", "may"),
    [
        ([], []),
        (["view_job"], READ),
        (["change_job"], READ + STEER),
        (["view_job", "add_job"], READ + MAKE),
        (["view_job", "view_failure"], READ + READ_EVENTS),
        (["view_failure", "delete_job", "add_failure", "change_failure"], []),
    ],
)
def test_each_permission_opens_its_pages_and_no_other(person, permissions, may):
    client, job = person(*permissions), a_job(dry_run=True)
    for way in READ + STEER + MAKE + READ_EVENTS:
        path = JOBS + way.format(id=job.id)
        answer = client.get(path) if way in READ else client.post(path, {"rate": "5"})
        assert (answer.status_code != 403) == (way in may), (permissions, way, answer.status_code)
        assert answer.status_code in (200, 302, 403), (way, answer.status_code)


def test_without_a_login_nothing_is_shown_or_done(client):
    job = a_job()
    for way in READ + STEER + MAKE + READ_EVENTS:
        for answer in (client.get(JOBS + way.format(id=job.id)), client.post(JOBS + way.format(id=job.id), {"rate": "5"})):
            assert answer["Location"].startswith("/admin/login/"), way
    job.refresh_from_db()
    assert (job.state, job.rate) == (State.QUEUED, None)


def test_who_may_only_look_is_offered_nothing(person):
    job = a_job(faulty=1)
    a_failure(job, 1)
    client = person("view_job")
    for path in (JOBS, page_of(job), f"{JOBS}{job.id}/failures/"):
        html = client.get(path).content.decode()
        for word in ("/pause/", "/cancel/", "/rate/", "/download/", "/retry/", "/add/", "/delete/"):
            assert word not in html, (path, word)


def test_nobody_adds_changes_or_deletes_by_djangos_forms(admin_client):
    job = a_job()
    before = Job.objects.values().get()
    assert admin_client.post(page_of(job), {"actor": "eve", "_save": "Save"}).status_code == 405
    assert admin_client.post(f"{JOBS}{job.id}/delete/", {"post": "yes"}).status_code == 403
    admin_client.post(JOBS, {"action": "delete_selected", "_selected_action": [job.pk], "post": "yes"})
    assert Job.objects.values().get() == before


def test_a_control_needs_the_csrf_token(admin_client):
    job, strict = a_job(), Client(enforce_csrf_checks=True)
    strict.cookies = admin_client.cookies
    assert strict.post(f"{JOBS}{job.id}/pause/").status_code == 403
    assert Job.objects.get().state == State.QUEUED


# controls


def test_every_control_is_done_recorded_and_told(admin_client):
    job = a_job()
    steps = [("pause", {}, "Paused."), ("rate", {"rate": "70"}, "The rate is changed."), ("rate", {"rate": ""}, "The rate is changed.")]
    steps += [("resume", {}, "It goes on."), ("cancel", {"reason": "a mistake"}, "It is being cancelled.")]
    seen = []
    for verb, given, told in steps:
        answer = admin_client.post(f"{JOBS}{job.id}/{verb}/", given, follow=True)
        assert answer.redirect_chain[-1][0] == page_of(job)
        assert told in answer.content.decode()
        job.refresh_from_db()
        seen.append((job.state, job.rate))
    assert seen == [("paused", None), ("paused", 70), ("paused", None), ("queued", None), ("cancelling", None)]
    verbs = ["job_paused", "job_rate_changed", "job_rate_changed", "job_resumed", "job_cancelled"]
    assert done_to(job) == [(verb, "admin", "admin") for verb in verbs]
    assert Action.objects.last().reason == "a mistake"


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel", "rate"])
def test_what_is_not_possible_says_why(admin_client, verb):
    job = a_job(state=State.SUCCEEDED)
    html = admin_client.post(f"{JOBS}{job.id}/{verb}/", {"rate": "7"}, follow=True).content.decode()
    assert "This job cannot be" in html
    assert "it is finished" in html
    assert done_to(job) == []


@pytest.mark.parametrize("rate", ["0", "-1", "many", "1000001", "1.5", "9" * 400])
def test_a_rate_that_is_none_changes_nothing(admin_client, rate):
    job = a_job(rate=5)
    assert admin_client.post(f"{JOBS}{job.id}/rate/", {"rate": rate}, follow=True).status_code == 200
    job.refresh_from_db()
    assert (job.rate, done_to(job)) == (5, [])


def test_cancelling_asks_first(admin_client):
    job = a_job()
    answer = admin_client.get(f"{JOBS}{job.id}/cancel/")
    assert "Cancel the job" in answer.content.decode()
    assert Job.objects.get().state == State.QUEUED
    for verb in ("pause", "resume", "rate"):
        assert admin_client.get(f"{JOBS}{job.id}/{verb}/").status_code == 405
    assert admin_client.get(f"{JOBS}{job.id}/explode/").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_without_the_log_nothing_is_changed_and_no_event_given_out(admin_client):
    job = a_job(faulty=1)
    a_failure(job, 1)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_action RENAME TO gone")
    try:
        paused = admin_client.post(f"{JOBS}{job.id}/pause/", follow=True)
        got = admin_client.post(f"{JOBS}{job.id}/failures/download/", {"why": "to mend them"}, follow=True)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE gone RENAME TO audit_action")
    assert "nothing was changed" in paused.content.decode()
    assert "nothing is given out" in got.content.decode()
    assert "a-person" not in got.content.decode()
    assert Job.objects.get().state == State.QUEUED


@pytest.mark.parametrize("state", ALL_STATES)
def test_only_what_is_possible_is_offered(admin_client, state):
    html = admin_client.get(page_of(a_job(state=state))).content.decode()
    offered = {verb for verb in ("pause", "resume", "cancel", "rate") if re.search(rf"/{verb}/", html)}
    expected = {"queued": {"pause", "cancel", "rate"}, "running": {"pause", "cancel", "rate"}, "paused": {"resume", "cancel", "rate"}}
    assert offered == expected.get(state, set())


# the list


def test_the_list_says_what_a_row_is(admin_client):
    now = timezone.now()
    a_job(state="running", started_at=now, taken_in=True, events=2000, next_event=1300, accepted=1234, failed=3, faulty=2, possible_duplicates=7)
    [row] = cells(admin_client.get(JOBS))
    text = " ".join(row)
    for part in ("Running", "replay → rep-1", "ann · Command line", "1,234 accepted · 5 refused · 763 left", "0/s", "7", f"{now:%Y-%m-%d %H:%M:%S}"):
        assert part in text, part


def test_every_state_is_in_one_tab_and_filters_hold_together(admin_client):
    jobs = {state: a_job(state=state) for state in ALL_STATES}
    assert sorted(chain(*(states for _, states, _ in TABS.values()))) == ALL_STATES
    found = {key: set(listed(admin_client.get(f"{JOBS}?tab={key}"))) for key in TABS}
    assert found == {key: {jobs[state].id for state in states} for key, (_, states, _) in TABS.items()}
    wanted = a_job(operation="retl", source="src-9", actor="eve")
    assert listed(admin_client.get(f"{JOBS}?operation=retl&source=src-9&actor=eve&tab=waiting")) == [wanted.id]
    assert listed(admin_client.get(f"{JOBS}?source=src-9&tab=paused")) == []
    assert len(listed(admin_client.get(JOBS))) == len(ALL_STATES) + 1


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "There is no job yet"),
        ("?tab=running", "No job is running now"),
        ("?actor=nobody", "No job matches these filters"),
        ("?actor=nobody&tab=failed", "Clear filters"),
    ],
)
def test_an_empty_list_says_why(admin_client, query, words):
    assert words in admin_client.get(JOBS + query).content.decode()


def test_older_leads_through_all_jobs_of_a_tab(admin_client):
    jobs = [a_job(state="paused").id for _ in range(60)]
    a_job()
    first = admin_client.get(f"{JOBS}?tab=paused")
    second = admin_client.get(JOBS + first.context["cl"].older)
    assert listed(first) + listed(second) == sorted(jobs, reverse=True)


@pytest.mark.parametrize(
    "query", ["p=garbage", "tab=nope", "tab=%00", "source=%00", "operation=nope&actor=%ED%A0%80", "o=1.-2", "state__in=running", "e=1"]
)
def test_no_parameter_breaks_the_list(admin_client, query):
    job = a_job()
    assert admin_client.get(f"{JOBS}?{query}", follow=True).status_code in (200, 400)
    for path in (f"{JOBS}live/?id=nope&id={job.id}&{query}", f"{page_of(job)}?section=nope&{query}", f"{JOBS}{job.id}/failures/?after=-1&reason=%00"):
        assert admin_client.get(path).status_code == 200, path
    assert admin_client.get(f"{JOBS}{uuid4()}/change/").status_code == 404
    assert admin_client.get(f"{JOBS}nonsense/change/").status_code == 404


# what changes by itself


def test_only_rows_that_move_poll(admin_client):
    still = [a_job(state=state) for state in ALL_STATES if state not in ("running", "cancelling")]
    assert "data-poll" not in admin_client.get(JOBS).content.decode()
    moving = [a_job(state="running"), a_job(state="cancelling")]
    html = admin_client.get(JOBS).content.decode()
    [poll] = re.findall(POLL, html)
    assert {str(job.id) for job in moving} == set(re.findall(r"id=([0-9a-f-]{36})", poll))
    part = admin_client.get(poll.replace("&amp;", "&")).content.decode()
    assert part.count("hx-swap-oob") == 2 * 5
    assert not any(str(job.id) in part for job in still)
    Job.objects.filter(id=moving[0].id).update(state="succeeded")
    part = admin_client.get(poll.replace("&amp;", "&")).content.decode()
    [poll] = re.findall(POLL, part)
    assert re.findall(r"id=([0-9a-f-]{36})", poll) == [str(moving[1].id)]
    assert "Finished" in part


def test_the_page_polls_while_there_is_something_to_do(admin_client):
    polling = {state for state in ALL_STATES if "data-poll" in admin_client.get(page_of(a_job(state=state))).content.decode()}
    assert polling == {"queued", "running", "cancelling"}


def test_the_buttons_come_with_a_poll_only_where_the_state_is_another(admin_client):
    job = a_job(state="paused")
    assert "/resume/" in admin_client.get(f"{JOBS}{job.id}/live/?state=running").content.decode()
    assert "/resume/" not in admin_client.get(f"{JOBS}{job.id}/live/?state=paused").content.decode()


# the page


def test_the_page_says_what_is_known_and_what_is_not(admin_client):
    job = a_job(
        state="paused", reason="unauthorized: RudderStack answered 401: see the settings.", accepted=12, next_event=20, events=40, taken_in=True
    )
    html = admin_client.get(page_of(job)).content.decode()
    assert "RudderStack answered 401: see the settings. It goes on when somebody resumes it." in html
    assert html.count("not reported") == 2
    Job.objects.update(delivered=1234, undelivered=0)
    html = admin_client.get(page_of(job)).content.decode()
    assert "1,234" in html
    assert "not reported" not in html
    assert "once for every destination" in html


@pytest.mark.parametrize("state", ALL_STATES)
@pytest.mark.parametrize("fields", [{}, {"taken_in": True, "events": 5, "next_event": 5, "accepted": 5, "tries": 2}, {"dry_run": True}])
def test_every_state_has_a_sentence_and_a_page(admin_client, state, fields):
    job = a_job(state=state, not_before=timezone.now() + timedelta(hours=1), due_at=timezone.now() + timedelta(hours=1), **fields)
    assert re.search(r"\w.*\.$", why(job))
    for section in ("", "chunks", "history", "input"):
        answer = admin_client.get(page_of(job, section))
        assert answer.status_code == 200
    assert f'data-state="{state}"' in admin_client.get(page_of(job)).content.decode()


def test_the_sections_show_chunks_history_and_input(admin_client):
    job = a_job(
        format="archive", input="s3://bucket/prefix", since=timezone.now(), window_from="22:00", window_to="06:00", job_run_id="run-7", chunks=1
    )
    a_chunk(job, 1, 0, 90, failed=4)
    admin_client.post(f"{JOBS}{job.id}/cancel/", {"reason": "wrong prefix"})
    assert "from 1: 90" in admin_client.get(page_of(job, "chunks")).content.decode()
    html = admin_client.get(page_of(job, "history")).content.decode()
    assert "Job cancelled" in html
    assert "wrong prefix" in html
    html = admin_client.get(page_of(job, "input")).content.decode()
    for part in ("s3://bucket/prefix", "22:00 to 06:00 UTC", "run-7", "archive"):
        assert part in html, part


def test_the_calls_of_a_job_are_a_filter_of_the_list(admin_client):
    job = a_job()
    mine = a_call(job, 1)
    other = a_call(a_job(), 2)
    assert listed(admin_client.get(f"{CALLS}?job={job.id}&time=all")) == [mine.id]
    assert listed(admin_client.get(f"{CALLS}?job={job.id}&result=accepted")) == [mine.id]
    assert listed(admin_client.get(f"{CALLS}?job=nonsense")) == [mine.id, other.id]


# failures


def test_failures_are_counted_by_reason_and_listed_without_their_events(admin_client):
    job = a_job(faulty=61, failed=1)
    for line in range(1, 62):
        a_failure(job, line)
    a_failure(job, 99, reason="too_large", file="2026/x.json.gz", retried_by=uuid4())
    html = admin_client.get(page_of(job)).content.decode()
    assert re.search(r"missing_user</a></td><td class=\"number\">61<", html)
    first = admin_client.get(f"{JOBS}{job.id}/failures/?reason=missing_user")
    assert first.content.decode().count("missing_user</td>") == 50
    following = re.search(r'rel="next" href="([^"]+)"', first.content.decode())[1].replace("&amp;", "&")
    assert admin_client.get(f"{JOBS}{job.id}/failures/{following}").content.decode().count("missing_user</td>") == 11
    html = admin_client.get(f"{JOBS}{job.id}/failures/?reason=too_large").content.decode()
    assert "2026/x.json.gz" in html


def test_the_download_has_the_events_and_is_recorded_with_its_reason(admin_client):
    job = a_job(faulty=301)
    rows = [a_failure(job, line, reason="a" if line % 2 else "b") for line in range(1, 302)]
    path = f"{JOBS}{job.id}/failures/download/"
    for why_ in ("", "   ", "x" * 501):
        answer = admin_client.post(path, {"why": why_}, follow=True)
        assert "Say why" in answer.content.decode()
    assert done_to(job) == []
    answer = admin_client.post(path, {"why": "to mend them", "reason": "a", "after": str(rows[0].id)})
    found = [json.loads(line) for line in answer.content.decode().splitlines()]
    assert [row["line"] for row in found] == list(range(3, 302, 2))
    assert {row["event"] for row in found} == {SECRET}
    assert "attachment" in answer["Content-Disposition"]
    [action] = Action.objects.filter(subject=str(job.id))
    assert (action.verb, action.actor, action.channel, action.reason) == ("job_failures_read", "admin", "admin", "to mend them")
    assert "a-person" not in action.detail


def test_a_download_is_bounded(admin_client, monkeypatch):
    monkeypatch.setattr("gateway.jobs.failures.MOST_ROWS", 3)
    job = a_job(faulty=9)
    for line in range(9):
        a_failure(job, line)
    path = f"{JOBS}{job.id}/failures/download/"
    assert len(admin_client.post(path, {"why": "w"}).content.splitlines()) == 3
    monkeypatch.setattr("gateway.jobs.failures.MOST_ROWS", 9)
    monkeypatch.setattr("gateway.jobs.failures.MOST_CHARACTERS", 2 * len(SECRET))
    assert len(admin_client.post(path, {"why": "w"}).content.splitlines()) == 2


# hostile texts, personal data, cost


def test_html_and_templates_in_texts_do_nothing(admin_client):
    evil = "<script>alert(1)</script><b onclick='x'>{{ 7|add:35 }}"
    job = a_job(
        actor=evil, source=evil, destination=evil, job_run_id=evil, reason=f"evil: {evil}", input=evil, request_id=evil, webhook=evil, webhook_note=evil,
        faulty=1, state="paused",
    )  # fmt: skip
    a_failure(job, 1, file=evil, reason=evil[:64], pointer=evil, detail=evil)
    admin_client.post(f"{JOBS}{job.id}/rate/", {"rate": "1"})
    Job.objects.update(state="running", started_at=timezone.now())
    admin_client.post(f"{JOBS}{job.id}/pause/", {"reason": evil})
    paths = [JOBS, f"{JOBS}{job.id}/live/", f"{JOBS}{job.id}/cancel/", f"{JOBS}{job.id}/failures/?reason={evil[:64]}"]
    for path in [*paths, *(page_of(job, section) for section in ("", "history", "input"))]:
        html = admin_client.get(path).content.decode()
        assert "alert(1)" in html, path
        for word in ("<script>alert", "<b onclick", "alert(1)</script>", " 42"):
            assert word not in html, (path, word)


def test_no_page_shows_an_event_or_a_webhook(admin_client):
    job = a_job(faulty=1, webhook="https://hooks.example/secret-token")
    a_failure(job, 1)
    for path in (
        JOBS,
        f"{JOBS}{job.id}/live/",
        f"{JOBS}{job.id}/failures/",
        *(page_of(job, section) for section in ("", "chunks", "history", "input")),
    ):
        html = admin_client.get(path).content.decode()
        assert "a-person" not in html, path
        assert "secret-token" not in html, path


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "hooks.example is told when it is over."),
        ({"webhook_due_at": datetime(2026, 1, 2, tzinfo=UTC)}, "hooks.example is being told."),
        (
            {"webhook_note": "waiting: The receiver answered 503.", "webhook_tries": 1, "webhook_due_at": datetime(2026, 1, 2, tzinfo=UTC)},
            "Not delivered yet (hooks.example, 1 try). The receiver answered 503. It is tried again at 2026-01-02 00:00:00 UTC.",
        ),
        (
            {"webhook_note": "given_up: The receiver answered 410.", "webhook_tries": 2},
            "Given up (hooks.example, 2 tries). The receiver answered 410.",
        ),
    ],
)
def test_the_page_says_what_became_of_the_webhook_without_its_path_and_query(admin_client, fields, told):
    job = a_job(webhook="https://hooks.example/secret-path?token=secret-query", **fields)
    html = admin_client.get(page_of(job, "input")).content.decode()
    assert told in html
    assert "secret-" not in html


def test_a_dry_run_says_what_it_read_and_leads_to_its_start(admin_client, person):
    job = a_job(dry_run=True, state="succeeded", taken_in=True, events=7, lines=9, faulty=2)
    html = admin_client.get(page_of(job)).content.decode()
    assert f"{JOBS}{job.id}/check/" in html
    assert "Lines read" in html
    assert "not reported" not in html
    assert f"{JOBS}{job.id}/check/" not in person("view_job").get(page_of(job)).content.decode()


def test_pages_cost_few_queries_and_count_nothing_in_the_log(admin_client):
    running = [a_job(state="running", started_at=timezone.now(), taken_in=True, events=500, next_event=100, faulty=1) for _ in range(60)]
    for job in running:
        a_call(job, 1)
        a_chunk(job, 1, 0, 100, failed=1)
        a_failure(job, 1)
    paths = [JOBS, f"{JOBS}?tab=running&source=rep-1", f"{JOBS}live/?{'&'.join(f'id={job.id}' for job in running)}"]
    paths += [f"{JOBS}{running[0].id}/{way}" for way in ("live/", "failures/", "cancel/")]
    paths += [page_of(running[0], section) for section in ("", "chunks", "history", "input")]
    for path in paths:
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(path).status_code == 200
        assert len(captured) <= 8, path
        for entry in captured:
            assert " OFFSET " not in entry["sql"].upper(), path
            assert "audit_" not in entry["sql"] or "COUNT(" not in entry["sql"].upper(), path


def test_the_event_is_not_even_read_for_the_list_of_failures(admin_client):
    job = a_job(faulty=1)
    a_failure(job, 1)
    with CaptureQueriesContext(connection) as captured:
        admin_client.get(f"{JOBS}{job.id}/failures/")
    assert not any('"jobs_failure"."event"' in entry["sql"] for entry in captured)
    assert Failure.objects.get().event == SECRET
