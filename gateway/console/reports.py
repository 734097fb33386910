"""What a dry run found out, in words."""

import json
from typing import Any

from gateway.console.pace import duration
from gateway.jobs.models import Job


def report(job: Job) -> dict[str, Any] | None:
    """The calls that it would be, how long they would take at least and about at most, what the job run id changes; None where there is none."""
    if not job.dry_run_report:
        return None
    found = json.loads(job.dry_run_report)
    span = tuple(duration(found["seconds"][end]) for end in ("low", "high"))
    return {"calls": found["calls"], "span": span, "job_run_id": found["job_run_id"], "bodies_not_kept": found["bodies_not_kept"]}
