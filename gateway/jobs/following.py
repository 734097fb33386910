"""A job's progress in a terminal, until its end."""

import json
import time
from typing import Final

from django.core.management.base import CommandError, OutputWrapper
from tqdm import tqdm

from gateway.jobs.models import Job, State

_SECONDS: Final = 0.5


def follow(job: Job, output: OutputWrapper) -> None:
    """Show a bar, and what the job waits for, until it is over or paused, then its numbers. Ctrl-C leaves it running.

    Raises CommandError where it ended otherwise than well.
    """
    job.refresh_from_db()
    with tqdm(unit=" events", unit_scale=True, file=output, dynamic_ncols=True, initial=job.next_event) as bar:
        try:
            while True:
                job.refresh_from_db()
                bar.total = job.events if job.taken_in else None
                bar.set_description(job.state if job.taken_in else f"{job.state}, {job.events:,} read", refresh=False)
                bar.set_postfix_str(f"refused={job.failed + job.faulty:,}" + (f", {job.reason}" if job.reason else ""), refresh=False)
                bar.update(job.next_event - bar.n)
                bar.refresh()
                if job.is_over or job.state == State.PAUSED:
                    break
                time.sleep(_SECONDS)
        except KeyboardInterrupt:
            bar.close()
            output.write(f"The job goes on without this. To come back: manage.py follow_job {job.id}")
            return
    _end(job, output)


def _end(job: Job, output: OutputWrapper) -> None:
    if job.state == State.PAUSED:
        why = job.reason.removeprefix("paused: ").rstrip(".")
        raise CommandError(f"the job is paused: {why}. Resume it in the admin or by /v1/jobs/{job.id}/resume.")
    if job.state == State.CANCELLED:
        raise CommandError(f"the job is {job.reason or 'cancelled'}")
    if job.state != State.SUCCEEDED:
        raise CommandError(f"the job has failed: {job.reason}")
    if job.dry_run:
        report = json.loads(job.dry_run_report)
        output.write(
            f"a dry run: {job.events:,} events, {report['calls']:,} calls, {job.faulty:,} refused, {job.without_message_id:,} without a messageId;"
            f" sending would take {report['seconds']['low']:,} to {report['seconds']['high']:,} seconds"
        )
        return
    output.write(
        f"{job.state}: {job.accepted:,} of {job.events:,} events accepted, {job.failed + job.faulty:,} refused,"
        f" {job.possible_duplicates:,} perhaps sent twice"
    )
