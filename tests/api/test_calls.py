"""/v1/calls: the log, as far as it is the caller's to see."""

from datetime import timedelta
from urllib.parse import quote

import pytest
from django.utils import timezone

from gateway.audit.models import Call
from tests.conftest import GOOD, Rest

FIELDS = [
    "id",
    "at",
    "operation",
    "channel",
    "client",
    "actor",
    "key_prefix",
    "source",
    "destination",
    "job_run_id",
    "request_id",
    "events",
    "bytes",
    "sha256",
    "result",
    "status",
    "attempts",
    "duration_ms",
    "upstream_ms",
    "reason",
    "errors",
    "resend_of",
    "job",
]


@pytest.fixture
def auditor(make_key, sandbox):
    return Rest(make_key("auditor", operations="retl", scopes="audit"))


def ids(answer):
    return [row["id"] for row in answer.json()["results"]]


def test_a_call_has_the_stated_shape(rest, sandbox):
    sent = rest.send("retl", GOOD["retl"], {"X-Rudder-Destination-Id": "dst-1", "X-Rudder-Job-Run-Id": "jr", "X-Request-Id": "r-1"})
    row = rest.get(f"/v1/calls/{sent['X-Audit-Id']}").json()
    assert list(row) == FIELDS
    assert row["id"] == sent["X-Audit-Id"]
    assert (row["operation"], row["channel"], row["actor"], row["source"], row["destination"]) == ("retl", "rest", "tester", "src-1", "dst-1")
    assert (row["job_run_id"], row["request_id"], row["events"], row["result"], row["status"]) == ("jr", "r-1", 1, "accepted", 200)
    assert (row["attempts"], row["reason"], row["errors"], row["resend_of"], row["job"]) == (1, None, [], None, None)
    assert (len(row["sha256"]), row["key_prefix"]) == (64, rest.key[:12])
    assert row["upstream_ms"] <= row["duration_ms"]


def test_a_refused_call_shows_where(rest, sandbox):
    sent = rest.send("replay", {"batch": [{}]})
    row = rest.get(f"/v1/calls/{sent['X-Audit-Id']}").json()
    assert (row["result"], row["status"], row["reason"], row["errors"][0]["pointer"]) == ("refused", 400, "missing_user", "/batch/0")
    assert (row["source"], row["events"]) == ("rep-1", 1)


def test_a_client_sees_its_own_calls_and_an_auditor_all(rest, auditor, make_key, sandbox):
    other = Rest(make_key("other"))
    mine, theirs = rest.send("replay", GOOD["replay"]), other.send("replay", GOOD["replay"])
    assert ids(rest.get("/v1/calls")) == [mine["X-Audit-Id"]]
    assert ids(auditor.get("/v1/calls")) == [theirs["X-Audit-Id"], mine["X-Audit-Id"]]
    assert rest.get(f"/v1/calls/{theirs['X-Audit-Id']}").status_code == 404
    assert auditor.get(f"/v1/calls/{theirs['X-Audit-Id']}").status_code == 200
    client = str(Call.objects.get(id=theirs["X-Audit-Id"]).client)
    assert ids(rest.get(f"/v1/calls?client={client}")) == []
    assert ids(auditor.get(f"/v1/calls?client={client}")) == [theirs["X-Audit-Id"]]


def test_filters_narrow_and_can_be_combined(rest, sandbox):
    sent = {
        "replay": rest.send("replay", GOOD["replay"], {"X-Request-Id": "r-1"})["X-Audit-Id"],
        "extract": rest.send("extract", GOOD["extract"])["X-Audit-Id"],
        "refused": rest.send("replay", b"{")["X-Audit-Id"],
    }
    for query, expected in (
        ("operation=extract", ["extract"]),
        ("source=rep-1", ["refused", "replay"]),
        ("result=refused", ["refused"]),
        ("result=accepted", ["extract", "replay"]),
        ("result=accepted&operation=replay", ["replay"]),
        ("request_id=r-1", ["replay"]),
        ("channel=rest&actor=tester", ["refused", "extract", "replay"]),
        ("actor=nobody", []),
        ("result=in_flight", []),
        (f"since={quote((timezone.now() + timedelta(minutes=1)).isoformat())}", []),
        (f"until={quote((timezone.now() - timedelta(minutes=1)).isoformat())}", []),
    ):
        assert ids(rest.get(f"/v1/calls?{query}")) == [sent[name] for name in expected], query


def test_pages_follow_each_other_without_gap_or_double(rest, sandbox):
    sent = [rest.send("replay", GOOD["replay"])["X-Audit-Id"] for _ in range(5)]
    seen, url = [], "/v1/calls?limit=2&operation=replay"
    while url:
        page = rest.get(url)
        seen += ids(page)
        url = page.json()["next"]
        rest.send("retl", GOOD["retl"])
    assert seen == sent[::-1]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("nope=1", "operation"),
        ("operation=nope", "operation"),
        ("result=nope", "result"),
        ("channel=nope", "channel"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("cursor=x", "cursor"),
        ("since=yesterday", "since"),
        ("client=x", "client"),
    ],
)
def test_a_bad_parameter_is_named(rest, query, named):
    answer = rest.get(f"/v1/calls?{query}")
    assert (answer.status_code, answer["Content-Type"], answer.json()["reason"]) == (400, "application/problem+json", "bad_parameter")
    assert named in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/calls", "/v1/calls/01a20c8c-7b46-77ed-afd0-713e642ed7b3"])
def test_a_key_is_needed(rest, path):
    assert rest.get(path, {"Authorization": ""}).status_code == 401


def test_an_unknown_call_is_404(rest):
    answer = rest.get("/v1/calls/01a20c8c-7b46-77ed-afd0-713e642ed7b3")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert rest.get("/v1/calls/nope").status_code == 404


def test_other_methods_are_405(rest):
    answer = rest.request("POST", "/v1/calls", b"{}")
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")


def test_a_list_costs_three_queries(rest, sandbox, django_assert_max_num_queries):
    rest.send("replay", GOOD["replay"])
    with django_assert_max_num_queries(3):
        rest.get("/v1/calls")
