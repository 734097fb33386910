"""Real services for tests, on free ports and in folders of their own: PostgreSQL, and the gateway itself as its users run it."""

import glob
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.tree import kill_tree, tree
from tests.waiting import wait_for

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def missing(package: str, program: str) -> None:
    """Skips a test, or fails it where nothing may be skipped."""
    reason = f"{program} is missing: apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class PostgreSQL:
    """A cluster of one's own, run by an unprivileged user. `settings` are PostgreSQL's; a log that must last wants fsync="on"."""

    def __init__(self, folder: Path, *initdb: str, **settings: str) -> None:
        self.settings = {"fsync": "off", **settings}
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin")) or [str(Path(p).parent) for p in [shutil.which("initdb")] if p]
        if not found:
            missing("postgresql", "PostgreSQL")
        self.bin = Path(found[-1])
        self.folder = folder
        self.port = free_port()
        self.user = self._unprivileged()
        if self.user:
            shutil.chown(folder, self.user)
        self._run("initdb", "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "--no-sync", *initdb)
        self._databases = 0
        self.start()

    @staticmethod
    def _unprivileged() -> str | None:
        if os.geteuid() != 0:
            return None
        names = {entry.pw_name for entry in pwd.getpwall()}
        return "postgres" if "postgres" in names else "nobody"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self.bin / program), *arguments], user=self.user, cwd=self.folder, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(self.folder), **self.settings}
        options = " ".join([f"-p {self.port}", *(f"-c {name}={value}" for name, value in settings.items())])
        self._run("pg_ctl", "-D", "data", "-w", "-o", options, "-l", "log", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")

    def freeze(self) -> None:
        """Stop its processes as they stand: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    @property
    def pids(self) -> list[int]:
        """The postmaster, and its children after it."""
        return tree(int((self.folder / "data" / "postmaster.pid").read_text().split()[0]))

    def sql(self, database: str, statement: str) -> str:
        """Run a statement by psql; what it prints."""
        name = database.rpartition("/")[2]
        command = [str(self.bin / "psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-Atqc", statement, name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=self.folder)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def database(self) -> str:
        """The address of a new, empty database."""
        self._databases += 1
        name = f"gateway{self._databases}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", name)
        return f"postgres://postgres@127.0.0.1:{self.port}/{name}"


class Gateway:
    """The gateway as users run it: manage.py in processes of its own, with its own folder and database."""

    def __init__(self, folder: Path, upstream: str, database: str | None = None, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.mcp_port = free_port()
        self.mcp_url = f"http://127.0.0.1:{self.mcp_port}/mcp"
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_", "CELERY_"))},
            "GATEWAY_VAR": str(folder / "var"),
            "RUDDERSTACK_BASE_URL": upstream,
            "GATEWAY_PORT": str(self.port),
            "GATEWAY_MCP_PORT": str(self.mcp_port),
            "PYTHONUNBUFFERED": "1",
            **({"DATABASE_URL": database} if database else {}),
            **settings,
        }
        self._processes: list[subprocess.Popen[bytes]] = []
        self.manage("migrate", "--verbosity", "0")
        self.key = self.make_key("tester", "--scopes", "audit")
        self.http = requests.Session()
        self.http.trust_env = False

    def manage(self, *arguments: str) -> str:
        done = subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def make_key(self, name: str, *options: str) -> str:
        return self.manage("create_api_key", name, *options).split()[-1]

    @property
    def log(self) -> str:
        """What its processes wrote."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def _start(self, name: str, *command: str, under: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as output:
            process = subprocess.Popen([*under, sys.executable, *command], cwd=ROOT, env=self.env, stdout=output, stderr=subprocess.STDOUT)
        self._processes.append(process)
        return process

    def start_web(self, *under: str) -> subprocess.Popen[bytes]:
        """`under` is a command that runs another."""
        process = self._start("web", "manage.py", "run_web", under=under)
        wait_for(lambda: self._answers() or process.poll() is not None)
        assert process.poll() is None, self.log
        self.web = process
        return process

    def start_mcp(self, *under: str) -> subprocess.Popen[bytes]:
        """The MCP server over HTTP."""
        process = self._start("mcp", "manage.py", "run_mcp", under=under)
        wait_for(lambda: self._answers(self.mcp_port) or process.poll() is not None)
        assert process.poll() is None, self.log
        return process

    def kill_web(self) -> None:
        """As a crash does, and all its children with it."""
        for process in [one for one in self._processes if one.poll() is None and "run_web" in one.args]:
            kill_tree(process.pid)
            process.wait()

    def start_worker(self, *, beat: bool = True) -> subprocess.Popen[bytes]:
        options = ("worker", "--pool", "threads", "--concurrency", "3", "--loglevel", "INFO", "--without-gossip", "--without-mingle")
        options += ("--beat",) if beat else ()
        return self._start("worker", "-m", "celery", "-A", "rudderproxy", *options)

    def _answers(self, port: int | None = None) -> bool:
        try:
            return self.http.get(f"http://127.0.0.1:{port or self.port}/healthz", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def send(self, route: str, body: Any, headers: dict[str, str] | None = None, **options: Any) -> requests.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return requests.post(
            f"{self.url}/v1/internal/v1/{route}",
            data=content,
            headers={"Authorization": f"Bearer {self.key}", **(headers or {})},
            timeout=30,
            proxies={"http": ""},
            **options,
        )

    def get(self, path: str) -> requests.Response:
        return self.http.get(f"{self.url}{path}", headers={"Authorization": f"Bearer {self.key}"}, timeout=30)

    def stop(self) -> None:
        for process in self._processes:
            if process.poll() is not None:
                continue
            if "celery" in process.args:
                kill_tree(process.pid)  # it would first go on with its job for a while
            else:
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.http.close()
