"""Who signs: each client has a secret of its own, so that no receiver can sign in the name of another's gateway (Standard Webhooks)."""

import base64
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime

from django.conf import settings
from standardwebhooks import Webhook


def secrets_of(client: str) -> list[str]:
    """The client's secrets, `whsec_…`, one for each of GATEWAY_WEBHOOK_SECRET: the current one first. Empty where that is not set.

    `client` is its id, "" for who is on the gateway's machine.
    """
    made = [hmac.digest(secret.encode(), client.encode(), "sha256") for secret in settings.GATEWAY_WEBHOOK_SECRET]
    return [f"whsec_{base64.b64encode(secret).decode()}" for secret in made]


def signed(event_id: str, at: datetime, body: str, secrets: Sequence[str]) -> dict[str, str]:
    """The headers that sign a body, with every secret: whoever knows one of them can check it."""
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(event_id, at.astimezone(UTC), body) for secret in secrets),
    }
