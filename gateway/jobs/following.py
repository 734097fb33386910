"""A job's progress in a terminal, until its end."""

import time
from typing import Final

from django.core.management.base import CommandError, OutputWrapper
from tqdm import tqdm

from gateway.jobs.models import Job, State

_SECONDS: Final = 0.5


def follow(job: Job, output: OutputWrapper) -> None:
    """Show a bar with rate, time left and refused events until the job is over or paused, then its numbers. Ctrl-C leaves it running.

    Raises CommandError where it ended otherwise than well.
    """
    with tqdm(unit=" events", unit_scale=True, file=output, dynamic_ncols=True) as bar:
        try:
            while True:
                job.refresh_from_db()
                bar.total = job.events if job.taken_in else None
                bar.set_description(job.state if job.taken_in else f"{job.state}, {job.events:,} read", refresh=False)
                bar.set_postfix({"refused": f"{job.failed + job.faulty:,}"}, refresh=False)
                bar.update(job.next_event - bar.n)
                bar.refresh()
                if job.is_over or job.state == State.PAUSED:
                    break
                time.sleep(_SECONDS)
        except KeyboardInterrupt:
            bar.close()
            output.write(f"The job goes on without this. To come back: manage.py follow_job {job.id}")
            return
    if job.state == State.PAUSED:
        raise CommandError(f"the job is {job.reason or 'paused'} Resume it in the admin or by /v1/jobs/{job.id}/resume.")
    if job.state != State.SUCCEEDED:
        raise CommandError(f"the job is {job.state}: {job.reason}")
    output.write(
        f"{job.state}: {job.accepted:,} of {job.events:,} events accepted, {job.failed + job.faulty:,} refused,"
        f" {job.possible_duplicates:,} perhaps sent twice"
    )
