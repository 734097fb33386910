"""What state a job is in: a word, an icon, a colour, and why, in a sentence."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from django.utils import timezone

from gateway.jobs.models import Job, State, WebhookState

MOVING: Final = (State.RUNNING, State.CANCELLING)
"""The states whose figures change while somebody looks."""
TABS: Final[dict[str, tuple[str, tuple[State, ...], str]]] = {
    "running": ("Running", MOVING, "No job is running now."),
    "waiting": ("Waiting", (State.QUEUED,), "No job waits for its turn."),
    "paused": ("Paused", (State.PAUSED,), "No job is paused."),
    "finished": ("Finished", (State.SUCCEEDED,), "No job has finished yet."),
    "failed": ("Failed or cancelled", (State.FAILED, State.CANCELLED), "No job has failed or was cancelled."),
}
"""Each tab of the list: its title, its states, and what is said where there is none."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is shown."""

    word: str
    icon: str
    colour: str


_LOOKS: Final = {
    State.QUEUED: ("schedule", ""),
    State.RUNNING: ("play_circle", "info"),
    State.PAUSED: ("pause_circle", "warning"),
    State.CANCELLING: ("hourglass_top", "warning"),
    State.CANCELLED: ("cancel", "warning"),
    State.SUCCEEDED: ("check_circle", "success"),
    State.FAILED: ("error", "danger"),
}


def look(job: Job) -> Look:
    """Of the job's state."""
    state = State(job.state)
    return Look(str(state.label), *_LOOKS[state])


def why(job: Job) -> str:
    """Why the job is in its state, in plain words."""
    _, colon, told = job.reason.partition(": ")
    told = told if colon else job.reason
    match State(job.state):
        case State.QUEUED:
            return told or _waiting(job)
        case State.RUNNING:
            return told or _running(job)
        case State.CANCELLING:
            return f"{told} What is on its way comes to its end first."
        case State.PAUSED:
            return f"{told} It goes on when somebody resumes it.".strip()
        case State.SUCCEEDED:
            return "Everything was read and checked; nothing was sent." if job.dry_run else _finished(job)
        case _:
            return f"{told} What was sent stays sent." if job.accepted else f"{told} Nothing was sent."


def webhook(job: Job) -> str:
    """What became of telling its end, and where: the host alone, as path and query can hold a secret. "" where nobody is told."""
    if not job.webhook:
        return ""
    host = urlsplit(job.webhook).netloc
    if not job.webhook_tries:
        return f"{host} is {'being told' if job.webhook_due_at else 'told when it is over'}."
    code, _, told = job.webhook_note.partition(": ")
    word = WebhookState(code or WebhookState.WAITING).label
    parts = [f"{word} ({host}, {job.webhook_tries} {'try' if job.webhook_tries == 1 else 'tries'}).", told]
    parts.append(f"It is tried again at {job.webhook_due_at:%Y-%m-%d %H:%M:%S} UTC." if job.webhook_due_at else "")
    return " ".join(part for part in parts if part)


def _waiting(job: Job) -> str:
    now = timezone.now()
    if job.not_before and job.not_before > now:
        return f"It begins at {job.not_before:%Y-%m-%d %H:%M} UTC, not before."
    return "It waits for a worker."


def _running(job: Job) -> str:
    if job.due_at > timezone.now() and job.tries:
        return f"RudderStack or the database did not answer as they should: it goes on at {job.due_at:%H:%M:%S} UTC."
    if not job.taken_in:
        return "The input is being read and checked."
    if job.next_event >= job.events and not job.dry_run:
        return "Everything is sent: RudderStack is asked what became of it."
    return "Events are being sent."


def _finished(job: Job) -> str:
    refused = job.failed + job.faulty
    if not refused:
        return "RudderStack took every event."
    return f"RudderStack has {job.accepted:,} event{'' if job.accepted == 1 else 's'}; {refused:,} {'was' if refused == 1 else 'were'} refused."
