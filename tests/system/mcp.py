"""MCP clients for tests: the SDK's own, plain JSON-RPC by HTTP, and lines on standard streams; and the log that they leave."""

import json
import os
import queue
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import requests
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import Implementation

from gateway.operations import OPERATIONS
from tests.conftest import GOOD
from tests.processes import ROOT, Gateway, missing
from tests.waiting import wait_for

HANDSHAKES = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
STATELESS = "2026-07-28"
NAME, VERSION = "tests", "1.2.3"
BOTH = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "audience-list": {"event": GOOD["audiencelist"]},
    "batch": {"messages": GOOD["batch"]},
    "extract": {"event": GOOD["extract"]},
    "replay": GOOD["replay"],
    "retl": GOOD["retl"],
}
"""Good arguments for each tool."""
OPERATION = {one.tool: one.name for one in OPERATIONS.values()}
_ROWS = """SELECT c.id, c.channel, c.operation, c.actor, c.address, c.headers, o.result, o.reason, o.status FROM audit_call c
    LEFT JOIN audit_outcome o ON o.call_id = c.id AND o.number = (SELECT max(number) FROM audit_outcome WHERE call_id = c.id) ORDER BY c.id"""


class Log:
    """The rows that come after this was made."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._before = {row["id"] for row in self._all()}

    def calls(self) -> list[dict[str, Any]]:
        """Calls in order, with their last outcome; `headers` as a dictionary."""
        return [row for row in self._all() if row["id"] not in self._before]

    def one(self, seconds: float = 5.0, **expected: Any) -> dict[str, Any]:
        """The only call, as soon as it is as expected."""

        def found() -> dict[str, Any] | None:
            rows = self.calls()
            assert len(rows) < 2, rows
            return rows[0] if rows and all(rows[0][name] == value for name, value in expected.items()) else None

        try:
            return wait_for(found, seconds)
        except AssertionError:
            raise AssertionError(f"not {expected} in time: {self.calls()}") from None

    def _all(self) -> list[dict[str, Any]]:
        if address := self._gateway.env.get("DATABASE_URL"):
            with psycopg.connect(address) as connection:
                rows = connection.execute(_ROWS).fetchall()
        else:
            database = sqlite3.connect(self._gateway.folder / "var" / "gateway.sqlite3", timeout=10)
            rows = database.execute(_ROWS).fetchall()
            database.close()
        names = ("id", "channel", "operation", "actor", "address", "headers", "result", "reason", "status")
        found = [dict(zip(names, row, strict=True)) for row in rows]
        return [{**row, "id": str(row["id"]).replace("-", ""), "headers": json.loads(row["headers"] or "{}")} for row in found]


@asynccontextmanager
async def client(server: Gateway, mode: str, transport: str = "http", **settings: str) -> AsyncIterator[Client]:
    """The SDK's client; `mode` is auto or legacy."""
    about = Implementation(name=NAME, version=VERSION)
    if transport == "stdio":
        async with Client(parameters(server, **settings), mode=mode, client_info=about) as connected:
            yield connected
        return
    headers = {"Authorization": f"Bearer {server.key}"}
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False, timeout=30) as http,
        Client(streamable_http_client(server.mcp_url, http_client=http), mode=mode, client_info=about) as connected,
    ):
        yield connected


def parameters(server: Gateway, **settings: str) -> StdioServerParameters:
    """How the SDK's client starts the server on standard streams."""
    environment = {**server.env, "GATEWAY_API_KEY": server.key, **settings}
    return StdioServerParameters(command=sys.executable, args=["manage.py", "run_mcp", "--transport", "stdio"], cwd=ROOT, env=environment)


def message(method: str, params: dict[str, Any] | None = None, request_id: Any = 1) -> dict[str, Any]:
    """A JSON-RPC request; a notification where `request_id` is None."""
    return {"jsonrpc": "2.0", "method": method, "params": params or {}, **({} if request_id is None else {"id": request_id})}


def hello(version: str) -> dict[str, Any]:
    """The params of `initialize`."""
    return {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": NAME, "version": VERSION}}


class Raw:
    """Plain JSON-RPC by HTTP, in one version of the protocol. With a handshake version it shakes hands first."""

    def __init__(self, gateway: Gateway, version: str = HANDSHAKES[-1], key: str | None = None) -> None:
        self.url, self.version = gateway.mcp_url, version
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers.update({**BOTH, "Authorization": f"Bearer {key or gateway.key}"})
        if version in HANDSHAKES:
            answer = self.post(message("initialize", hello(version)))
            assert answer.status_code == 200, answer.text
            self.begun = answer.json()["result"]
            self.http.headers.update({"Mcp-Session-Id": answer.headers["Mcp-Session-Id"], "MCP-Protocol-Version": version})
            assert self.post(message("notifications/initialized", request_id=None)).status_code == 202

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def prepared(self, method: str, params: dict[str, Any] | None = None, request_id: Any = 1) -> tuple[dict[str, str], bytes]:
        """All headers and the body of a request."""
        headers, params = dict(self.http.headers), dict(params or {})
        if self.version == STATELESS:
            meta = {"protocolVersion": STATELESS, "clientInfo": {"name": NAME, "version": VERSION}, "clientCapabilities": {}}
            params["_meta"] = {f"io.modelcontextprotocol/{name}": value for name, value in meta.items()}
            headers |= {"MCP-Protocol-Version": STATELESS, "Mcp-Method": method}
            if named := params.get("name") or params.get("uri"):
                headers["Mcp-Name"] = named
        return {name: str(value) for name, value in headers.items()}, json.dumps(message(method, params, request_id)).encode()

    def post(self, content: Any, **options: Any) -> requests.Response:
        """A POST of anything."""
        return self.http.post(self.url, data=content if isinstance(content, bytes) else json.dumps(content).encode(), timeout=60, **options)

    def ask(self, method: str, params: dict[str, Any] | None = None, request_id: Any = 1) -> dict[str, Any]:
        """The JSON-RPC answer."""
        headers, content = self.prepared(method, params, request_id)
        return self.post(content, headers=headers).json()

    def call(self, tool: str = "replay", arguments: dict[str, Any] | None = None, request_id: Any = 1) -> dict[str, Any]:
        """A tool's result: its structured content, with isError."""
        answer = self.ask("tools/call", {"name": tool, "arguments": arguments or ARGUMENTS[tool]}, request_id)
        assert "result" in answer, answer
        return {**answer["result"]["structuredContent"], "isError": answer["result"]["isError"]}

    def cancel(self, request_id: Any, **headers: str) -> requests.Response:
        """`notifications/cancelled` of a request by its id."""
        return self.post(message("notifications/cancelled", {"requestId": request_id, "reason": "tests"}, None), headers=headers)


class Lines:
    """The server on standard streams, by lines. What it writes to stdout is kept; stderr goes to a file."""

    def __init__(self, gateway: Gateway, **settings: str) -> None:
        started = parameters(gateway, **settings)
        self.errors = Path(gateway.folder) / "stdio.err"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [started.command, *started.args], cwd=ROOT, env=started.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )
        self.lines: list[bytes] = []
        self._answers: queue.Queue[bytes] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(5)
        for stream in (self.process.stdin, self.process.stdout):
            try:
                stream.close()
            except BrokenPipeError:
                pass

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line)
            self._answers.put(line)

    def write(self, line: bytes) -> None:
        """A line as it is."""
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        """The next line of stdout."""
        return json.loads(self._answers.get(timeout=30))

    def ask(self, method: str, params: dict[str, Any] | None = None, request_id: Any = 1) -> dict[str, Any]:
        """The answer to a request."""
        self.write(json.dumps(message(method, params, request_id)).encode())
        return self.read()

    def begin(self) -> "Lines":
        """Shake hands."""
        assert self.ask("initialize", hello(HANDSHAKES[-1]), 0)["result"]["protocolVersion"] == HANDSHAKES[-1]
        self.write(json.dumps(message("notifications/initialized", request_id=None)).encode())
        return self

    def call(self, tool: str = "replay", arguments: dict[str, Any] | None = None, request_id: Any = 1) -> dict[str, Any]:
        """A tool's result: its structured content, with isError."""
        answer = self.ask("tools/call", {"name": tool, "arguments": arguments or ARGUMENTS[tool]}, request_id)
        assert answer["id"] == request_id
        return {**answer["result"]["structuredContent"], "isError": answer["result"]["isError"]}

    def end(self, seconds: float) -> int:
        """End stdin; the exit code, which must come in time."""
        self.process.stdin.close()
        return self.process.wait(seconds)


def from_npm(program: str, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a program of tests/package.json, with the Node that is named there."""
    programs = Path(sys.prefix) / "node-mcp" / "node_modules" / ".bin"
    if not (programs / program).exists():
        missing("nodejs npm && make .venv/.node-mcp", f"{program}, of tests/package.json,")
    environment = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "HOME": str(home), "NO_COLOR": "1"}
    return subprocess.run([programs / program, *arguments], cwd=home, env=environment, capture_output=True, text=True, timeout=120)
