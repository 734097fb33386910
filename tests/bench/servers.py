"""What is measured, each in processes of its own as its users run it, and the upstream that all send to."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import requests

from tests.bench import wrk
from tests.bench.bodies import ERAS, Era
from tests.processes import ROOT, Gateway, PostgreSQL, free_port, wait_for
from tests.tree import kill_tree

BENCH_BIN: Final = Path(sys.prefix) / "bench" / "bin"
"""The virtual environment of the baseline and of py-spy: see the Makefile."""
GATEWAYS: Final = ("audited", "mcp")
"""What the names of servers begin with that are the gateway with its log."""
ACCEPTED: Final = '"isError":false'
"""What each answer to a tool's call must have, beside its status."""


@dataclass(frozen=True)
class Server:
    """`database` is given where the log in it is to be counted; `era` where bodies are sent as arguments of an MCP tool."""

    name: str
    url: str
    headers: dict[str, str]
    stop: Callable[[], object]
    process: subprocess.Popen[bytes] | None = None
    database: str | None = None
    forwards: bool = True
    era: Era | None = None

    def run(self, body: Path, connections: int, seconds: float, at_end: Callable[[], object] = lambda: None) -> wrk.Run:
        """wrk sends it the body for so long."""
        if self.era is None:
            return wrk.run(self.url, body, self.headers, connections, seconds, at_end)
        message = body.with_name(f"{self.name}-{body.name}")
        message.write_bytes(self.era.message(body.read_bytes()))
        return wrk.run(self.url, message, self.headers, connections, seconds, at_end, sign=ACCEPTED)

    def kill(self) -> None:
        """As a power cut would end it: every process at once, the one first that would start others anew."""
        assert self.process
        kill_tree(self.process.pid)
        self.process.wait()


class Sandbox:
    """The upstream, which trusts the quick check so as to be no bottleneck."""

    def __init__(self, folder: Path, delay_ms: int) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = ["manage.py", "run_sandbox", "--quick", "--delay-ms", str(delay_ms), "--port", str(self.port)]
        self.process = _start(folder, "sandbox", [sys.executable, *command], dict(os.environ))
        wait_for(lambda: _listens(self.port))
        self._http = requests.Session()
        self._http.trust_env = False

    def stored(self) -> int:
        return self.count()["stored"]

    def count(self) -> dict[str, int]:
        """Of all that it took: `calls`, `stored` ones, their `events`."""
        counts: dict[str, int] = self._http.get(f"{self.url}/received/count", timeout=30).json()
        return counts

    def last_at(self) -> float:
        """When the last request was there in whole, in seconds since 1970."""
        page = self._http.get(f"{self.url}/received", params={"after": self.count()["calls"] - 1}, timeout=30).json()
        return datetime.fromisoformat(page["results"][-1]["at"]).timestamp()

    def delay(self, milliseconds: int) -> None:
        """From now on each answer waits for so long."""
        self._http.delete(f"{self.url}/faults", timeout=30)
        if milliseconds:
            answer = self._http.post(f"{self.url}/faults", json={"kind": "delay", "seconds": milliseconds / 1000}, timeout=30)
            answer.raise_for_status()

    def stop(self) -> None:
        self._http.close()
        _stop(self.process)


@dataclass
class Place:
    """Where servers are started: one folder, one upstream, one PostgreSQL."""

    folder: Path
    sandbox: Sandbox
    postgresql: PostgreSQL | None
    _made: int = field(default=0)

    def new_folder(self, name: str) -> Path:
        self._made += 1
        folder = self.folder / f"{self._made}-{name}"
        folder.mkdir()
        return folder

    def database(self, name: str, folder: Path) -> str:
        """A new database of the kind that the server's name says."""
        if "postgresql" not in name:
            return f"sqlite:///{folder / 'bench.sqlite3'}"
        assert self.postgresql
        return self.postgresql.database()


def sandbox(name: str, place: Place) -> Server:
    """The upstream itself: what nothing before it could be faster than."""
    return Server(name, f"{place.sandbox.url}/internal/v1/replay", {"X-Rudder-Source-Id": "rep-1"}, lambda: None)


def gateway(name: str, place: Place, **settings: str) -> Server:
    folder = place.new_folder(name)
    database = place.database(name, folder)
    running = Gateway(folder, place.sandbox.url, database, **settings)
    url, headers = f"{running.url}/v1/internal/v1/replay", {"Authorization": f"Bearer {running.key}"}
    return Server(name, url, headers, running.stop, running.start_web(), database)


def twice(name: str, place: Place) -> Server:
    return gateway(name, place, GATEWAY_WEB_PROCESSES="2")


def mcp(name: str, place: Place) -> Server:
    """The gateway's MCP server, in the era and with as many processes as its name says."""
    folder = place.new_folder(name)
    database, era = place.database(name, folder), ERAS[name.split("-")[1]]
    running = Gateway(folder, place.sandbox.url, database, GATEWAY_MCP_PROCESSES="2" if name.endswith("-x2") else "1")
    process = running.start_mcp()
    headers = {"Authorization": f"Bearer {running.key}", **era.headers}
    if greeting := era.greeting:
        answer = running.http.post(running.mcp_url, json=greeting, headers=headers, timeout=30)
        headers["Mcp-Session-Id"] = answer.headers["Mcp-Session-Id"]
    return Server(name, running.mcp_url, headers, running.stop, process, database, era=era)


def unaudited(name: str, place: Place) -> Server:
    server = gateway(name, place, DJANGO_SETTINGS_MODULE="tests.bench.unaudited.settings")
    return Server(name, server.url, server.headers, server.stop, server.process)


def idle(name: str, place: Place) -> Server:
    server = gateway(name, place, DJANGO_SETTINGS_MODULE="tests.bench.idle.settings")
    return Server(name, server.url, server.headers, server.stop, server.process, forwards=False)


def nginx(name: str, place: Place) -> Server:
    """Kept-alive connections to the upstream, bodies in memory, and its access log on."""
    folder, port = place.new_folder(name), free_port()
    (folder / "nginx.conf").write_text(f"""
        daemon off; worker_processes auto; pid {folder}/pid; error_log {folder}/error.log;
        events {{ worker_connections 1024; }}
        http {{
            access_log {folder}/access.log;
            client_max_body_size 16m; client_body_buffer_size 2m;
            client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
            upstream rudderstack {{ server 127.0.0.1:{place.sandbox.port}; keepalive 128; }}
            server {{
                listen 127.0.0.1:{port};
                location / {{ proxy_pass http://rudderstack; proxy_http_version 1.1; proxy_set_header Connection ""; }}
            }}
        }}""")
    process = _start(folder, "nginx", [program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")], dict(os.environ))
    wait_for(lambda: _listens(port))
    url = f"http://127.0.0.1:{port}/internal/v1/replay"
    return Server(name, url, {"X-Rudder-Source-Id": "rep-1"}, lambda: _stop(process), process)


def drf_api_logger(name: str, place: Place) -> Server:
    folder, port = place.new_folder(name), free_port()
    database = place.database(name, folder)
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.bench.baseline.settings",
        "DATABASE_URL": database,
        "GATEWAY_VAR": str(folder),
        "GATEWAY_PORT": str(port),
        "RUDDERSTACK_BASE_URL": place.sandbox.url,
    }
    subprocess.run([BENCH_BIN / "python", "-m", "django", "migrate", "--verbosity", "0"], cwd=ROOT, env=env, check=True)
    process = _start(folder, "web", [str(BENCH_BIN / "python"), "-m", "tests.bench.baseline.serve"], env)
    wait_for(lambda: _listens(port))
    return Server(name, f"http://127.0.0.1:{port}/internal/v1/replay", {}, lambda: _stop(process), process, database)


SERVERS: Final[dict[str, Callable[[str, Place], Server]]] = {
    "sandbox": sandbox,
    "idle": idle,
    "unaudited": unaudited,
    "audited-sqlite": gateway,
    "audited-postgresql": gateway,
    "audited-postgresql-x2": twice,
    **{f"mcp-{era}-{rest}": mcp for rest in ("sqlite", "postgresql", "postgresql-x2") for era in ERAS},
    "nginx": nginx,
    "drf-api-logger-sqlite": drf_api_logger,
    "drf-api-logger-postgresql": drf_api_logger,
}
"""By name, as in `make bench BENCH=…`."""


def lacking(names: Iterable[str]) -> list[str]:
    """Debian's packages that are not there, of those that these servers need."""
    wanted = {"wrk": bool(shutil.which("wrk"))}
    for name in names:
        if name == "nginx":
            wanted["nginx"] = Path(program("nginx")).exists()
        if "postgresql" in name:
            wanted["postgresql"] = any(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or bool(shutil.which("initdb"))
    return [package for package, there in wanted.items() if not there]


def program(name: str) -> str:
    """Debian keeps daemons where not every user's PATH looks."""
    return shutil.which(name) or f"/usr/sbin/{name}"


def _start(folder: Path, name: str, command: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
    with (folder / f"{name}.log").open("ab") as output:
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=output, stderr=subprocess.STDOUT)


def _stop(process: subprocess.Popen[Any]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
