"""A log in a file of its own, in a process of its own: what the tests' database, which is in memory, cannot show.

`python -m tests.audit.own_log` prints one line of JSON.
"""

import json
import os
import sqlite3
import tempfile
from time import monotonic

import tests.environment  # noqa: F401 - sets the environment

FILE = os.path.join(tempfile.mkdtemp(dir=tests.environment.VAR), "log.sqlite3")
os.environ["DATABASE_URL"] = f"sqlite:///{FILE}"


def main() -> dict[str, object]:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from gateway.audit import log
    from gateway.audit.models import Call

    from tests.audit.rows import new_call

    def attempt() -> tuple[str, float]:
        started = monotonic()
        try:
            log.intend(new_call())
        except log.LogUnavailableError:
            return "unavailable", monotonic() - started
        return "written", monotonic() - started

    call_command("migrate", "audit", verbosity=0)
    with connection.cursor() as cursor:
        pragmas = [cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    other = sqlite3.connect(FILE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    locked, seconds = attempt()
    other.execute("ROLLBACK")
    released, _ = attempt()
    return {"pragmas": pragmas, "locked": locked, "seconds": seconds, "released": released, "calls": Call.objects.count()}


if __name__ == "__main__":
    print(json.dumps(main()))
