"""Receivers that may be sent to, and a secret."""

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from tests.webhooks.receiver import Receiver

MASTER = "a-secret-of-the-tests-for-webhooks-0123456789"


@pytest.fixture
def inside(settings: Any) -> None:
    """This machine is allowed."""
    settings.GATEWAY_WEBHOOK_NETWORKS = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
    settings.GATEWAY_WEBHOOK_SECRET = [MASTER]


@pytest.fixture
def receiver(inside: None) -> Iterator[Receiver]:
    """One over HTTP."""
    with Receiver() as running:
        yield running
