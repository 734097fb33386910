"""What a door hands in: who wants to send what."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic

from gateway.access.principal import Principal
from gateway.audit.models import Channel
from gateway.contract.body import Body
from gateway.forwarding.answer import Refusal
from gateway.operations import Operation
from gateway.upstream.flight import Cancellation


@dataclass(frozen=True, slots=True)
class Submission:
    """One request to forward. `headers` holds the caller's under their usual names; `address` is the original caller's.

    `query` is the query string to send on, percent-encoded; RudderStack looks at none.
    `respond_async` asks for a job in place of an answer.
    `refusal` is what the door found wrong with it, beside the body: it is recorded, and nothing is sent.
    `cancellation` tells when nobody waits for the answer any more. `job` and `chunk` say which part of which job it is, if it is one.
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
    dry_run: bool = False
    respond_async: bool = False
    refusal: Refusal | None = None
    cancellation: Cancellation | None = None
    job: uuid.UUID | None = None
    chunk: int | None = None
    started: float = field(default_factory=monotonic)

    def header(self, name: str) -> str:
        """A header's value without outer white space; "" where there is none, since RudderStack takes an empty one for missing."""
        return self.headers.get(name, "").strip()
