"""What a dry run tells: how many calls the job would be, how long it would take, and what its job run id changes."""

import json
from collections.abc import Iterable
from math import ceil
from statistics import median
from typing import Final

import msgspec

from gateway.audit.database import using_log
from gateway.audit.log import available
from gateway.audit.models import Call, Outcome, Result
from gateway.jobs import window
from gateway.jobs.chunks import most_events
from gateway.jobs.models import BODY_NOT_KEPT, Failure, Format, Job
from gateway.jobs.senders import MOST_SENDERS
from gateway.jobs.sending import BODY_BYTES
from gateway.operations import OPERATIONS, Credential, Shape

USUAL_MS: Final = 16
"""How long RudderStack takes for a call, where the log does not say."""
_RECENT: Final = 200
_DAY: Final = 86_400.0
_NO_JOB_RUN: Final = (
    "Without a job run id there is no job status. RudderStack's rate limit holds, it archives the events, and where it drops duplicates "
    "it drops those whose messageId it has seen lately."
)
_JOB_RUN: Final = (
    "With the job run id RudderStack tells the job's status, and does not drop the events as duplicates of earlier ones; but it skips its rate limit "
    "for them, and does not archive them. A job run id in the first event of a call wins over this one."
)
_OF_MESSAGES: Final = "The messages of an internal batch name their job runs themselves: the gateway adds none."


class Tally(msgspec.Struct):
    """Counts the calls that events would be sent in, as a `Cutter` cuts them. The rest is of the last chunk, and of the segment that it is in."""

    calls: int = 0
    events: int = 0
    size: int = 0
    lines: int = 0
    bytes: int = 0
    failures: int = 0

    def add(self, job: Job, sizes: Iterable[int]) -> None:
        """Events of so many bytes each, line ends included."""
        single, most = OPERATIONS[job.operation].shape is Shape.EVENT, most_events(job)
        for size in sizes:
            if single or not self.events or self.events >= most or self.size + size > BODY_BYTES:
                self.calls += 1
                self.events = self.size = 0
            self.events += 1
            self.size += size

    def end_segment(self) -> None:
        """No chunk reaches over it."""
        self.events = self.size = self.lines = self.bytes = self.failures = 0


def report(job: Job) -> str:
    """The report of a dry run that has read everything, as JSON. `seconds` says how long it would take: at least, and about at most.

    Raises LogUnavailableError.
    """
    ms = _upstream_ms(job.operation)
    low, high = _seconds(job, USUAL_MS if ms is None else ms)
    return json.dumps(
        {
            "events": job.events,
            "bytes": job.bytes,
            "calls": job.chunks,
            "without_message_id": job.without_message_id,
            "faulty": job.faulty,
            "bodies_not_kept": _bodies_not_kept(job),
            "job_run_id": _OF_MESSAGES if OPERATIONS[job.operation].credential is Credential.NONE else _JOB_RUN if job.job_run_id else _NO_JOB_RUN,
            "upstream_ms": ms,
            "seconds": {"low": ceil(low), "high": ceil(high)},
        }
    )


def _bodies_not_kept(job: Job) -> int | None:
    """Of earlier calls."""
    if job.format != Format.CALLS:
        return None
    with available(), using_log():
        return Failure.objects.filter(job=job, reason=BODY_NOT_KEPT).count()


def _upstream_ms(operation: str) -> int | None:
    """The median of what RudderStack took for the operation's accepted ones among its last calls; None where there are none."""
    with available(), using_log():
        calls = list(Call.objects.filter(operation=operation).order_by("-id").values_list("id", flat=True)[:_RECENT])
        accepted = Outcome.objects.filter(call__in=calls, result=Result.ACCEPTED)
        took = [ms for ms in accepted.values_list("upstream_ms", flat=True) if ms is not None]
    return ceil(median(took)) if took else None


def _seconds(job: Job, ms: int) -> tuple[float, float]:
    sending = job.chunks * max(ms, 1) / 1000 / (1 if job.ordered else MOST_SENDERS)
    paced = job.events / job.rate if job.rate else 0.0
    # Twice as long: each call is in the log before and after, and not all are as quick as the middle one.
    low, high = max(sending, paced), max(2 * sending, paced)
    open_ = window.length(job).total_seconds()
    if open_ < _DAY:
        # It may begin just as its window opens, or as it closes.
        low, high = (span + (_DAY - open_) * (max(0, ceil(span / open_) - 1) + late) for span, late in ((low, 0), (high, 1)))
    return low, high
