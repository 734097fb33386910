"""create_api_key and revoke_api_key."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from gateway.access import keys
from gateway.access.models import ApiKey, Client
from gateway.audit.models import Action

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def fails(*arguments: str) -> str:
    """The one line that the command fails with."""
    with pytest.raises(CommandError) as raised:
        run(*arguments)
    line = str(raised.value)
    assert line.strip()
    assert "\n" not in line
    return line


def test_the_key_alone_is_the_last_line():
    *_, last, end = run("create_api_key", "ann").split("\n")
    assert end == ""
    assert keys.verify(last).name == "ann"


def test_rights_are_as_told():
    key = run("create_api_key", "ann", "--operations", "retl,replay", "--sources", "src-1", "--scopes", "audit").split()[-1]
    principal = keys.verify(key)
    assert (principal.operations, principal.sources, principal.scopes) == ({"retl", "replay"}, {"src-1"}, {"audit"})


def test_without_rights_everything_is_open_but_the_calls_of_others():
    principal = keys.verify(run("create_api_key", "ann").split()[-1])
    assert (principal.operations, principal.sources, principal.scopes) == ({"all"}, {"all"}, set())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ann", "--operations", "everything"], "audiencelist, internalbatch, extract, replay, retl or all"),
        (["ann", "--operations", ""], "operations"),
        (["ann", "--sources", ""], "source"),
        (["ann", "--scopes", "admin"], "audit, reveal"),
        (["a" * 101], "100 characters"),
    ],
)
def test_wrong_rights_fail_with_a_line_that_says_so_and_make_nothing(arguments, says):
    assert says.lower() in fails("create_api_key", *arguments).lower()
    assert not Client.objects.exists()
    assert not ApiKey.objects.exists()
    assert not Action.objects.exists()


@pytest.mark.parametrize("name", ["", "a" * 101, "\udcff"])
def test_a_wrong_name_fails_with_a_line_that_speaks_of_the_name(name):
    assert "name" in fails("create_api_key", name).lower()
    assert not Client.objects.exists()


def test_the_line_does_not_repeat_itself_for_two_faults():
    line = fails("create_api_key", "ann", "--operations", "x", "--scopes", "y")
    assert line.count("Operations") == line.count("Scopes") == 1


def test_a_name_of_100_characters_is_taken():
    assert keys.verify(run("create_api_key", "a" * 100).split()[-1])


@pytest.mark.parametrize("length", [12, None], ids=["prefix", "whole key"])
def test_a_key_is_revoked_by_its_prefix_or_itself(make_key, length):
    key = make_key()
    assert keys.verify(key)
    assert key not in run("revoke_api_key", key[:length])
    assert keys.verify(key) is None
    assert Action.objects.get(verb="key_revoked").actor == keys.local_actor()


@pytest.mark.parametrize("prefix", ["", "rgw_", "rgw_12345678", "ключ", "'", "%", "\udcff"])
def test_an_unknown_prefix_fails_with_a_line(make_key, prefix):
    key = make_key()
    assert "no key" in fails("revoke_api_key", prefix)
    assert keys.verify(key)


def test_a_key_that_is_revoked_cannot_be_again(make_key):
    prefix = make_key()[:12]
    run("revoke_api_key", prefix)
    assert "no key in force" in fails("revoke_api_key", prefix)


@pytest.mark.parametrize("arguments", [["create_api_key", "ann"], ["revoke_api_key", "rgw_12345678"]])
def test_a_database_without_tables_is_said_in_one_line(arguments):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE access_apikey RENAME TO gone")
    assert "is it running and migrated?" in fails(*arguments)
