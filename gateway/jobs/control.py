"""What people ask of a job. It is written down in the database; whoever works on the job looks there every second."""

import uuid
from typing import Any, Final

from django.db.models import F
from django.utils import timezone

from gateway.audit import log
from gateway.audit.models import Action, Channel, Verb
from gateway.audit.texts import storable
from gateway.jobs.models import BOUNDS, Job, State

_ACTIVE: Final = (State.QUEUED, State.RUNNING)
_WHY: Final = {
    State.PAUSED: "it is paused",
    State.CANCELLING: "it is being cancelled",
    State.CANCELLED: "it was cancelled",
    State.SUCCEEDED: "it is finished",
    State.FAILED: "it has failed",
}


class TransitionError(Exception):
    """The job cannot do this in the state that it is in; the text says why."""


def pause(job_id: uuid.UUID, *, actor: str, channel: Channel, reason: str = "") -> Job:
    """Send nothing more until it is resumed. Raises TransitionError, Job.DoesNotExist, LogUnavailableError."""
    told = storable(f"paused: Paused by {actor}{f': {reason}' if reason else ''}.", 500)
    return _change(job_id, "paused", _ACTIVE, Verb.JOB_PAUSED, actor, channel, reason, {}, state=State.PAUSED, reason=told)


def resume(job_id: uuid.UUID, *, actor: str, channel: Channel, reason: str = "") -> Job:
    """Go on, at once; what was refused before is forgiven. Raises TransitionError, Job.DoesNotExist, LogUnavailableError."""
    now = {"due_at": timezone.now(), "tries": 0, "judged_from": F("chunks")}
    return _change(job_id, "resumed", (State.PAUSED,), Verb.JOB_RESUMED, actor, channel, reason, {}, state=State.QUEUED, reason="", **now)


def cancel(job_id: uuid.UUID, *, actor: str, channel: Channel, reason: str = "") -> Job:
    """End it: what was sent stays sent. Raises TransitionError, Job.DoesNotExist, LogUnavailableError."""
    told = storable(f"cancelled: Cancelled by {actor}{f': {reason}' if reason else ''}.", 500)
    changes = {"state": State.CANCELLING, "reason": told, "due_at": timezone.now()}
    return _change(job_id, "cancelled", (*_ACTIVE, State.PAUSED), Verb.JOB_CANCELLED, actor, channel, reason, {}, **changes)


def set_rate(job_id: uuid.UUID, rate: int | None, *, actor: str, channel: Channel, reason: str = "") -> Job:
    """At most so many events a second from now on; None: as many as go. Raises TransitionError, Job.DoesNotExist, LogUnavailableError."""
    low, high = BOUNDS["rate"]
    if rate is not None and not low <= rate <= high:
        raise TransitionError(f"A rate is {low:,} to {high:,} events a second, or none.")
    detail = {"rate": "none" if rate is None else str(rate)}
    return _change(job_id, "slowed or sped up", (*_ACTIVE, State.PAUSED), Verb.JOB_RATE_CHANGED, actor, channel, reason, detail, rate=rate)


def _change(
    job_id: uuid.UUID,
    done: str,
    states: tuple[State, ...],
    verb: Verb,
    actor: str,
    channel: Channel,
    why: str,
    detail: dict[str, str],
    **changes: Any,
) -> Job:
    """Change the job and record who did it, both or neither."""
    with log.together():
        changed = Job.objects.filter(id=job_id, state__in=states).update(**changes)
        job = Job.objects.get(id=job_id)
        if not changed:
            raise TransitionError(f"This job cannot be {done}: {_WHY.get(State(job.state), 'it is not paused')}.")
        row = Action(at=timezone.now(), actor=actor, channel=channel, verb=verb, subject=str(job_id), reason=why)
        row.detail = log.as_json([detail] if detail else [])
        log.act(row)
    return job
