"""/healthz and /readyz."""

import pytest
from django.db import connection

from gateway.audit.models import Call


@pytest.mark.django_db
def test_alive_needs_no_key(client):
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_ready_says_so_and_leaves_no_row(client, db, sandbox):
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "log": "ok", "upstream": "ok"})
    assert Call.objects.count() == 0


def test_upstream_down_is_degraded(client, db, sandbox, settings):
    settings.RUDDERSTACK_BASE_URL = "http://127.0.0.1:9"
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"], answer.json()["upstream"]) == (200, "degraded", "unreachable")


def test_a_log_that_takes_no_row_is_unavailable(client, db, sandbox):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_call RENAME TO away")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["log"]) == (503, "unavailable")
