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
    "notifying",
)
JOBS = [f"tests/jobs/test_{name}.py" for name in OF_JOBS]
ROOMS = [
    "tests/test_submission.py",
    "tests/audit",
    "tests/access",
    "tests/forwarding",
    "tests/ingress",
    *JOBS,
    "tests/api",
    "tests/mcp_server",
    "tests/console",
]


def test_the_rooms_that_use_the_database_work_on_postgresql(postgresql):
    env = {**os.environ, "TEST_DATABASE_URL": postgresql.database()}
    options = ["-q", "-n", "2", "--dist", "loadfile", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, *ROOMS, "-m", "not chromium and not sqlite"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed" in done.stdout
