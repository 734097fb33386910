"""The five operations as data. Routes, tools, checks, schemas and choices are derived from this table; nothing repeats it."""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Shape(Enum):
    """What one request body holds."""

    EVENT = "one event"
    BATCH = "a batch of events"
    MESSAGES = "an array of messages"


class Credential(Enum):
    """How RudderStack tells the source of a request (rudder-server gateway/handle_http_auth.go)."""

    WRITE_KEY = "HTTP Basic, the source's write key as user name"
    SOURCE_HEADER = "header X-Rudder-Source-Id"
    NONE = "none: the source stands in every message"


PREFIX: Final = "/v1/internal/"
"""What the REST paths of all operations begin with, and of nothing else."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One internal endpoint. `help` says what it is for, `not_for` when to take another, named in braces.

    `size_limit` is in bytes, unpacked; None where RudderStack has none.
    """

    name: str
    tool: str
    description: str
    help: str
    not_for: str
    route: str
    shape: Shape
    credential: Credential
    sets_type: str | None = None
    size_limit: int | None = None
    default_source: str | None = None
    sends_batch_size: bool = False
    needs_replay_source: bool = False
    takes_destination: bool = False
    without_user: bool = False

    @property
    def path(self) -> str:
        """The REST path of this gateway."""
        return f"{PREFIX[1:]}v1/{self.route}"

    @property
    def upstream_path(self) -> str:
        """The path at RudderStack's gateway."""
        return f"/internal/v1/{self.route}"


UPSTREAM_SIZE_LIMIT: Final = 4_096_000
"""RudderStack's maxReqSizeInKB, 4000 × 1024: bytes, unpacked (gateway/handle.go)."""

OPERATIONS: Final[dict[str, Operation]] = {
    operation.name: operation
    for operation in (
        Operation(
            name="audiencelist",
            tool="audience-list",
            description="Audience List",
            help="Send one event that adds users to, or removes them from, an audience.",
            not_for="Not for what people did ({replay}) or for rows of a warehouse ({retl}).",
            route="audiencelist",
            shape=Shape.EVENT,
            credential=Credential.WRITE_KEY,
            sets_type="audiencelist",
            default_source="RUDDERSTACK_SOURCE_ID",
        ),
        Operation(
            name="internalbatch",
            tool="batch",
            description="Batch",
            help="Send an array of ready-made messages, each with its properties (source, workspace, routing) and its payload. "
            "RudderStack checks no credential here, so the gateway checks the source of every message.",
            not_for="Not for plain events: {replay} and {retl} take those and fill in the rest.",
            route="batch",
            shape=Shape.MESSAGES,
            credential=Credential.NONE,
            sends_batch_size=True,
        ),
        Operation(
            name="extract",
            tool="extract",
            description="Extract",
            help="Send one extracted record of a source.",
            not_for="Not for several records in one call (together they become a job) or for events of people ({replay}).",
            route="extract",
            shape=Shape.EVENT,
            credential=Credential.WRITE_KEY,
            sets_type="extract",
            size_limit=UPSTREAM_SIZE_LIMIT,
            default_source="RUDDERSTACK_SOURCE_ID",
            without_user=True,
        ),
        Operation(
            name="replay",
            tool="replay",
            description="Replay",
            help="Send a batch of events of the past again, through a replay source.",
            not_for="Not for new events, nor for rows of a warehouse ({retl}). Give every event its messageId: else sending it twice doubles it.",
            route="replay",
            shape=Shape.BATCH,
            credential=Credential.SOURCE_HEADER,
            size_limit=UPSTREAM_SIZE_LIMIT,
            default_source="RUDDERSTACK_REPLAY_SOURCE_ID",
            needs_replay_source=True,
        ),
        Operation(
            name="retl",
            tool="retl",
            description="Retl",
            help="Send a batch of reverse-ETL records, to all destinations of the source or to one.",
            not_for="Not for events of the past ({replay}) or for members of an audience ({audiencelist}).",
            route="retl",
            shape=Shape.BATCH,
            credential=Credential.SOURCE_HEADER,
            size_limit=UPSTREAM_SIZE_LIMIT,
            default_source="RUDDERSTACK_SOURCE_ID",
            takes_destination=True,
        ),
    )
}
