"""The MCP door in this process: tools called with arguments as a message brings them, and the ASGI application asked one request at a time."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from mcp_types import CallToolResult

from gateway.access import keys
from gateway.forwarding.answer import Refusal
from gateway.mcp_server import message, tools
from gateway.mcp_server.caller import Caller
from gateway.mcp_server.front import Front
from gateway.mcp_server.schemas import BODY
from gateway.operations import OPERATIONS, Shape
from gateway.upstream.flight import Cancellation

ROUTES = {operation.route: operation for operation in OPERATIONS.values()}


def text_of(value: Any) -> bytes:
    """Bytes as they are, anything else as compact JSON."""
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


def arguments_of(route: str, body: Any, options: Mapping[str, Any] | None = None) -> bytes:
    """The text of the arguments that make this body, which stands in them as it is."""
    shape, text = ROUTES[route].shape, text_of(body)
    own = text.strip()[1:-1] if shape is Shape.BATCH else b'"%s":%s' % (BODY[shape].encode(), text)
    return b"{%s}" % b",".join(part for part in (own, text_of(options or {})[1:-1]) if part.strip())


class Tools:
    """The tools with a key, called without a transport."""

    def __init__(self, key: str) -> None:
        self.key = key

    def caller(self, **about: Any) -> Caller:
        principal = keys.verify(self.key)
        assert principal is not None
        return Caller(principal, **{"address": "127.0.0.1", "request_id": "r-1", **about})

    def send(self, route: str, body: Any, options: Mapping[str, Any] | None = None, **about: Any) -> CallToolResult:
        """Call the tool of a route with a body, as REST is called."""
        return self.call(route, arguments_of(route, body, options), **about)

    def call(
        self, route: str, arguments: Any, *, cancellation: Cancellation | None = None, busy: Refusal | None = None, **about: Any
    ) -> CallToolResult:
        text = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":%s}}' % text_of(arguments)
        read = message.read(text).params["arguments"]
        return tools.call(ROUTES[route], read, self.caller(**about), cancellation or Cancellation(), busy)


def part(content: bytes, more: bool = False) -> dict[str, Any]:
    """A piece of a request's body, as the web server hands it over."""
    return {"type": "http.request", "body": content, "more_body": more}


class Answer:
    """What came back."""

    def __init__(self, sent: list[dict[str, Any]]) -> None:
        start, *bodies = sent
        self.status: int = start["status"]
        self.headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        self.content = b"".join(body["body"] for body in bodies)

    def json(self) -> Any:
        return json.loads(self.content)


class Asgi:
    """The application with a key. Header values None leave the usual one out; doubled headers are given as lists."""

    def __init__(self, front: Front, key: str | None) -> None:
        self.front = front
        self.key = key

    def headers(self, given: Mapping[str, Any], content: bytes | None) -> list[tuple[bytes, bytes]]:
        usual: dict[str, Any] = {
            "host": "localhost:9090",
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "authorization": f"Bearer {self.key}" if self.key else None,
            "content-length": str(len(content)) if content is not None else None,
        }
        wanted = {**usual, **{name.lower(): value for name, value in given.items()}}
        return [
            (name.encode(), each.encode("latin-1"))
            for name, value in wanted.items()
            if value is not None
            for each in (value if isinstance(value, list) else [value])
        ]

    def scope(self, path: str, method: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
        return {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "scheme": "http",
            "http_version": "1.1",
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 9090),
            "headers": headers,
        }

    async def asked(self, content: Any, headers: Mapping[str, Any], method: str, path: str, parts: Any, gone: asyncio.Event | None) -> Answer:
        text = text_of(content)
        sent: list[dict[str, Any]] = []
        left = list(parts) if parts is not None else [part(text)]

        async def receive() -> dict[str, Any]:
            if left:
                return left.pop(0)
            await (gone or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        given = self.headers(headers, text if parts is None else None)
        await self.front(self.scope(path, method, given), receive, send)
        return Answer(sent)

    def post(self, content: Any, headers: Mapping[str, Any] | None = None, *, method: str = "POST", path: str = "/mcp", parts: Any = None) -> Answer:
        """One request, whole unless its parts are given."""
        return asyncio.run(self.asked(content, headers or {}, method, path, parts, None))

    def ask(self, method: str, params: Any = None, headers: Mapping[str, Any] | None = None, request_id: Any = 1) -> Answer:
        """One JSON-RPC request."""
        return self.post(request(method, params, request_id), headers)

    def result(self, method: str, params: Any = None, headers: Mapping[str, Any] | None = None) -> Any:
        """The result of a request that must not fail."""
        answer = self.ask(method, params, headers)
        assert answer.status == 200, answer.content
        return answer.json()["result"]

    def error(self, method: str, params: Any = None, headers: Mapping[str, Any] | None = None) -> Any:
        """The error of a request that must fail."""
        return self.ask(method, params, headers).json()["error"]


def request(method: str, params: Any = None, request_id: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, **({"params": params} if params is not None else {})}
