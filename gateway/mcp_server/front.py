"""MCP over HTTP: each POST is one message and its answer, served by whichever process has it. No session is kept and no stream opened.

Answers are JSON, since calls are short and tell of no progress. A client that goes away, or says so, stops its call: see `_exchange`.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings
from django.http.request import split_domain_port, validate_host
from mcp.server import Server, ServerRequestContext
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, BearerAuthBackend
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import CallToolRequestParams
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response

from gateway.audit.log import LogUnavailableError
from gateway.ingress.address import original_address
from gateway.ingress.credentials import strangers
from gateway.ingress.failure import INTERNAL, LOG_UNAVAILABLE, log_exception
from gateway.ingress.problem import TYPE, problem
from gateway.ingress.request_id import HEADER as REQUEST_ID
from gateway.ingress.request_id import request_id_of
from gateway.ingress.upload import Held, Upload
from gateway.mcp_server import message, session
from gateway.mcp_server.caller import Caller
from gateway.mcp_server.keys import KeyToken, KeyVerifier
from gateway.mcp_server.message import BadMessageError, Message
from gateway.mcp_server.server import build
from gateway.mcp_server.session import Session, printable
from gateway.mcp_server.threads import Threads

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PATH: Final = "/mcp"
_ARRIVAL: Final = "gateway.arrival"
_ENVELOPE: Final = 64 * 1024
"""Bytes that a message may have beside its arguments."""
_CHALLENGE: Final = 'Bearer realm="rudder gateway", error="invalid_token"'
_NO_KEY: Final = (
    "Send an API key: Authorization: Bearer KEY. There is no OAuth here, nor an issuer: whoever runs the gateway makes keys by create_api_key."
)
_CANCELLED: Final = -32800
_SESSION: Final = "mcp-session-id"


@dataclass(slots=True)
class _Arrival:
    """A request as it came in, for the handlers."""

    headers: Headers
    peer: str
    request_id: str
    principal: Any = None
    message: Message = field(default_factory=lambda: Message({}))
    session: Session | None = None


class Front:
    """The ASGI application: /mcp and /healthz."""

    def __init__(self) -> None:
        self._threads = Threads()
        self._backend = BearerAuthBackend(KeyVerifier(self._threads))
        self._held = Held()
        self._limit = settings.GATEWAY_MAX_BODY_BYTES + _ENVELOPE
        server: Server[Any] = build(_Transport(), self._threads)
        self._manager = StreamableHTTPSessionManager(server, json_response=True, stateless=True, max_request_body_size=self._limit)
        self._on_their_way: dict[tuple[str, str, str | int], asyncio.Future[None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection's request, or the life of the process."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        headers = Headers(scope=scope)
        arrival = _Arrival(headers, (scope.get("client") or ("",))[0], request_id_of(headers.get(REQUEST_ID, "")))
        try:
            response = self._refuse(scope, headers) or await self._authenticate(scope, arrival)
            if response is None:
                await self._take(scope, receive, _with_headers(send, {REQUEST_ID: arrival.request_id}), arrival)
                return
        except LogUnavailableError:
            response = _problem(503, "log_unavailable", LOG_UNAVAILABLE, {"Retry-After": "1"})
        response.headers[REQUEST_ID] = arrival.request_id
        await response(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self._manager.run():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        # Calls on their way write their outcomes first.
        await asyncio.to_thread(self._threads.close)
        await send({"type": "lifespan.shutdown.complete"})

    def _refuse(self, scope: Scope, headers: Headers) -> Response | None:
        """What is answered before anybody asks who it is."""
        if scope["path"] == "/healthz":
            return JSONResponse({"status": "ok"})
        host = split_domain_port(headers.get("host", ""))[0]
        if not validate_host(host, settings.ALLOWED_HOSTS):
            return _problem(421, "bad_host", "The request's Host is not among DJANGO_ALLOWED_HOSTS.")
        origin = headers.get("origin")
        if origin is not None and not _is_allowed(origin):
            return _problem(403, "bad_origin", "The request's Origin is not among GATEWAY_MCP_ORIGINS.")
        return None

    async def _authenticate(self, scope: Scope, arrival: _Arrival) -> Response | None:
        known = await self._backend.authenticate(HTTPConnection(scope))
        if known is None:
            strangers.note(arrival.peer)
            given = bool(arrival.headers.get("authorization"))
            detail = f"The API key is not known, or revoked. {_NO_KEY}" if given else _NO_KEY
            return _problem(401, "no_such_key" if given else "no_key", detail, {"WWW-Authenticate": _CHALLENGE})
        user: AuthenticatedUser = known[1]
        assert isinstance(user.access_token, KeyToken)  # noqa: S101 - our own verifier makes no other
        scope["user"], arrival.principal = user, user.access_token.principal
        if scope["path"] != PATH:
            return _problem(404, "no_such_route", f"There is no such route: MCP is at {PATH}.")
        if scope["method"] != "POST":
            detail = "POST messages here: there is no stream to listen to, and no session to end."
            return _problem(405, "method_not_allowed", detail, {"Allow": "POST"})
        return None

    async def _take(self, scope: Scope, receive: Receive, send: Send, arrival: _Arrival) -> None:
        """Take the message in, and hand it on."""
        upload = Upload(dict(scope), receive, self._held, self._limit)
        try:
            await upload.take_in(_known)
            if upload.trouble:
                refusal = upload.trouble.refusal()
                headers = {"Retry-After": refusal.retry_after} if refusal.retry_after else {}
                await _problem(refusal.status, refusal.reason, refusal.detail, headers)(scope, receive, send)
                return
            try:
                arrival.message = message.read(upload.content)
            except BadMessageError as error:
                await JSONResponse(error.answer, 400)(scope, receive, send)
                return
            arrival.session = session.session_of(arrival.headers.get(_SESSION, ""))
            await self._exchange(scope, receive, send, arrival)
        finally:
            upload.let_go()

    async def _exchange(self, scope: Scope, receive: Receive, send: Send, arrival: _Arrival) -> None:
        """The answer by the SDK. It is stopped when the client hangs up, or cancels the request by its id and session in this process."""
        asked = arrival.message
        names = (arrival.principal.key_prefix, arrival.headers.get(_SESSION, ""), asked.request_id)
        if asked.method == "notifications/cancelled":
            self._cancel(names[0], names[1], asked.params.get("requestId"))
        if asked.method == "initialize":
            send = _with_session(send, asked)
        scope[_ARRIVAL] = arrival
        work = asyncio.ensure_future(self._manager.handle_request(scope, _replay(_without_arguments(asked)), send))  # type: ignore[arg-type]
        gone = asyncio.ensure_future(receive())
        if arrival.session and asked.request_id is not None:
            self._on_their_way[names] = work  # type: ignore[index]
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and gone.result()["type"] == "http.disconnect":
                work.cancel()
            await work
        except asyncio.CancelledError:
            if not work.cancelled():  # the server stops
                work.cancel()
                raise
            answer = {"jsonrpc": "2.0", "id": asked.request_id, "error": {"code": _CANCELLED, "message": "The request was cancelled."}}
            await JSONResponse(answer)(scope, receive, send)
        except Exception as error:
            log_exception(error)
            await JSONResponse(BadMessageError(-32603, INTERNAL, asked.request_id).answer, 500)(scope, receive, send)
        finally:
            gone.cancel()
            self._on_their_way.pop(names, None)  # type: ignore[arg-type]

    def _cancel(self, key_prefix: str, session_id: str, request_id: Any) -> None:
        if isinstance(request_id, str | int) and (work := self._on_their_way.get((key_prefix, session_id, request_id))):
            work.cancel()


class _Transport:
    """What handlers ask of a request that came by HTTP."""

    async def caller(self, context: ServerRequestContext[Any, Any]) -> Caller:
        arrival = _arrival(context)
        about, declared = context.session.client_params, arrival.session
        client = f"{printable(about.client_info.name)}/{printable(about.client_info.version)}" if about else ""
        protocol = context.protocol_version
        if declared and not client:
            client = f"{declared.name}/{declared.version}"
            protocol = arrival.headers.get("mcp-protocol-version") or declared.protocol
        return Caller(
            principal=arrival.principal,
            address=original_address(arrival.peer, arrival.headers.get("x-forwarded-for", "")),
            request_id=arrival.request_id,
            headers={name: value for name in ("User-Agent", "traceparent") if (value := arrival.headers.get(name))},
            client=client,
            protocol=printable(protocol),
        )

    def arguments(self, context: ServerRequestContext[Any, Any], params: CallToolRequestParams) -> dict[str, Any]:
        return _arrival(context).message.params.get("arguments") or {}


def _arrival(context: ServerRequestContext[Any, Any]) -> _Arrival:
    arrival: _Arrival = context.request.scope[_ARRIVAL]
    return arrival


async def _known(_: str) -> bool:
    return True


def _without_arguments(asked: Message) -> bytes:
    """The message for the SDK. A tool's arguments wait beside it: they can be large, and nested deeper than it reads."""
    content = asked.content
    if asked.method == "tools/call" and isinstance(asked.params.get("arguments"), dict):
        content = {**content, "params": {**asked.params, "arguments": {}}}
    return json.dumps(content).encode()


def _replay(content: bytes) -> Receive:
    """An ASGI `receive` that has this body, and no end of the connection: that is watched elsewhere."""
    messages = [{"type": "http.request", "body": content, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else await asyncio.get_running_loop().create_future()

    return receive


def _with_headers(send: Send, headers: dict[str, str]) -> Send:
    added = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def send_with(part: MutableMapping[str, Any]) -> None:
        if part["type"] == "http.response.start":
            part["headers"] = [*part.get("headers", []), *added]
        await send(part)

    return send_with


def _with_session(send: Send, asked: Message) -> Send:
    """Puts a session's id on the answer to a good `initialize`, which is one body."""
    held: list[MutableMapping[str, Any]] = []

    async def send_with(part: MutableMapping[str, Any]) -> None:
        if part["type"] == "http.response.start":
            held.append(part)
            return
        start = held.pop()
        answer = json.loads(part["body"]) if start["status"] == 200 else {}
        if version := (answer.get("result") or {}).get("protocolVersion"):
            begun = session.begun(asked.params, version)
            start["headers"] = [*start["headers"], (_SESSION.encode(), begun.id.encode())]
        await send(start)
        await send(part)

    return send_with


def _problem(status: int, reason: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(problem(status, reason, detail), status, headers, media_type=TYPE)


def _is_allowed(origin: str) -> bool:
    """Exactly as in the setting, or with any port where that has none."""
    return origin in settings.GATEWAY_MCP_ORIGINS or origin.rpartition(":")[0] in settings.GATEWAY_MCP_ORIGINS
