"""The bodies that are sent: replay batches of events that look real, and messages for the checks."""

import json
from typing import Any, Final

MEGABYTE: Final = 1_000_000


def event(number: int) -> dict[str, Any]:
    """About 600 bytes."""
    return {
        "type": "track",
        "event": "Order Completed",
        "userId": f"user-{number:06}",
        "messageId": f"5f0c8a1e-7d7b-4c8e-9b1a-{number:012}",
        "originalTimestamp": "2026-01-02T03:04:05.678Z",
        "context": {
            "library": {"name": "rudder-sdk-python", "version": "2.1.3"},
            "ip": "192.0.2.7",
            "locale": "en-GB",
            "traits": {"plan": "pro", "company": "Example Ltd"},
        },
        "properties": {
            "order_id": f"o-{number}",
            "revenue": 129.9,
            "currency": "EUR",
            "coupon": None,
            "products": [{"sku": "A-1", "name": "Žlutý kůň", "price": 99.9, "quantity": 1}, {"sku": "B-2", "price": 15.0, "quantity": 2}],
        },
    }


def message(number: int) -> dict[str, Any]:
    """An event as an internal batch has it."""
    properties = {
        "requestType": "track",
        "routingKey": f"user-{number:06}",
        "workspaceID": "ws-1",
        "sourceID": "src-1",
        "receivedAt": "2026-01-02T03:04:05.678Z",
        "requestIP": "192.0.2.7",
    }
    payload = {**event(number), "receivedAt": "2026-01-02T03:04:05.678Z", "request_ip": "192.0.2.7", "rudderId": f"r-{number}"}
    return {"properties": properties, "payload": payload}


def batch(count: int) -> bytes:
    """A replay body of so many events."""
    return json.dumps({"batch": [event(number) for number in range(count)]}, ensure_ascii=False).encode()


def megabyte_of_events() -> bytes:
    return batch(MEGABYTE * 100 // len(batch(100)))


def megabyte_of_messages() -> bytes:
    hundred = json.dumps([message(number) for number in range(100)], ensure_ascii=False).encode()
    return json.dumps([message(number) for number in range(MEGABYTE * 100 // len(hundred))], ensure_ascii=False).encode()


def all_bodies() -> dict[str, bytes]:
    """By name, as in `make bench BENCH=…`."""
    return {"small": batch(1), "events": batch(100), "1mb": megabyte_of_events()}
