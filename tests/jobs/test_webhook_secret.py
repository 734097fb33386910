"""manage.py webhook_secret: the secret alone is the last line; what is missing is said in one."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from gateway.access.models import Client
from gateway.webhooks.signing import secrets_of

pytestmark = pytest.mark.django_db


def run(*arguments):
    out = StringIO()
    call_command("webhook_secret", *arguments, stdout=out)
    return out.getvalue()


def test_the_secret_alone_is_the_last_line(make_key, inside):
    make_key("ann")
    *_, last, end = run("ann").split("\n")
    assert ([last], end) == (secrets_of(str(Client.objects.get().id)), "")


def test_jobs_of_the_command_line_have_one_too(inside):
    assert run().split("\n")[-2:] == [*secrets_of(""), ""]


def test_while_secrets_are_exchanged_it_is_the_new_one(inside, settings):
    before = run().split()[-1]
    settings.GATEWAY_WEBHOOK_SECRET = ["a-new-secret-of-the-tests-0123456789", *settings.GATEWAY_WEBHOOK_SECRET]
    assert run().split()[-1] == secrets_of("")[0] != before


def test_an_unknown_client_is_told(inside):
    with pytest.raises(CommandError, match="no client of this name"):
        run("nobody")


def test_a_missing_setting_is_named(make_key, settings):
    make_key("ann")
    settings.GATEWAY_WEBHOOK_SECRET = []
    with pytest.raises(CommandError, match="GATEWAY_WEBHOOK_SECRET is not set"):
        run("ann")


def test_a_database_without_tables_is_said_in_one_line(inside):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE access_client RENAME TO gone")
    with pytest.raises(CommandError, match="is it running and migrated"):
        run("ann")
