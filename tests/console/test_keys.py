"""Keys and clients in the admin."""

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client as Browser

from gateway.access import keys
from gateway.access.models import ApiKey, Client
from gateway.audit import log
from gateway.audit.models import Action
from tests.audit.rows import everything_stored, new_call
from tests.console.pages import ACTIONS, CALLS, CLIENTS, KEYS, cells

pytestmark = pytest.mark.django_db
ALL_RIGHTS = {"client": "ann", "operations": "all", "sources": "all", "scopes": ""}


def shown_key(answer) -> str | None:
    found = re.search(r'id="made-key"[^>]*>([^<]+)<', answer.content.decode())
    return found[1] if found else None


def a_user(django_user_model, *permissions: str):
    user = django_user_model.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


# making


def test_a_key_is_made_and_shown_on_the_page_that_answers(admin_client):
    answer = admin_client.post(f"{KEYS}add/", {**ALL_RIGHTS, "operations": "retl,replay", "sources": "src-1", "scopes": "audit"})
    principal = keys.verify(shown_key(answer))
    assert (principal.name, principal.operations, principal.sources, principal.scopes) == ("ann", {"retl", "replay"}, {"src-1"}, {"audit"})
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    action = Action.objects.get()
    assert (action.verb, action.subject, action.actor, action.channel) == ("key_made", principal.key_prefix, "admin", "admin")


def test_a_key_is_shown_once_and_kept_nowhere(admin_client):
    key = shown_key(admin_client.post(f"{KEYS}add/", ALL_RIGHTS))
    row = ApiKey.objects.get()
    pages = [
        f"{KEYS}add/",
        KEYS,
        f"{KEYS}{row.pk}/change/",
        f"{KEYS}{row.pk}/history/",
        CLIENTS,
        f"{CLIENTS}{row.client_id}/change/",
        ACTIONS,
        CALLS,
        "/admin/",
    ]
    for path in pages:
        html = admin_client.get(path).content.decode()
        assert key not in html, path
        assert key[12:] not in html, path
        assert row.sha256 not in html, path
    assert all(key not in str(session.get_decoded()) for session in Session.objects.all())
    assert key not in everything_stored()
    assert key not in str(admin_client.cookies)


def test_the_page_with_the_key_does_not_show_its_digest(admin_client):
    answer = admin_client.post(f"{KEYS}add/", ALL_RIGHTS)
    assert ApiKey.objects.get().sha256 not in answer.content.decode()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"client": ""}, "This field is required"),
        ({"client": "a" * 101}, "at most 100 characters"),
        ({"client": "a\0b"}, "Null characters are not allowed"),
        ({"operations": "everything"}, "Operations are audiencelist"),
        ({"operations": ""}, "This field is required"),
        ({"operations": ","}, "Operations are audiencelist"),
        ({"sources": ""}, "This field is required"),
        ({"sources": ","}, "Name at least one source id, or all."),
        ({"sources": "src\0"}, "Null characters are not allowed"),
        ({"scopes": "admin"}, "Scopes are audit, reveal"),
    ],
)
def test_wrong_rights_are_told_and_make_nothing(admin_client, wrong, says):
    answer = admin_client.post(f"{KEYS}add/", {**ALL_RIGHTS, **wrong})
    assert says in answer.content.decode()
    assert shown_key(answer) is None
    assert not Client.objects.exists()
    assert not Action.objects.exists()


def test_what_was_typed_stays_after_a_mistake(admin_client):
    html = admin_client.post(f"{KEYS}add/", {**ALL_RIGHTS, "sources": "src-77", "scopes": "admin"}).content.decode()
    assert 'value="src-77"' in html
    assert 'value="admin"' in html


def test_html_in_a_name_is_escaped(admin_client):
    admin_client.post(f"{KEYS}add/", {**ALL_RIGHTS, "client": "<script>alert(1)</script>"})
    for path in (KEYS, CLIENTS, ACTIONS):
        html = admin_client.get(path).content.decode()
        assert "<script>alert" not in html, path
    assert "&lt;script&gt;alert" in admin_client.get(KEYS).content.decode()


def test_a_link_or_a_foreign_page_makes_no_key(admin_client, django_user_model):
    admin_client.get(f"{KEYS}add/?client=ann&operations=all&sources=all")
    strict = Browser(enforce_csrf_checks=True)
    strict.force_login(django_user_model.objects.get())
    assert strict.post(f"{KEYS}add/", ALL_RIGHTS).status_code == 403
    assert not ApiKey.objects.exists()


# revoking


def test_marked_keys_are_revoked(admin_client, make_key):
    first, second, kept = make_key("ann"), make_key("ann"), make_key("bob")
    chosen = ApiKey.objects.filter(client__name="ann").values_list("pk", flat=True)
    answer = admin_client.post(KEYS, {"action": "revoke", "_selected_action": list(chosen)}, follow=True)
    assert "Revoked 2." in answer.content.decode()
    assert [keys.verify(key) is None for key in (first, second, kept)] == [True, True, False]
    assert set(Action.objects.filter(verb="key_revoked").values_list("subject", "actor", "channel")) == {
        (k[:12], "admin", "admin") for k in (first, second)
    }


def test_a_revoked_key_is_not_revoked_again(admin_client, make_key):
    make_key()
    for expected in ("Revoked 1.", "Revoked 0."):
        answer = admin_client.post(KEYS, {"action": "revoke", "_selected_action": [ApiKey.objects.get().pk]}, follow=True)
        assert expected in answer.content.decode()
    assert Action.objects.filter(verb="key_revoked").count() == 1


def test_the_list_shows_the_state_of_each_key(admin_client, make_key):
    make_key("in force")
    keys.revoke(make_key("gone")[:12], actor="tests", channel="cli")
    make_key("stopped")
    Client.objects.filter(name="stopped").update(disabled=True)
    states = {next(name for name in ("in force", "gone", "stopped") if name in row): row for row in cells(admin_client.get(KEYS))}
    assert "In force" in states["in force"]
    assert "Revoked" in states["gone"]
    assert "Client disabled" in states["stopped"]


def test_a_key_is_neither_changed_nor_deleted(admin_client, make_key):
    key = make_key("ann", sources="src-1")
    row = ApiKey.objects.get()
    before = ApiKey.objects.values().get()
    admin_client.post(f"{KEYS}{row.pk}/change/", {"sources": "all", "scopes": "audit", "_save": "Save"})
    admin_client.post(f"{KEYS}{row.pk}/delete/", {"post": "yes"})
    admin_client.post(KEYS, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    admin_client.post(f"{CLIENTS}{row.client_id}/delete/", {"post": "yes"})
    admin_client.post(CLIENTS, {"action": "delete_selected", "_selected_action": [row.client_id], "post": "yes"})
    assert ApiKey.objects.values().get() == before
    assert keys.verify(key).sources == {"src-1"}


def test_who_may_only_look_neither_makes_nor_revokes(client, make_key, django_user_model):
    key = make_key()
    client.force_login(a_user(django_user_model, "view_apikey"))
    assert client.get(KEYS).status_code == 200
    client.post(KEYS, {"action": "revoke", "_selected_action": [ApiKey.objects.get().pk]})
    assert client.post(f"{KEYS}add/", ALL_RIGHTS).status_code == 403
    assert keys.verify(key)
    assert ApiKey.objects.count() == 1


# clients


def test_a_disabled_client_stops_its_keys_and_that_is_an_action(admin_client, make_key):
    key = make_key("ann")
    assert keys.verify(key)
    path = f"{CLIENTS}{Client.objects.get().pk}/change/"
    admin_client.post(path, {"disabled": "on"})
    assert keys.verify(key) is None
    admin_client.post(path, {})
    assert keys.verify(key)
    done = Action.objects.exclude(verb="key_made").order_by("id").values_list("verb", "subject", "actor", "channel")
    assert list(done) == [("client_disabled", "ann", "admin", "admin"), ("client_enabled", "ann", "admin", "admin")]


def test_saving_a_client_as_it_is_is_no_action(admin_client, make_key):
    make_key("ann")
    admin_client.post(f"{CLIENTS}{Client.objects.get().pk}/change/", {})
    assert Action.objects.exclude(verb="key_made").count() == 0


def test_a_client_keeps_its_name_and_is_made_only_with_a_key(admin_client, make_key):
    make_key("ann")
    admin_client.post(f"{CLIENTS}{Client.objects.get().pk}/change/", {"name": "eve", "disabled": "on"})
    assert admin_client.post(f"{CLIENTS}add/", {"name": "eve"}).status_code == 403
    assert list(Client.objects.values_list("name", flat=True)) == ["ann"]


def test_the_lists_of_keys_and_clients_cost_few_queries(admin_client, make_key, django_assert_max_num_queries):
    for number in range(30):
        make_key(f"client {number}")
    for path in (KEYS, CLIENTS):
        with django_assert_max_num_queries(8):
            admin_client.get(path)


# beside others


@pytest.mark.django_db(transaction=True)
def test_changing_a_client_does_not_stop_calls_from_being_written(admin_client, make_key):
    make_key("ann")
    path, done = f"{CLIENTS}{Client.objects.get().pk}/change/", Event()

    def write_calls() -> None:
        try:
            while not done.is_set():
                log.intend(new_call())
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        writing = [threads.submit(write_calls) for _ in range(4)]
        try:
            for number in range(20):
                assert admin_client.post(path, {"disabled": "on"} if number % 2 else {}).status_code == 302
        finally:
            done.set()
    assert [thread.exception() for thread in writing] == [None] * 4


# a log that takes nothing


def test_without_the_log_no_key_is_made_or_revoked_and_no_client_disabled(admin_client, make_key, transactional_db):
    key = make_key("ann")
    admin_client.raise_request_exception = False
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_action RENAME TO gone")
    try:
        made = admin_client.post(f"{KEYS}add/", {**ALL_RIGHTS, "client": "eve"})
        admin_client.post(KEYS, {"action": "revoke", "_selected_action": [ApiKey.objects.get().pk]})
        admin_client.post(f"{CLIENTS}{Client.objects.get().pk}/change/", {"disabled": "on"})
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE gone RENAME TO audit_action")
    assert shown_key(made) is None
    keys.forget()
    assert keys.verify(key)
    assert list(Client.objects.values_list("name", "disabled")) == [("ann", False)]


def test_a_page_that_is_loaded_again_makes_no_second_key(admin_client):
    form = admin_client.get("/admin/access/apikey/add/").content.decode()
    once = re.search(r'name="once" value="([0-9a-f-]{36})"', form)[1]
    given = {"client": "ann", "operations": "all", "sources": "all", "scopes": "", "once": once}
    first, again = (admin_client.post("/admin/access/apikey/add/", given).content.decode() for _ in range(2))
    assert "made-key" in first
    assert "made-key" not in again
    assert "already" in again
    assert ApiKey.objects.count() == 1
