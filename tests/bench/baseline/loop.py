"""What one would write without this project: a Celery task that goes through a file and posts its events with `requests`, on the gateway's broker.

It checks nothing, records nothing, and begins anew when it is killed. Lines are joined as they are, not parsed, and one connection is kept,
both of which favour it.
"""

import time
from itertools import islice
from pathlib import Path

import requests
from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

TRANSPORT_ALIASES["embedded"] = "rudderproxy.broker:Transport"
app = Celery("loop")
app.config_from_object("rudderproxy.celery_settings")
app.conf.update(task_default_queue="loop", beat_schedule={})


@app.task(name="loop.send")
def send(path: str, url: str, size: int, done: str) -> None:
    """Post the file's lines, `size` in one call; the file `done` then says in how many seconds."""
    started = time.monotonic()
    session = requests.Session()
    session.trust_env = False
    with open(path, "rb") as lines:
        while some := list(islice(lines, size)):
            answer = session.post(
                url,
                data=b'{"batch":[%b]}' % b",".join(some),
                headers={"Content-Type": "application/json", "X-Rudder-Source-Id": "rep-1"},
                timeout=12,
            )
            answer.raise_for_status()
    unfinished = Path(f"{done}.new")
    unfinished.write_text(str(time.monotonic() - started))
    unfinished.rename(done)
