"""API keys: made, checked, remembered for a moment, revoked."""

import json
import re
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from threading import Event

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from gateway.access import keys
from gateway.access.models import ApiKey, Client
from gateway.audit import log
from gateway.audit.log import LogUnavailableError
from gateway.audit.models import Action, Channel
from tests.audit.rows import everything_stored, new_call
from tests.conftest import Rest


def disable(name: str) -> None:
    client = Client.objects.get(name=name)
    client.disabled = True
    client.save()


@pytest.fixture
def clock(monkeypatch):
    """The clock of the memory for keys, to be put forward."""

    class Clock:
        now = 1000.0

        def __call__(self) -> float:
            return self.now

    monkeypatch.setattr(keys, "monotonic", made := Clock())
    return made


# making


def test_a_key_is_long_random_text_with_a_known_beginning(make_key):
    made = {make_key(f"client {number}") for number in range(20)}
    assert all(re.fullmatch(r"rgw_[A-Za-z0-9]{48}", key) for key in made)
    assert len({key[4:8] for key in made}) > 10


def test_only_prefix_and_digest_are_stored_anywhere(make_key):
    key = make_key()
    row = ApiKey.objects.get()
    assert (row.prefix, row.sha256) == (key[:12], sha256(key.encode()).hexdigest())
    stored = everything_stored()
    assert row.prefix in stored
    assert key not in stored
    assert key[12:24] not in stored
    assert key[-12:] not in stored


def test_a_name_that_exists_gets_one_more_key(make_key):
    first, second = make_key("ann", sources="src-1"), make_key("ann", sources="rep-1")
    assert Client.objects.count() == 1
    assert keys.verify(first).client_id == keys.verify(second).client_id
    assert [keys.verify(key).sources for key in (first, second)] == [{"src-1"}, {"rep-1"}]


def test_a_key_carries_its_rights(make_key):
    principal = keys.verify(make_key("ann", operations=" retl, replay ", sources="src-1,,rep-1", scopes="audit"))
    assert principal.name == "ann"
    assert principal.client_id == str(Client.objects.get().id)
    assert principal.operations == {"retl", "replay"}
    assert principal.sources == {"src-1", "rep-1"}
    assert principal.scopes == {"audit"}


@pytest.mark.parametrize(
    ("name", "rights"),
    [
        ("", {}),
        ("a" * 101, {}),
        ("nul\0", {}),
        ("ann", {"operations": "replay,everything"}),
        ("ann", {"operations": "REPLAY"}),
        ("ann", {"operations": ""}),
        ("ann", {"operations": " , "}),
        ("ann", {"operations": "replay," * 40}),
        ("ann", {"sources": ""}),
        ("ann", {"sources": ","}),
        ("ann", {"scopes": "admin"}),
        ("ann", {"scopes": "audit,Reveal"}),
    ],
)
def test_bad_rights_are_refused_and_leave_nothing(make_key, name, rights):
    with pytest.raises(ValidationError):
        make_key(name, **rights)
    assert not Client.objects.exists()
    assert not ApiKey.objects.exists()
    assert not Action.objects.exists()


def test_a_key_that_cannot_be_logged_is_not_made(make_key, transactional_db):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_action RENAME TO gone")
    try:
        with pytest.raises(LogUnavailableError):
            make_key()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE gone RENAME TO audit_action")
    assert not ApiKey.objects.exists()
    assert not Client.objects.exists()


def test_a_key_row_is_never_deleted(make_key):
    make_key()
    with pytest.raises(TypeError, match="revoked, not deleted"):
        ApiKey.objects.get().delete()


# checking


def test_the_right_key_is_known_and_no_other(make_key):
    key = make_key()
    assert keys.verify(key).key_prefix == key[:12]
    for wrong in (key[:-1], key + "a", key[:-1] + chr(ord(key[-1]) ^ 1), key.swapcase(), key[:12], f" {key}", key[:12] + "a" * 40, f"{key}\0"):
        assert keys.verify(wrong) is None, wrong


@pytest.mark.parametrize(
    "key",
    [
        "",
        "rgw_",
        "a",
        "rgw_" + "a" * 48,
        "a" * 1_000_000,
        "ключ" * 20,
        "é" * 52,
        "rgw_\0\0\0\0\0\0\0\0",
        "\udcff" * 52,
        "'; DROP TABLE x --",
        "\U0001f600" * 12,
    ],
)
def test_a_key_of_nobody_is_nobody(db, key):
    assert keys.verify(key) is None


def test_a_digest_is_no_key(make_key):
    key = make_key()
    assert keys.verify(sha256(key.encode()).hexdigest()) is None
    assert keys.verify(key[:12] + ApiKey.objects.get().sha256) is None


def test_a_wrong_key_does_not_become_right_by_being_remembered(make_key):
    key = make_key()
    assert keys.verify(key[:-4] + "0000") is None
    assert keys.verify(key) is not None
    assert keys.verify(key[:-4] + "0000") is None


def test_a_database_that_is_away_is_no_unknown_key(make_key):
    key = make_key()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE access_apikey RENAME TO gone")
    with pytest.raises(LogUnavailableError):
        keys.verify(key)


# revoking


def test_a_revoked_key_is_refused_at_once_where_it_was_revoked(make_key):
    key, other = make_key("ann"), make_key("ann")
    assert keys.verify(key)
    assert keys.revoke(key[:12], actor="tests", channel=Channel.CLI) is True
    assert keys.verify(key) is None
    assert keys.verify(other)


def test_a_key_revoked_by_another_process_is_refused_within_the_time_it_is_remembered(make_key, clock):
    key = make_key()
    assert keys.verify(key)
    ApiKey.objects.update(revoked_at="2026-01-01T00:00Z")
    clock.now += keys.REMEMBERED_SECONDS + 0.01
    assert keys.verify(key) is None


def test_the_time_it_is_remembered_is_not_renewed_by_using_the_key(make_key, clock):
    key = make_key()
    assert keys.verify(key)
    ApiKey.objects.update(revoked_at="2026-01-01T00:00Z")
    for _ in range(10):
        clock.now += keys.REMEMBERED_SECONDS / 9.9
        last = keys.verify(key)
    assert last is None
    assert keys.REMEMBERED_SECONDS <= 5


def test_a_disabled_client_is_refused_at_once_when_keys_are_forgotten_and_soon_elsewhere(make_key, clock):
    key = make_key("ann")
    assert keys.verify(key)
    disable("ann")
    clock.now += keys.REMEMBERED_SECONDS + 0.01
    assert keys.verify(key) is None
    Client.objects.update(disabled=False)
    keys.forget()
    assert keys.verify(key)
    disable("ann")
    keys.forget()
    assert keys.verify(key) is None


def test_a_key_is_revoked_once(make_key):
    prefix = make_key()[:12]
    assert keys.revoke(prefix, actor="tests", channel=Channel.CLI) is True
    assert keys.revoke(prefix, actor="tests", channel=Channel.CLI) is False
    assert keys.revoke("rgw_nothing1", actor="tests", channel=Channel.CLI) is False
    assert Action.objects.filter(verb="key_revoked").count() == 1


def test_making_and_revoking_keys_does_not_stop_calls_from_being_written(transactional_db):
    done = Event()

    def write_calls() -> None:
        try:
            while not done.is_set():
                log.intend(new_call())
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        writing = [threads.submit(write_calls) for _ in range(4)]
        try:
            for _ in range(20):
                made = keys.create("ann", actor="tests", channel=Channel.CLI)
                keys.revoke(made[:12], actor="tests", channel=Channel.CLI)
        finally:
            done.set()
    assert [thread.exception() for thread in writing] == [None] * 4
    assert Action.objects.count() == 40


# what the log has of it


def test_making_and_revoking_are_actions(make_key):
    key = make_key("ann", operations="retl", sources="src-1", scopes="audit")
    keys.revoke(key[:12], actor="eve", channel=Channel.ADMIN)
    made, revoked = Action.objects.order_by("id")
    assert (made.verb, made.subject, made.actor, made.channel) == ("key_made", key[:12], "tests", "cli")
    assert json.loads(made.detail) == [{"client": "ann", "operations": "retl", "sources": "src-1", "scopes": "audit"}]
    assert (revoked.verb, revoked.subject, revoked.actor, revoked.channel) == ("key_revoked", key[:12], "eve", "admin")


# cost


def test_a_remembered_key_needs_no_query(make_key, django_assert_num_queries):
    key = make_key()
    with django_assert_num_queries(1):
        keys.verify(key)
    with django_assert_num_queries(0):
        keys.verify(key)
        keys.verify(key[:-1])


@pytest.mark.parametrize("key", ["", "rgw_short", "ключ" * 20, "rgw_\0" + "a" * 47])
def test_what_can_be_no_key_needs_no_query(db, key, django_assert_num_queries):
    with django_assert_num_queries(0):
        keys.verify(key)


def test_the_local_actor_has_a_name():
    assert keys.local_actor()


# through the door


def test_a_key_works_as_bearer_token_and_as_user_of_basic(make_key):
    key = make_key()
    for value in (
        f"Bearer {key}",
        f"bearer {key}",
        f"Basic {b64encode(f'{key}:'.encode()).decode()}",
        f"basic {b64encode(f'{key}:any'.encode()).decode()}",
    ):
        assert Rest(None).get("/v1/calls", {"Authorization": value}).status_code == 200, value
    for value in (key, f"Token {key}", "Bearer", "Basic", "Basic ???", f"Basic {b64encode(f':{key}'.encode()).decode()}"):
        answer = Rest(None).get("/v1/calls", {"Authorization": value})
        assert answer.status_code == 401, value
        assert answer["WWW-Authenticate"]
