"""What a door hands in: who wants to send what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic

from gateway.access.principal import Principal
from gateway.audit.models import Channel
from gateway.contract.body import Body
from gateway.operations import Operation


@dataclass(frozen=True, slots=True)
class Submission:
    """One request to forward. `headers` holds the caller's under their usual names; `address` is the original caller's.

    `query` is the query string to send on, percent-encoded; RudderStack looks at none.
    `dry_run` is None where the caller's wish cannot be told: then nothing is sent either.
    """

    principal: Principal
    operation: Operation
    body: Body
    channel: Channel
    address: str
    request_id: str
    headers: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None
    query: str = ""
    dry_run: bool | None = False
    started: float = field(default_factory=monotonic)

    def header(self, name: str) -> str:
        """A header's value without outer white space; "" where there is none, since RudderStack takes an empty one for missing."""
        return self.headers.get(name, "").strip()
