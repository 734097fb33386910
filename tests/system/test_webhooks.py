"""A real worker tells the end of a job to a real receiver."""

import requests

from tests.conftest import EVENT
from tests.waiting import wait_for
from tests.webhooks.receiver import MASTER, Receiver


def test_a_worker_delivers_and_delivers_again_what_was_not_taken(gateway_with, database, sandbox):
    settings = {"GATEWAY_WEBHOOK_SECRET": MASTER, "GATEWAY_WEBHOOK_NETWORKS": "127.0.0.0/8,::1"}
    gateway = gateway_with(database, **settings)
    gateway.start_worker()
    with Receiver() as receiver:
        receiver.status = 503
        order = {"operation": "replay", "webhook": f"{receiver.url}?token=s3cret"}
        authorised = {"Authorization": f"Bearer {gateway.key}"}
        made = requests.post(f"{gateway.url}/v1/jobs", params=order, json=[EVENT], headers=authorised, timeout=30, proxies={"http": ""})
        assert made.status_code == 202, made.text
        wait_for(lambda: receiver.received)
        receiver.status = 200
        told = lambda: gateway.get(made.headers["Location"]).json()  # noqa: E731
        wait_for(lambda: told()["webhook"]["state"] == "delivered", 30)
        first, second = receiver.received
    assert told()["webhook"] == {"url": receiver.url, "state": "delivered", "tries": 2, "note": "The receiver answered 200."}
    secret = gateway.get("/v1/webhook-secret").json()["secret"]
    assert gateway.manage("webhook_secret", "tester").splitlines()[-1] == secret
    document = second.verified(secret)
    assert (document["type"], document["data"]["id"]) == ("job.succeeded", made.json()["id"])
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == f"job_{made.json()['id']}"
    gateway.stop()
    broker = "".join(path.read_text(errors="replace") for path in (gateway.folder / "var" / "broker").rglob("*") if path.is_file())
    for text in (gateway.log, broker):
        assert "s3cret" not in text
        assert secret not in text
        assert MASTER not in text
