"""The rooms' own tests once more, on PostgreSQL."""

import os
import subprocess
import sys

from tests.processes import ROOT

OF_JOBS = (
    "lease",
    "control",
    "engine",
    "steering",
    "troubles",
    "interruptions",
    "sending",
    "tasks",
    "window",
    "retrying",
    "dry_run",
    "bodies",
    "earlier",
)
JOBS = [f"tests/jobs/test_{name}.py" for name in OF_JOBS]
ROOMS = ["tests/audit", "tests/access", "tests/forwarding", "tests/ingress", *JOBS, "tests/api", "tests/mcp_server", "tests/console"]


def test_the_rooms_that_use_the_database_work_on_postgresql(postgresql):
    env = {**os.environ, "TEST_DATABASE_URL": postgresql.database()}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *ROOMS, "-m", "not chromium and not sqlite"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed" in done.stdout
