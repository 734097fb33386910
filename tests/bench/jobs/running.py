"""What runs meanwhile: web process, one worker, the baseline's worker, their broker and the upstream, each on ports and in folders of its own."""

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import requests

from tests.bench import ledger
from tests.bench.servers import Sandbox
from tests.processes import ROOT, Gateway, PostgreSQL, free_port, wait_for
from tests.tree import kill_tree

PATIENCE: Final = 180.0
"""Seconds that one job may take."""
_POLL: Final = 0.05


class System:
    """The gateway with one worker, and the loop with one, on one broker: Redis beside PostgreSQL, else the embedded one."""

    def __init__(self, name: str, folder: Path, sandbox: Sandbox, postgresql: PostgreSQL | None) -> None:
        self.name = name
        self.folder = folder
        self.sandbox = sandbox
        self._database = postgresql.database() if postgresql else f"sqlite:///{folder / 'bench.sqlite3'}"
        self._loop: subprocess.Popen[bytes] | None = None
        with ExitStack() as ends:
            settings = {"GATEWAY_MAX_UPLOAD_BYTES": str(4 * 1024**3)}
            if postgresql:
                settings["CELERY_BROKER_URL"] = _redis(folder, ends)
            self._gateway = Gateway(folder, sandbox.url, self._database, **settings)
            ends.callback(self._gateway.stop)
            self.web = self._gateway.start_web()
            self.worker = self._gateway.start_worker()
            wait_for(lambda: "ready." in self._gateway.log, 60)
            self._ends = ends.pop_all()

    def stop(self) -> None:
        """End all of it."""
        self._ends.close()

    # jobs

    def submit(self, file: Path, **wishes: Any) -> str:
        """A job of the file by POST /v1/jobs; its id."""
        with file.open("rb") as body:
            answer = self._ask("POST", "", data=body, params=wishes, timeout=PATIENCE)
        return str(answer["id"])

    def job(self, job: str) -> dict[str, Any]:
        """As GET shows it."""
        return self._ask("GET", f"/{job}")

    def control(self, job: str, verb: str) -> None:
        """Pause, resume or cancel it."""
        self._ask("POST", f"/{job}/{verb}")

    def ended(self, job: str, patience: float = PATIENCE) -> dict[str, Any]:
        """The job once it has ended. Raises TimeoutError."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if (row := self.job(job))["ended_at"]:
                return row
            time.sleep(_POLL)
        raise TimeoutError(f"job {job} did not end within {patience:g} s: {row['state']}, {row['reason']}")

    def _ask(self, method: str, path: str, timeout: float = 30, **options: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._gateway.key}"}
        answer = self._gateway.http.request(method, f"{self._gateway.url}/v1/jobs{path}", headers=headers, timeout=timeout, **options)
        if not answer.ok:
            raise requests.HTTPError(f"{answer.status_code}: {answer.text[:500]}")
        found: dict[str, Any] = answer.json()
        return found

    # the baseline

    @property
    def loop(self) -> subprocess.Popen[bytes]:
        """The baseline's worker, started when it is first asked for."""
        if self._loop is None:
            options = (
                "worker",
                "--pool",
                "threads",
                "--concurrency",
                "2",
                "--loglevel",
                "INFO",
                "--without-gossip",
                "--without-mingle",
                "-Q",
                "loop",
            )
            log = self.folder / "loop-worker.txt"
            with log.open("wb") as output:
                command = [sys.executable, "-m", "celery", "-A", "tests.bench.baseline.loop", *options]
                self._loop = subprocess.Popen(command, cwd=ROOT, env=self._gateway.env, stdout=output, stderr=subprocess.STDOUT)
            self._ends.callback(_end, self._loop)
            wait_for(lambda: "ready." in log.read_text(), 60)
        return self._loop

    def run_loop(self, file: Path, size: int) -> float:
        """The seconds that the loop takes for the file, from the task's beginning on. Raises TimeoutError."""
        done = self.folder / f"done-{time.monotonic_ns()}"
        call = ["loop.send", "--queue", "loop", "--args", json.dumps([str(file), f"{self.sandbox.url}/internal/v1/replay", size, str(done)])]
        subprocess.run(
            [sys.executable, "-m", "celery", "-A", "tests.bench.baseline.loop", "call", *call],
            cwd=ROOT,
            env=self._gateway.env,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        end = time.monotonic() + PATIENCE
        while not done.exists():
            if time.monotonic() > end:
                raise TimeoutError(f"the loop of {size} did not end within {PATIENCE:g} s")
            time.sleep(_POLL)
        return float(done.read_text())

    # the log

    def calls_of(self, job: str) -> tuple[float, int, int]:
        """When the job's first call began, in seconds since 1970; how many there were, and how many outcomes of them."""
        return ledger.calls_of(self._database, job)


def _redis(folder: Path, ends: ExitStack) -> str:
    """The address of a broker that forgets all when it ends."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    ends.callback(_end, subprocess.Popen(command, stdout=subprocess.DEVNULL))
    return f"redis://127.0.0.1:{port}/0"


def _end(process: subprocess.Popen[bytes]) -> None:
    kill_tree(process.pid)
    process.wait()
