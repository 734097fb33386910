"""The sandbox's HTTP server. Written on the bare protocol: half answers and resets need the socket, benchmarks need the speed."""

import asyncio
import json
import socket
import struct
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, unquote

import httptools

from gateway.contract.body import Body
from gateway.contract.decoding import decode
from gateway.contract.messages import job_runs_of
from gateway.contract.reading import Reading
from gateway.operations import OPERATIONS, Operation, Shape
from gateway.sandbox import trouble
from gateway.sandbox.credentials import Rejected, judge
from gateway.sandbox.received import JobRuns, Received, Request
from gateway.sandbox.sources import Source, Workspace
from gateway.sandbox.trouble import KINDS, Trouble, TroubleError

_ROUTES: Final = {operation.upstream_path: operation for operation in OPERATIONS.values()}
_MAX_HEADERS: Final = 516 * 1024
_TEXT: Final = "text/plain; charset=utf-8"
_BY_GATEWAY: Final = (("Vary", "Origin"),)
_NOSNIFF: Final = ("X-Content-Type-Options", "nosniff")
_DATABASE_DOWN: Final = "dial tcp 10.0.0.7:5432: connect: connection refused"


class Sandbox:
    """The state that all connections share."""

    def __init__(self, workspace: Workspace, delay: float = 0.0, quick: bool = False) -> None:
        self.workspace = workspace
        self.delay = delay
        self.quick = quick
        self.received = Received()
        self.job_runs = JobRuns()
        self.trouble: Trouble | None = None
        self.connections: set[Connection] = set()
        self.close_port: Callable[[float], None] = lambda seconds: None

    def take_trouble(self) -> Trouble | None:
        """The fault for this request, counted down."""
        current = self.trouble
        if current is not None and current.times is not None:
            current.times -= 1
            if current.times <= 0:
                self.trouble = None
        return current

    def decide(self, operation: Operation, body: Body) -> tuple[int, str, Reading]:
        """RudderStack's status, text and reading of a body."""
        reading = body.quick(operation) if self.quick else None
        if reading is not None:
            return 200, "ok", reading
        verdict = body.exact(operation, max_depth=None)
        return verdict.status, verdict.text, verdict.reading

    def store(self, operation: Operation, source: Source | None, headers: dict[str, str], body: Body, reading: Reading) -> None:
        """Count an accepted request for its job run; of an internal batch, every message for its own."""
        if operation.shape is Shape.MESSAGES:
            if b"sourcejobrunid" in body.text.lower():
                for job, task, source_id in job_runs_of(decode(body.text)):
                    self.job_runs.add(job, task, source_id, 1)
            return
        job = reading.job_run_id or headers.get("x-rudder-job-run-id", "")
        if job and source:
            self.job_runs.add(job, reading.task_run_id or headers.get("x-rudder-task-run-id", ""), source.id, reading.events)


class Connection(asyncio.Protocol):
    """One connection: requests one after the other."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport
        self.parser = httptools.HttpRequestParser(self)
        self.waiting: list[bytes] = []
        self.busy = False
        self._clear()

    def _clear(self) -> None:
        self.url = b""
        self.pairs: list[tuple[str, str]] = []
        self.headers: dict[str, str] = {}
        self.header_bytes = 0
        self.parts: list[bytes] = []
        self.operation: Operation | None = None
        self.source: Source | None = None
        self.now_trouble: Trouble | None = None
        self.answered = False
        self.keep_alive = False

    # asyncio

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.sandbox.connections.add(self)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self.sandbox.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        if self.busy:
            self.waiting.append(data)
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.transport.close()
        except httptools.HttpParserError:
            if not self.transport.is_closing():
                self._write(400, b"400 Bad Request", _TEXT, (("Connection", "close"),))
                self.transport.close()

    def eof_received(self) -> None:
        if self.operation is not None and not self.answered and not self.busy:
            # Shorter than announced: what net/http tells its reader becomes this answer.
            self._error(500, "failed to read body from request")
            self.transport.close()

    # httptools

    def on_message_begin(self) -> None:
        self._clear()

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.header_bytes += len(name) + len(value) + 4
        key, text = name.decode("latin-1"), value.decode("latin-1").strip(" \t")
        self.pairs.append((key, text))
        self.headers.setdefault(key.lower(), text)

    def on_headers_complete(self) -> None:
        self.keep_alive = self.parser.should_keep_alive()
        if self.header_bytes > _MAX_HEADERS:
            self._finish(431, b"431 Request Header Fields Too Large", _TEXT, close=True)
            return
        path, _, query = self.url.partition(b"?")
        operation = _ROUTES.get(path.decode("latin-1"))
        method = self.parser.get_method()
        if operation is None:
            self._other(method.decode(), path.decode("latin-1"), query.decode("latin-1"))
            return
        if method != b"POST":
            preflight = method == b"OPTIONS" and "origin" in self.headers and "access-control-request-method" in self.headers
            allow = () if preflight else (("Allow", "POST"),)
            self._finish(204 if preflight else 405, b"", None, (*allow, *_BY_GATEWAY))
            return
        self.now_trouble = self.sandbox.take_trouble()
        if self.now_trouble and self.now_trouble.kind == "reset_before":
            self._reset()
            return
        if self.now_trouble and self.now_trouble.kind == "401":
            self._error(401, "invalid write key")
            return
        try:
            self.source = judge(operation, self.headers, self.sandbox.workspace)
        except Rejected as rejected:
            self._error(rejected.status, rejected.text)
            return
        self.operation = operation
        if self.headers.get("expect", "").lower() == "100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        if not self.answered:
            self.parts.append(part)

    def on_message_complete(self) -> None:
        if self.operation is not None:
            self._receive(self.operation, b"".join(self.parts))
        elif self.url.partition(b"?")[0] == b"/faults" and not self.answered:
            self._order(b"".join(self.parts))

    # the operations

    def _receive(self, operation: Operation, content: bytes) -> None:
        sandbox, kind = self.sandbox, self.now_trouble.kind if self.now_trouble else ""
        body = Body.of(content, self.headers.get("content-encoding", ""))
        status, text, reading = sandbox.decide(operation, body)
        if kind == "429" and status == 200:
            status, text = 429, "max requests limit reached"
        elif kind == "500" and status == 200:
            status, text = 500, _DATABASE_DOWN
        stored = status == 200 and kind not in ("html", "redirect")
        sandbox.received.add(
            Request(
                sandbox.received.calls + 1, time.time(), operation.name, self.url.decode("latin-1"), self.pairs, content, status, stored,
                reading.events,
            )
        )  # fmt: skip
        if stored:
            sandbox.store(operation, self.source, self.headers, body, reading)
        delay = sandbox.delay + (self.now_trouble.seconds if self.now_trouble and kind == "delay" else 0.0)
        if delay:
            self._hold()
            self.loop.call_later(delay, self._release, lambda: self._answer(status, text))
        else:
            self._answer(status, text)

    def _answer(self, status: int, text: str) -> None:
        current = self.now_trouble
        if current is not None and status in (200, 429) and current.kind not in ("delay", "500"):
            self._misbehave(current, status, text)
        elif status == 200:
            self._finish(200, text.encode(), _TEXT, _BY_GATEWAY)
        else:
            self._error(status, text)

    def _misbehave(self, current: Trouble, status: int, text: str) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
        match current.kind:
            case "429":
                extra = (("Retry-After", str(current.retry_after)),) if current.retry_after is not None else ()
                self._finish(status, f"{text}\n".encode(), _TEXT, (*extra, _NOSNIFF, *_BY_GATEWAY))
            case "reset_after":
                self._reset()
            case "half_answer":
                self.transport.write(head + b"Content-Length: 20\r\n\r\nok, and th")
                self.transport.close()
            case "dripped_answer":
                self._hold()
                self.loop.create_task(self._drip(head + b"Content-Length: 60\r\n\r\n" + b"o" * 60, current.seconds))
            case "redirect":
                self._finish(302, b"", None, (("Location", current.location),))
            case "html":
                page = b"<html><head><title>Error</title></head><body><h1>nginx</h1></body></html>"
                self._finish(current.status, page, "text/html")
            case "informational":
                self.transport.write(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
                self._finish(200, b"ok", _TEXT, _BY_GATEWAY)
            case "204":
                self._finish(204, b"", None)
            case "endless":
                self._hold()
                self.transport.write(head + b"Transfer-Encoding: chunked\r\n\r\n")
                self.loop.create_task(self._stream())
            case _:
                content = current.body.encode("utf-8", "surrogateescape")
                self._finish(current.status, content, current.content_type or None, tuple(current.headers.items()))

    async def _drip(self, content: bytes, seconds: float) -> None:
        for index in range(len(content)):
            if self.transport.is_closing():
                return
            self.transport.write(content[index : index + 1])
            await asyncio.sleep(seconds)
        if not self.keep_alive:
            self.transport.close()
        self._release(lambda: None)

    async def _stream(self) -> None:
        while not self.transport.is_closing():
            self.transport.write(b"400\r\n" + b"o" * 1024 + b"\r\n")
            await asyncio.sleep(0.001)

    # the rest

    def _other(self, method: str, path: str, query: str) -> None:
        sandbox, parameters = self.sandbox, parse_qs(query)
        if path == "/health":
            self._json({"appType": "GATEWAY", "server": "UP", "db": "UP", "acceptingEvents": "TRUE"})
        elif path == "/received/count":
            received = sandbox.received
            self._json({"calls": received.calls, "stored": received.stored, "events": received.events})
        elif path == "/received" and method == "DELETE":
            sandbox.received, sandbox.job_runs = Received(), JobRuns()
            self._json({})
        elif path == "/received":
            self._page(parameters)
        elif path == "/faults" and method == "POST":
            pass  # read first
        elif path == "/faults":
            if method == "DELETE":
                sandbox.trouble = None
            self._json({"now": sandbox.trouble.kind if sandbox.trouble else None, "kinds": KINDS})
        elif path.startswith("/internal/v2/job-status/"):
            if method == "GET":
                self._job_status(unquote(path.removeprefix("/internal/v2/job-status/")), parameters)
            else:
                self._finish(405, b"", None, (("Allow", "GET"),))
        else:
            self._finish(404, b"404 page not found\n", _TEXT, (_NOSNIFF, *_BY_GATEWAY))

    def _page(self, parameters: dict[str, list[str]]) -> None:
        try:
            after, limit = (int(parameters.get(name, [default])[0]) for name, default in (("after", "0"), ("limit", "100")))
        except ValueError:
            self._json({"error": "after and limit must be whole numbers"}, 400)
            return
        page = self.sandbox.received.page(after, max(1, min(limit, 1000)))
        following = f"/received?after={page[-1].number}&limit={limit}" if page and page[-1].number < self.sandbox.received.calls else None
        self._json({"results": [request.shown() for request in page], "next": following})

    def _order(self, content: bytes) -> None:
        try:
            ordered = trouble.read(content)
        except TroubleError as error:
            self._json({"error": str(error)}, 400)
            return
        if ordered.kind == "closed_port":
            self._finish(200, b"{}", "application/json", (("Connection", "close"),), close=True)
            self.loop.call_soon(self.sandbox.close_port, ordered.seconds)
            return
        self.sandbox.trouble = ordered
        self._json({"now": ordered.kind})

    def _job_status(self, rest: str, parameters: dict[str, list[str]]) -> None:
        job_run, _, below = rest.partition("/")
        enabled = {source.id: [d for d, on in source.destinations.items() if on] for source in self.sandbox.workspace.by_id.values()}
        status = self.sandbox.job_runs.status(job_run, parameters.get("task_run_id", []), parameters.get("source_id", []), enabled)
        if below == "failed-records":
            self._json({"id": job_run, "tasks": None}, extra=(("Cache-Control", "no-store"),))
        elif status is None or below:
            self._finish(404, b"status not found\n" if not below else b"404 page not found\n", _TEXT, (_NOSNIFF,))
        else:
            self._json(status, extra=(("Cache-Control", "no-store"),))

    # writing

    def _hold(self) -> None:
        self.busy = True

    def _release(self, work: Callable[[], None]) -> None:
        work()
        self.busy = False
        waiting, self.waiting = self.waiting, []
        for data in waiting:
            self.data_received(data)

    def _error(self, status: int, text: str) -> None:
        self._finish(status, f"{text}\n".encode(), _TEXT, (_NOSNIFF, *_BY_GATEWAY))

    def _json(self, document: Any, status: int = 200, extra: tuple[tuple[str, str], ...] = ()) -> None:
        self._finish(status, json.dumps(document).encode(), "application/json", extra)

    def _finish(self, status: int, content: bytes, kind: str | None, extra: tuple[tuple[str, str], ...] = (), *, close: bool = False) -> None:
        self.answered = True
        self.operation = None
        if self.transport.is_closing():
            return
        self._write(status, b"" if self.parser.get_method() == b"HEAD" else content, kind, extra)
        if close or not self.keep_alive:
            self.transport.close()

    def _write(self, status: int, content: bytes, kind: str | None, extra: tuple[tuple[str, str], ...] = ()) -> None:
        head = [f"HTTP/1.1 {status} {_phrase(status)}"]
        if kind:
            head.append(f"Content-Type: {kind}")
        head += [f"{name}: {value}" for name, value in extra]
        if status != 204 and "content-length" not in {name.lower() for name, _ in extra}:
            head.append(f"Content-Length: {len(content)}")
        self.transport.write("\r\n".join((*head, "", "")).encode("latin-1") + content)

    def _reset(self) -> None:
        """Close with RST."""
        self.answered = True
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


async def serve(sandbox: Sandbox, host: str, port: int, started: Callable[[int], None]) -> None:
    """Serve until cancelled. `started` is told the port; 0 lets the system choose one. Raises OSError if it is taken."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(sandbox), host, port, backlog=1024)
    chosen = server.sockets[0].getsockname()[1]

    async def pause(seconds: float) -> None:
        nonlocal server
        server.close()
        for connection in [c for c in sandbox.connections if not c.busy]:
            connection.transport.close()
        await asyncio.sleep(seconds)
        server = await loop.create_server(lambda: Connection(sandbox), host, chosen, backlog=1024)

    sandbox.close_port = lambda seconds: tasks.append(loop.create_task(pause(seconds)))
    tasks: list[asyncio.Task[None]] = []
    started(chosen)
    try:
        await asyncio.Event().wait()
    finally:
        for task in tasks:
            task.cancel()
        server.close()
        for connection in list(sandbox.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
