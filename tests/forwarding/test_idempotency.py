"""One request under one Idempotency-Key, however often it is sent."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from gateway.audit.models import Call, Outcome
from tests.conftest import EVENT, GOOD, MESSAGE, Rest

KEY = {"Idempotency-Key": "k-1"}


def test_the_same_request_again_gets_the_recorded_answer_and_is_not_sent(rest, sandbox):
    first = rest.send("replay", GOOD["replay"], KEY)
    again = rest.send("replay", GOOD["replay"], KEY)
    assert (again.status_code, again.json(), again["X-Audit-Id"]) == (200, {"result": "ok"}, first["X-Audit-Id"])
    assert (again["Idempotency-Replayed"], "Idempotency-Replayed" in first) == ("true", False)
    assert (sandbox.count()["calls"], Call.objects.count()) == (1, 1)


def test_a_refusal_of_upstream_is_replayed_with_its_faults(rest, sandbox):
    body = b'{"batch":[{"userId":"u","v":1e400}]}'
    first, again = (rest.send("replay", body, KEY) for _ in range(2))
    assert first.json() == again.json()
    assert again["Idempotency-Replayed"] == "true"
    assert sandbox.count()["calls"] == 1


@pytest.mark.parametrize(
    ("kind", "order"),
    [
        ("429", {"retry_after": 7}),
        ("500", {}),
        ("answer", {"content_type": "application/json", "body": '{"a": 1e2}'}),
        ("answer", {"status": 409, "content_type": "application/json", "body": '{"a": 1}'}),
        ("204", {}),
        ("redirect", {}),
    ],
)
def test_whatever_upstream_answered_is_replayed(rest, sandbox, kind, order):
    sandbox.trouble(kind, times=1, **order)
    first, again = (rest.send("replay", GOOD["replay"], KEY) for _ in range(2))
    assert (again.status_code, again["Idempotency-Replayed"], sandbox.count()["calls"]) == (first.status_code, "true", 1)
    assert again["Content-Type"] == first["Content-Type"]
    assert json.loads(again.content) == json.loads(first.content)
    assert b'"retryable": true' not in first.content


def test_another_body_operation_source_or_destination_is_422(rest, sandbox):
    rest.send("retl", GOOD["retl"], KEY)
    for route, body, headers in (
        ("retl", {"batch": [EVENT, EVENT]}, {}),
        ("replay", GOOD["retl"], {}),
        ("retl", GOOD["retl"], {"X-Rudder-Source-Id": "rep-1"}),
        ("retl", GOOD["retl"], {"X-Rudder-Destination-Id": "dst-1"}),
    ):
        answer = rest.send(route, body, KEY | headers)
        assert (answer.status_code, answer.json()["reason"]) == (422, "idempotency_key_reused")
    assert sandbox.count()["calls"] == 1


def test_an_unknown_outcome_is_never_sent_again(rest, sandbox):
    sandbox.trouble("reset_after", times=1)
    assert rest.send("replay", GOOD["replay"], KEY).status_code == 504
    answer = rest.send("replay", GOOD["replay"], KEY)
    assert (answer.status_code, answer.json()["reason"]) == (409, "outcome_unknown")
    assert sandbox.count()["calls"] == 1


def test_a_call_on_its_way_is_409_and_an_overdue_one_says_unknown(rest, sandbox):
    first = rest.send("replay", GOOD["replay"], KEY)
    call = Call.objects.get(id=first["X-Audit-Id"])
    Outcome.objects.filter(call=call).delete()
    answer = rest.send("replay", GOOD["replay"], KEY)
    assert (answer.status_code, answer.json()["reason"], answer["Retry-After"]) == (409, "in_flight", "1")
    Call.objects.filter(id=call.id).update(deadline_at=timezone.now() - timedelta(seconds=1))
    answer = rest.send("replay", GOOD["replay"], KEY)
    assert (answer.status_code, answer.json()["reason"]) == (409, "outcome_unknown")
    assert sandbox.count()["calls"] == 1


def test_a_refused_try_can_be_sent_again_corrected(rest, sandbox):
    assert rest.send("replay", {"batch": [{}]}, KEY).status_code == 400
    assert rest.send("replay", GOOD["replay"], KEY).json() == {"result": "ok"}
    refused, sent = Call.objects.order_by("id")
    assert (refused.idempotency_key, refused.idempotency_try, sent.idempotency_try) == ("k-1", None, 1)


def test_an_unsent_try_can_be_sent_again(rest, sandbox, settings):
    settings.RUDDERSTACK_BASE_URL = "http://127.0.0.1:9"
    assert rest.send("replay", GOOD["replay"], KEY).status_code == 502
    settings.RUDDERSTACK_BASE_URL = sandbox.url
    answer = rest.send("replay", GOOD["replay"], KEY)
    assert (answer.json(), "Idempotency-Replayed" in answer) == ({"result": "ok"}, False)
    assert list(Call.objects.order_by("id").values_list("idempotency_try", flat=True)) == [1, 2]
    assert rest.send("replay", GOOD["replay"], KEY)["Idempotency-Replayed"] == "true"


def test_a_refusal_after_a_sent_try_does_not_open_the_key(make_key, rest, sandbox):
    rest.send("replay", GOOD["replay"], KEY)
    narrow = Rest(make_key(operations="retl"))
    assert narrow.send("replay", GOOD["replay"], KEY).status_code == 403
    assert rest.send("replay", GOOD["replay"], KEY)["Idempotency-Replayed"] == "true"
    assert sandbox.count()["calls"] == 1


def test_a_dry_run_does_not_use_the_key_up(rest, sandbox):
    assert rest.send("replay", GOOD["replay"], KEY, "?dry_run=true").status_code == 200
    assert "Idempotency-Replayed" not in rest.send("replay", GOOD["replay"], KEY)
    assert sandbox.count()["calls"] == 1


def test_keys_are_each_clients_own(make_key, sandbox):
    for name in ("one", "two"):
        assert "Idempotency-Replayed" not in Rest(make_key(name)).send("replay", GOOD["replay"], KEY)
    assert sandbox.count()["calls"] == 2


def test_a_clients_keys_share_the_space(make_key, sandbox):
    first, second = (Rest(make_key("one")).send("replay", GOOD["replay"], KEY) for _ in range(2))
    assert second["X-Audit-Id"] == first["X-Audit-Id"]


@pytest.mark.parametrize("key", ["k" * 256, "a\x7fb", "", " ", "é"])
def test_a_key_that_cannot_be_kept_is_refused(rest, sandbox, key):
    answer = rest.send("replay", GOOD["replay"], {"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["reason"], sandbox.count()["calls"]) == (400, "bad_idempotency_key", 0)


def test_a_long_answer_is_replayed_as_far_as_it_is_kept(rest, sandbox):
    sandbox.trouble("answer", times=1, body="x" * 5000)
    rest.send("replay", GOOD["replay"], KEY)
    assert json.loads(rest.send("replay", GOOD["replay"], KEY).content) == {"result": "x" * 2048}


def test_a_batch_of_many_sources_is_replayed_too(rest, sandbox):
    messages = [{**MESSAGE, "properties": {**MESSAGE["properties"], "sourceID": f"{number}-{'s' * 25}"}} for number in range(60)]
    first, again = (rest.send("batch", messages, KEY) for _ in range(2))
    assert (first.status_code, again.status_code, again["Idempotency-Replayed"]) == (200, 200, "true")
    assert sandbox.count()["calls"] == 1
