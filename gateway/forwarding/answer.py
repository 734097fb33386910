"""What a door presents: what came of one submission."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.contract.faults import Fault


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one submission, for any door.

    `result` is one of audit's. `document` is what a success shows, `raw` upstream's own JSON, which passes unchanged in its place.
    `detail`, `origin` and `errors` tell of what went wrong: `origin` is upstream or gateway. Durations in ms, `retry_after` in seconds as text.
    """

    call_id: uuid.UUID
    result: str
    status: int
    document: Mapping[str, Any] | None = None
    raw: bytes | None = None
    reason: str = ""
    detail: str = ""
    origin: str = "gateway"
    errors: tuple[Fault, ...] = ()
    retry_after: str | None = None
    retryable: bool = False
    replayed: bool = False
    pending: bool = False
    events: int | None = None
    duration_ms: int = 0

    @property
    def succeeded(self) -> bool:
        """Whether to present `document` or `raw`, and not a problem."""
        return self.document is not None or (self.raw is not None and self.status < 400)


class Refusal(Exception):  # noqa: N818 - not an error of the program
    """The gateway will not send this. Status as HTTP has it; `reason` is a code; faults name places in the body.

    `source` and `events` are what was known by then.
    """

    def __init__(self, status: int, reason: str, detail: str, faults: tuple[Fault, ...] = (), retry_after: str | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.faults = faults
        self.retry_after = retry_after
        self.source = ""
        self.events: int | None = None
