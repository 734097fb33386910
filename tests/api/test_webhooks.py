"""The option `webhook` of a new job, and the secret that its receiver checks signatures with."""

import json
from urllib.parse import quote

import pytest

from gateway.access.models import Client
from gateway.audit.models import Action, Call, Outcome
from gateway.jobs import engine, notifying
from gateway.jobs.lease import claim
from gateway.jobs.models import Job
from tests.conftest import EVENT, Rest

pytestmark = pytest.mark.django_db(transaction=True)
LINE = json.dumps(EVENT).encode()


@pytest.fixture(autouse=True)
def storage(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    settings.CELERY_BROKER_URL = ""


def make(rest, url, **headers):
    return rest.post(f"/v1/jobs?operation=replay&webhook={quote(url, safe='')}", LINE, headers)


def test_the_end_is_told_and_the_secret_from_the_api_verifies_it(rest, receiver):
    made = make(rest, f"{receiver.url}?token=s3cret")
    assert made.status_code == 202, made.content
    assert made.json()["webhook"] == {"url": receiver.url, "state": "waiting", "tries": 0, "note": None}
    engine.work(claim(), 30)
    notifying.notify()
    answer = rest.get("/v1/webhook-secret")
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    (got,) = receiver.received
    shown = rest.get(made["Location"]).json()
    assert got.verified(answer.json()["secret"]) == {
        "type": "job.succeeded",
        "timestamp": shown["ended_at"],
        "data": {**shown, "webhook": made.json()["webhook"] | {"tries": 1}},
    }
    assert shown["webhook"] == {"url": receiver.url, "state": "delivered", "tries": 1, "note": "The receiver answered 204."}
    assert "s3cret" not in rest.get("/v1/jobs").content.decode()
    assert "s3cret" not in str([list(model.objects.values()) for model in (Action, Call, Outcome)])


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://example.com/s3cret", "webhook: it must be an address such as https://example.com/hook. No job was made."),
        ("https://u:s3cret@example.com/", "webhook: it must not hold a user or password"),
        ("https://example.com/#s3cret", "webhook: it must not have a fragment"),
        ("https://192.168.1.1/?s3cret", "not on the public internet: name one that is, or have its network added to GATEWAY_WEBHOOK_NETWORKS"),
        ("http://169.254.169.254/latest/s3cret", "not on the public internet"),
    ],
)
def test_an_address_that_cannot_be_is_refused_with_its_cure_and_not_quoted(rest, inside, url, says):
    answer = make(rest, url)
    assert (answer.status_code, answer.json()["reason"]) == (400, "bad_webhook")
    assert says in answer.json()["detail"]
    assert not Job.objects.exists()
    assert Outcome.objects.get().reason == "bad_webhook"
    assert "s3cret" not in answer.content.decode() + str([list(model.objects.values()) for model in (Call, Outcome)])


def test_a_long_address_is_a_fault_of_the_parameter(rest, inside):
    answer = make(rest, "https://example.com/" + "a" * 500)
    assert (answer.status_code, "500" in answer.content.decode()) == (400, True)


def test_without_a_secret_nothing_is_promised(rest, receiver, settings):
    settings.GATEWAY_WEBHOOK_SECRET = []
    answer = make(rest, receiver.url)
    assert (answer.status_code, answer.json()["reason"]) == (400, "no_webhook_secret")
    assert "GATEWAY_WEBHOOK_SECRET" in answer.json()["detail"]
    assert not Job.objects.exists()
    missing = rest.get("/v1/webhook-secret")
    assert (missing.status_code, missing.json()["reason"]) == (404, "no_webhook_secret")
    assert "GATEWAY_WEBHOOK_SECRET" in missing.json()["detail"]


def test_the_same_order_is_one_job_also_when_its_receiver_is_gone(rest, receiver, settings):
    first = make(rest, receiver.url, **{"Idempotency-Key": "k"}).json()
    settings.GATEWAY_WEBHOOK_NETWORKS = []
    assert make(rest, receiver.url, **{"Idempotency-Key": "k"}).json()["id"] == first["id"]


def test_each_client_has_its_own_secret_whatever_its_keys_may(rest, make_key, inside):
    found = [who.get("/v1/webhook-secret") for who in (rest, Rest(make_key("other", operations="retl", sources="x")), Rest(make_key("tester")))]
    secrets = [answer.json()["secret"] for answer in found]
    assert secrets[0] == secrets[2] != secrets[1]
    assert Client.objects.count() == 2
    assert Rest(None).get("/v1/webhook-secret").status_code == 401
