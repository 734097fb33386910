"""What a good body holds, as far as the gateway needs to know: the result of both checks."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reading:
    """Counts and ids read from a body. `events` counts events or messages.

    `job_run_id`, `task_run_id`: those in the first event, which win over the request's headers upstream; "" where there are none.
    `sources`: of an internal batch, each source as RudderStack will read it, with the index of the first message that has it.
    `without_message_id`: events whose messageId RudderStack will replace by a random one; None where nobody counted.
    """

    events: int
    job_run_id: str = ""
    task_run_id: str = ""
    sources: Mapping[str, int] = field(default_factory=dict)
    without_message_id: int | None = None
