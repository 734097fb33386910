"""The log in the admin: every call, by page, by filter, by id; and nothing to change it with."""

import json
from datetime import timedelta
from itertools import chain
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gateway.audit import log
from gateway.audit.models import Action, Call, Channel, Outcome, Result, Verb, new_id
from tests.audit.rows import new_call, new_outcome, written
from tests.console.pages import ACTIONS, CALLS, CLIENTS, KEYS, cells, listed, paths

pytestmark = pytest.mark.django_db
DAYS, MINUTES = timedelta(days=1), timedelta(minutes=1)
NOWHERE = "0197f0c0-0000-7000-8000-000000000000"


def an_action(subject: str = "rgw_12345678") -> Action:
    action = Action(at=timezone.now(), actor="ann", channel=Channel.CLI, verb=Verb.KEY_MADE, subject=subject)
    log.act(action)
    return action


# who may look


def test_every_page_needs_a_login(client):
    call = written("accepted")
    for path in [*paths(), "/admin/audit/", f"{CALLS}{call.id}/change/", "/admin/nothing/here/"]:
        if path.startswith(("/admin/login/", "/admin/logout/")):
            continue
        answer = client.get(path)
        assert answer.status_code == 302, path
        assert answer["Location"].startswith("/admin/login/"), path
        assert str(call.id).encode() not in answer.content


def test_the_walk_over_the_pages_finds_them():
    assert {CALLS, ACTIONS, KEYS, CLIENTS, f"{CALLS}1/change/", f"{KEYS}add/", "/admin/auth/user/"} <= set(paths())


def test_someone_who_is_no_staff_gets_the_login(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("visitor"))
    assert client.get(CALLS)["Location"].startswith("/admin/login/")


def test_staff_without_the_permission_to_view_is_refused(client, django_user_model):
    call = written("accepted")
    client.force_login(django_user_model.objects.create_user("staff", is_staff=True))
    for path in (CALLS, f"{CALLS}{call.id}/change/", ACTIONS, KEYS, f"{KEYS}add/", CLIENTS):
        answer = client.get(path)
        assert answer.status_code == 403, path
        assert b"tester" not in answer.content


def test_staff_with_the_permission_to_view_sees_calls_and_nothing_else(client, django_user_model):
    call = written("accepted")
    reviewer = django_user_model.objects.create_user("reviewer", is_staff=True)
    reviewer.user_permissions.add(Permission.objects.get(codename="view_call"))
    client.force_login(reviewer)
    assert listed(client.get(CALLS)) == [call.id]
    assert client.get(f"{CALLS}{call.id}/change/").status_code == 200
    for path in (ACTIONS, KEYS, f"{KEYS}add/", CLIENTS, "/admin/auth/user/"):
        assert client.get(path).status_code == 403, path


# the list


def test_a_row_shows_what_came_of_the_call(admin_client):
    call = written("accepted", operation="retl", actor="ann", source="src-1", events=1234)
    [row] = cells(admin_client.get(CALLS))
    for text in ("Accepted", "Retl", "ann", "src-1", "1234", "7 ms", f"{call.at:%Y-%m-%d %H:%M:%S}", str(call.id)[-12:]):
        assert text in " ".join(row).replace("1,234", "1234"), text


def test_a_call_on_its_way_has_a_row_too(admin_client):
    written(events=None)
    [row] = cells(admin_client.get(CALLS))
    assert "In flight" in row


def test_calls_come_newest_first(admin_client):
    calls = [written("accepted", ago=minutes * MINUTES).id for minutes in (3, 1, 2)]
    assert listed(admin_client.get(CALLS)) == [calls[1], calls[2], calls[0]]


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("operation=extract", {"operation": "extract"}),
        ("channel=mcp", {"channel": "mcp"}),
        ("source=src-9", {"source": "src-9"}),
        ("actor=ann%20b", {"actor": "ann b"}),
    ],
)
def test_a_filter_narrows(admin_client, query, fields):
    wanted, other = written("accepted", **fields), written("accepted")
    assert listed(admin_client.get(CALLS)) == [other.id, wanted.id]
    assert listed(admin_client.get(f"{CALLS}?{query}")) == [wanted.id]


def test_each_result_narrows_to_its_own(admin_client):
    calls = {result: written(result).id for result in Result.values}
    calls["in_flight"] = written().id
    for result, id_ in calls.items():
        assert listed(admin_client.get(f"{CALLS}?result={result}")) == [id_], result


def test_filters_hold_together(admin_client):
    wanted = written("accepted", operation="retl", actor="ann")
    written("accepted", operation="retl")
    written("rejected", operation="retl", actor="ann")
    assert listed(admin_client.get(f"{CALLS}?operation=retl&actor=ann&result=accepted")) == [wanted.id]


def test_times_reach_as_far_as_they_say(admin_client):
    ages = [10 * MINUTES, 50 * MINUTES, 23 * 60 * MINUTES, 6 * DAYS, 29 * DAYS, 400 * DAYS]
    for age in ages:
        written("accepted", ago=age)
    shown = {time: len(listed(admin_client.get(f"{CALLS}?time={time}"))) for time in ("15m", "1h", "24h", "", "30d", "all")}
    assert shown == {"15m": 1, "1h": 2, "24h": 3, "": 4, "30d": 5, "all": 6}


def test_the_filters_are_offered(admin_client):
    html = admin_client.get(CALLS).content.decode()
    for name in ("result=in_flight", "operation=audiencelist", "channel=rest", "time=24h", 'name="source"', 'name="actor"'):
        assert name in html, name


# search


def test_search_finds_by_whole_audit_id_or_request_id_however_old(admin_client):
    call = written("accepted", ago=300 * DAYS, request_id="r-77")
    written("accepted")
    for sought in (str(call.id), str(call.id).upper(), call.id.hex, f"%20{call.id}%20", "r-77"):
        assert listed(admin_client.get(f"{CALLS}?q={sought}")) == [call.id], sought


@pytest.mark.parametrize("sought", ["r-7", "R-77", NOWHERE, "nothing", "%25", "'", "%F0%9F%98%80", "a" * 5000])
def test_search_for_what_is_not_there_finds_nothing(admin_client, sought):
    written("accepted", request_id="r-77")
    assert listed(admin_client.get(f"{CALLS}?q={sought}")) == []


def test_a_request_id_that_looks_like_an_audit_id_is_found(admin_client):
    call = written("accepted", request_id=str(uuid4()))
    assert listed(admin_client.get(f"{CALLS}?q={call.request_id}")) == [call.id]


# what nobody types by mistake


@pytest.mark.parametrize(
    "query",
    [
        "p=garbage",
        "p=-1",
        "p=0",
        "p=99999999999999999999",
        f"p={NOWHERE}",
        "p=%00",
        "result=nope",
        "result=",
        "result=accepted&result=failed",
        "operation=nope",
        "channel=%00",
        "time=yesterday",
        "time=",
        "source=%00",
        "actor=%ED%A0%80",
        "nonsense=1",
        "id__gt=1",
        "actor__icontains=a",
        "outcomes__result=accepted",
        "o=1.-2.99",
        "all=",
        "e=1",
        "_facets=True",
        "_popup=1",
        "_to_field=actor",
        "q=&p=&result=&operation=",
    ],
)
def test_no_parameter_breaks_a_list(admin_client, query):
    written("accepted")
    for path in (CALLS, ACTIONS, KEYS, CLIENTS):
        assert admin_client.get(f"{path}?{query}", follow=True).status_code in (200, 400), path


@pytest.mark.parametrize("query", ["result=nope", "time=yesterday", "p=garbage", "nonsense=1", "actor__icontains=zzz"])
def test_a_parameter_that_means_nothing_narrows_nothing(admin_client, query):
    call = written("accepted")
    assert listed(admin_client.get(f"{CALLS}?{query}")) == [call.id]


@pytest.mark.parametrize("identity", [NOWHERE, "1", "nonsense", "%00", "0" * 40])
def test_a_call_that_is_not_there_is_a_404(admin_client, identity):
    assert admin_client.get(f"{CALLS}{identity}/change/").status_code == 404


# pages


def follow_older(client, path: str) -> list:
    seen, pages = [], 0
    while path:
        answer = client.get(path)
        seen.append(listed(answer))
        older = answer.context["cl"].older
        assert (older is not None) == ('rel="next"' in answer.content.decode())
        path = path.partition("?")[0] + older if older else ""
        pages += 1
        assert pages < 10
    return seen


def test_older_leads_through_all_calls_while_more_come_in(admin_client):
    calls = [written("accepted", "rejected", ago=MINUTES).id for _ in range(120)]
    pages = follow_older(admin_client, CALLS)
    assert [len(page) for page in pages] == [50, 50, 20]
    assert list(chain(*pages)) == sorted(calls, reverse=True)


def test_older_keeps_the_filters(admin_client):
    wanted = [written("rejected", actor="ann").id for _ in range(60)]
    for _ in range(60):
        written("accepted", actor="ann")
        written("rejected")
    pages = follow_older(admin_client, f"{CALLS}?actor=ann&result=rejected")
    assert list(chain(*pages)) == sorted(wanted, reverse=True)


def test_from_an_older_page_a_link_leads_to_the_newest(admin_client):
    calls = [written("accepted").id for _ in range(60)]
    answer = admin_client.get(f"{CALLS}?actor=tester&p={calls[30]}")
    assert listed(answer) == calls[29::-1]
    assert listed(admin_client.get(CALLS + answer.context["cl"].newest)) == calls[:9:-1]
    assert admin_client.get(CALLS).context["cl"].newest is None


def test_actions_page_the_same_way(admin_client):
    actions = [an_action().pk for _ in range(60)]
    assert list(chain(*follow_older(admin_client, ACTIONS))) == sorted(actions, reverse=True)


# one call


def test_the_page_of_a_call_shows_everything_recorded(admin_client):
    headers = {"User-Agent": "curl/8", "Prefer": "[masked]"}
    call = new_call(
        headers=json.dumps(headers), operation="retl", actor="ann", client="c-77", key_prefix="rgw_AbCd1234", address="192.0.2.7", request_id="r-77",
        idempotency_key="ik-1", source="src-1", destination="dst-1", job_run_id="jr-1", events=1234, bytes=98765, sha256="ab" * 32, resend_of=uuid4(),
    )  # fmt: skip
    log.intend(call)
    fault = {"pointer": "/batch/3/userId", "reason": "missing_user", "detail": "The event has no user.", "cure": "Give it one."}
    new_outcome("unknown", call=call, number=1, reason="no_answer_in_time", attempts=2, upstream_ms=15001).save()
    new_outcome(
        "rejected", call=call, number=2, status=400, upstream_status=400, duration_ms=43, answer="not good: [masked]", answer_type="text/plain",
        answer_sha256="cd" * 32, reason="rejected_by_upstream", faults=json.dumps([fault]),
    ).save()  # fmt: skip
    html = admin_client.get(f"{CALLS}{call.id}/change/").content.decode()
    for text in (
        "Rejected",
        "Retl",
        "ann",
        "c-77",
        "rgw_AbCd1234",
        "192.0.2.7",
        "r-77",
        "ik-1",
        "src-1",
        "dst-1",
        "jr-1",
        "98765",
        "ab" * 32,
        "curl/8",
    ):
        assert text in html.replace("98,765", "98765"), text
    for text in (str(call.id), str(call.resend_of), "Outcome 1", "Outcome 2", "no_answer_in_time", "15001", "not good: [masked]", "cd" * 32):
        assert text in html.replace("15,001", "15001"), text
    for text in fault.values():
        assert text in html or text == "missing_user", text
    assert "RudderStack answered 400 after 43 ms" in html


@pytest.mark.parametrize("result", [*Result.values, None])
def test_every_result_has_its_page(admin_client, result):
    call = written(*[result] if result else [], events=None)
    answer = admin_client.get(f"{CALLS}{call.id}/change/")
    assert answer.status_code == 200
    assert f'data-state="{result or "in_flight"}"' in answer.content.decode()


def test_a_call_that_made_a_job_names_it(admin_client):
    job = new_id()
    call = written("job", job=job)
    assert f"A job was made of it, {job}" in admin_client.get(f"{CALLS}{call.id}/change/").content.decode()


def test_an_overdue_call_says_that_nothing_was_recorded_in_time(admin_client):
    call = written(ago=MINUTES)
    html = admin_client.get(f"{CALLS}{call.id}/change/").content.decode()
    assert 'data-state="unknown"' in html
    assert "no outcome was recorded in time" in html


def test_html_in_texts_is_escaped(admin_client):
    evil = "<script>alert(1)</script><b onclick='x'>"
    texts = dict.fromkeys(("actor", "source", "destination", "request_id", "idempotency_key", "job_run_id"), evil)
    call = new_call(**texts, headers=json.dumps({"User-Agent": evil}))
    fault = dict.fromkeys(("pointer", "reason", "detail", "cure"), evil)
    log.record(call, new_outcome("rejected", answer=evil, answer_type=evil, faults=json.dumps([fault])))
    log.act(Action(at=timezone.now(), actor=evil, channel=Channel.CLI, verb=Verb.KEY_MADE, subject=evil, reason=evil))
    for path in (CALLS, f"{CALLS}?q={evil}", f"{CALLS}?actor={evil}", f"{CALLS}{call.id}/change/", ACTIONS):
        html = admin_client.get(path).content.decode()
        assert "alert(1)" in html, path
        assert "<script>alert" not in html, path
        assert "<b onclick" not in html, path


def test_a_template_in_texts_is_not_run(admin_client):
    call = written("accepted", actor="{{ 7|add:35 }}{% now 'Y' %}")
    for path in (CALLS, f"{CALLS}{call.id}/change/"):
        assert "{{ 7|add:35 }}" in admin_client.get(path).content.decode().replace("&#x27;", "'")


@pytest.mark.parametrize(
    "body",
    [b'{"batch":[{"userId":"u","\xff":{"n":1e400}}]}', b'{"batch":[{"userId":"u","%s":{"n":1e400}}]}' % (b"k" * 200_000)],
    ids=["a key that is no UTF-8", "a key of 200,000 letters"],
)
def test_a_fault_at_a_strange_key_breaks_no_page(admin_client, rest, body):
    answer = rest.send("replay", body)
    assert answer.status_code == 400
    [call] = Call.objects.all()
    for path in (CALLS, f"{CALLS}{call.id}/change/"):
        assert admin_client.get(path).status_code == 200, path
    assert rest.get(f"/v1/calls/{call.id}").status_code == 200


# nobody writes


def test_nobody_adds_changes_or_deletes_by_any_url(admin_client):
    call, action = written("accepted"), an_action()
    before = [list(model.objects.values()) for model in (Call, Outcome, Action)]
    data = {"actor": "eve", "reason": "eve", "post": "yes", "_save": "Save"}
    for path in (f"{CALLS}{call.id}/", f"{ACTIONS}{action.pk}/"):
        for part in ("change/", "delete/"):
            admin_client.post(path + part, data)
        assert admin_client.get(f"{path}delete/").status_code == 403
    for path in (CALLS, ACTIONS):
        assert admin_client.get(f"{path}add/").status_code == 403
        assert admin_client.post(f"{path}add/", data).status_code == 403
        for choice in ("delete_selected", "nonsense"):
            admin_client.post(path, {"action": choice, "_selected_action": [call.pk, action.pk], "index": 0, "select_across": 1, "post": "yes"})
        admin_client.post(path, {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": call.pk, "form-0-actor": "eve", "_save": "Save"})
    for path in ("/admin/audit/outcome/", "/admin/audit/outcome/add/"):
        assert admin_client.get(path).status_code == 404
    assert [list(model.objects.values()) for model in (Call, Outcome, Action)] == before


def test_no_page_offers_to_write(admin_client):
    call = written("accepted")
    for path in (CALLS, ACTIONS, f"{CALLS}{call.id}/change/"):
        html = admin_client.get(path).content.decode()
        for word in ("delete_selected", "/add/", 'name="_save"', "/delete/"):
            assert word not in html.replace("/admin/access/apikey/add/", ""), (path, word)


# cost


@pytest.mark.parametrize(
    "query", ["", "?result=accepted", "?result=unknown", "?result=in_flight", "?time=all&actor=tester", "?q=r-1", f"?q={NOWHERE}"]
)
def test_a_list_costs_few_queries_and_neither_counts_nor_skips(admin_client, query):
    for _ in range(60):
        written("accepted")
        an_action()
    for path in (CALLS, ACTIONS):
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(path + query).status_code == 200
        assert len(captured) <= 8
        on_the_log = " ".join(entry["sql"].upper() for entry in captured if '"audit_' in entry["sql"])
        assert "SELECT" in on_the_log
        for word in ("COUNT(", "OFFSET", "DISTINCT", "LIKE"):
            assert word not in on_the_log, (path, word)


def test_the_page_of_a_call_costs_few_queries(admin_client):
    call = written("unknown", "accepted")
    with CaptureQueriesContext(connection) as captured:
        admin_client.get(f"{CALLS}{call.id}/change/")
    assert len(captured) <= 8


def test_the_first_page_costs_few_queries(admin_client):
    with CaptureQueriesContext(connection) as captured:
        admin_client.get("/admin/")
    assert len(captured) <= 8
