"""What goes wrong is told as JSON, and no exception's text reaches a caller or the log."""

import json
import logging

import pytest
from django.db import connection

from gateway.api import operation as operation_module
from tests.conftest import GOOD


def test_a_log_that_takes_no_row_is_503_and_nothing_is_sent(rest, sandbox):
    rest.send("replay", GOOD["replay"])
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_outcome RENAME TO away_outcome")
        cursor.execute("ALTER TABLE audit_call RENAME TO away_call")
    answer = rest.send("replay", GOOD["replay"])
    assert (answer.status_code, answer["Content-Type"], answer["Retry-After"]) == (503, "application/problem+json", "1")
    assert (answer.json()["reason"], answer.json()["retryable"]) == ("log_unavailable", True)
    assert "audit log" in answer.json()["detail"]
    assert len(answer["X-Audit-Id"]) == 36
    assert sandbox.count()["calls"] == 1


def test_an_outcome_that_cannot_be_written_is_pending_and_the_answer_goes_out(rest, sandbox):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_outcome RENAME TO away")
    answer = rest.send("replay", GOOD["replay"])
    assert (answer.status_code, answer.json(), answer["X-Audit-State"]) == (200, {"result": "ok"}, "pending")


def test_an_unexpected_exception_is_500_without_its_text(rest, monkeypatch, caplog):
    def fail(submission):
        raise ValueError("@".join(["jane", "example.com"]))

    monkeypatch.setattr(operation_module, "submit", fail)
    with caplog.at_level(logging.INFO):
        answer = rest.send("replay", GOOD["replay"])
    assert (answer.status_code, answer.json()["reason"]) == (500, "internal")
    assert "jane@example.com" not in answer.content.decode() + caplog.text
    assert "ValueError" in caplog.text
    assert "in fail" in caplog.text


@pytest.mark.django_db
def test_a_foreign_host_is_a_json_400(client):
    answer = client.get("/healthz", headers={"Host": "evil.example"})
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert "DJANGO_ALLOWED_HOSTS" in json.loads(answer.content)["detail"]


@pytest.mark.django_db
def test_rest_answers_allow_no_page_to_do_anything(client):
    policy = client.get("/healthz")["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/healthz", "/readyz", "/v1/calls"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO"])
def test_another_method_is_a_json_405_that_names_the_right_ones(rest, path, method):
    answer = rest.request(method, path)
    assert (answer.status_code, answer["Content-Type"], answer["Allow"]) == (405, "application/problem+json", "GET, HEAD")


def test_more_parameters_than_django_reads_are_a_400(rest):
    answer = rest.get("/v1/calls?" + "&" * 1500)
    assert (answer.status_code, answer.json()["reason"]) == (400, "bad_request")
