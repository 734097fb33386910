"""The bodies that are sent: replay batches of events that look real, and messages for the checks."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

MEGABYTE: Final = 1_000_000
_CLIENT: Final = {"name": "bench", "version": "1"}
_TOOL: Final = "replay"
_META: Final = "io.modelcontextprotocol/"


@dataclass(frozen=True)
class Era:
    """How a client of this version of MCP calls a tool: with a session, or saying all of itself in each request."""

    protocol: str
    has_sessions: bool

    @property
    def headers(self) -> dict[str, str]:
        routing = {} if self.has_sessions else {"Mcp-Method": "tools/call", "Mcp-Name": _TOOL}
        return {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": self.protocol, **routing}

    @property
    def greeting(self) -> dict[str, Any] | None:
        """What begins a session."""
        params = {"protocolVersion": self.protocol, "clientInfo": _CLIENT, "capabilities": {}}
        return {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params} if self.has_sessions else None

    def message(self, body: bytes) -> bytes:
        """The call whose arguments are a replay body."""
        about = {f"{_META}protocolVersion": self.protocol, f"{_META}clientInfo": _CLIENT, f"{_META}clientCapabilities": {}}
        params = {"name": _TOOL, "arguments": json.loads(body), **({} if self.has_sessions else {"_meta": about})}
        return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}, ensure_ascii=False).encode()


ERAS: Final = {"2025": Era("2025-11-25", has_sessions=True), "2026": Era("2026-07-28", has_sessions=False)}
"""By what the servers' names call them."""


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


def lines(count: int) -> Iterator[bytes]:
    """So many events of 1,000 bytes each, one a line."""
    for number in range(count):
        line = json.dumps(event(number), ensure_ascii=False).encode()
        yield b'%b,"padding":"%b"}\n' % (line[:-1], b"x" * (1000 - len(line) - len(',"padding":""') - 1))


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
