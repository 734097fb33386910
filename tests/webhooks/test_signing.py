"""Signatures: as the standard has them, each client's by a secret of its own, and all of them while secrets are exchanged."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta, timezone

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from gateway.webhooks.signing import secrets_of, signed
from tests.webhooks.receiver import MASTER

BODY = '{"type": "job.succeeded", "note": "ü"}'


def headers(secrets, at=None):
    return signed("job_1", at or datetime.now(UTC), BODY, secrets)


def test_a_signature_is_what_the_standard_says(inside):
    at = datetime(2026, 11, 24, 12, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=5)))
    given = headers(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], at)
    assert (given["webhook-id"], given["webhook-timestamp"]) == ("job_1", str(int(at.timestamp())))
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    expected = hmac.new(key, f"job_1.{int(at.timestamp())}.{BODY}".encode(), hashlib.sha256).digest()
    assert given["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"


def test_a_client_has_a_secret_of_its_own_always_the_same(inside):
    found = {client: secrets_of(client) for client in ("", "a", "b")}
    assert len({secret for secrets in found.values() for secret in secrets}) == 3
    assert found == {client: secrets_of(client) for client in found}
    for (secret,) in found.values():
        assert secret.startswith("whsec_")
        assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32  # the standard asks for 24 to 64
        assert MASTER not in secret


def test_one_client_cannot_sign_for_another(inside):
    given = headers(secrets_of("a"))
    Webhook(secrets_of("a")[0]).verify(BODY, given)
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets_of("b")[0]).verify(BODY, given)
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets_of("a")[0]).verify(BODY.replace("succeeded", "failed"), given)


def test_while_secrets_are_exchanged_both_check_it(inside, settings):
    (old,) = secrets_of("a")
    settings.GATEWAY_WEBHOOK_SECRET = ["a-new-secret-of-the-tests-0123456789", MASTER]
    new, still = secrets_of("a")
    assert still == old != new
    given = headers(secrets_of("a"))
    for secret in (new, old):
        Webhook(secret).verify(BODY, given)
    settings.GATEWAY_WEBHOOK_SECRET = settings.GATEWAY_WEBHOOK_SECRET[:1]
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(BODY, headers(secrets_of("a")))


def test_without_a_secret_nobody_has_one(settings):
    settings.GATEWAY_WEBHOOK_SECRET = []
    assert secrets_of("a") == []
