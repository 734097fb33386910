"""MCP over HTTP: each POST is one message and its answer. No session is kept and no stream opened.

Answers are JSON: calls are short and tell of no progress. A client that hangs up, or cancels its request by name, stops the call.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from django.conf import settings
from django.http.request import split_domain_port, validate_host
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response

from gateway.audit.failure import LOG_UNAVAILABLE
from gateway.audit.log import LogUnavailableError
from gateway.ingress.credentials import strangers
from gateway.ingress.problem import TYPE, problem
from gateway.ingress.request_id import HEADER as REQUEST_ID
from gateway.ingress.upload import Held, Upload
from gateway.mcp_server import exchange, message, session
from gateway.mcp_server.arrival import SESSION, Arrival, HttpCallers
from gateway.mcp_server.cancellations import Cancellations
from gateway.mcp_server.keys import KeyVerifier
from gateway.mcp_server.message import ENVELOPE, BadMessageError
from gateway.mcp_server.server import build
from gateway.mcp_server.threads import Threads

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PATH: Final = "/mcp"
_CHALLENGE: Final = 'Bearer realm="rudder gateway", error="invalid_token"'
_NO_KEY: Final = "Send an API key: Authorization: Bearer KEY. There is no OAuth here: whoever runs the gateway makes keys by create_api_key."
_CANCELLED: Final = -32800
"""The Language Server Protocol's code for a request that was cancelled; MCP has none."""


class Front:
    """The ASGI application: /mcp and /healthz."""

    def __init__(self) -> None:
        self._threads = Threads()
        self._backend = BearerAuthBackend(KeyVerifier(self._threads))
        self._server = build(HttpCallers(), self._threads)
        self._held = Held()
        self._cancellations = Cancellations(settings.GATEWAY_VAR / "cancelled")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        arrival = Arrival(scope["headers"], (scope.get("client") or ("",))[0])
        try:
            response = self._refuse(scope, arrival) or await self._authenticate(scope, arrival) or await self._take(scope, receive, arrival)
        except LogUnavailableError:
            response = _problem(503, "log_unavailable", LOG_UNAVAILABLE, {"Retry-After": "1"})
        response.headers[REQUEST_ID] = arrival.request_id
        await response(scope, receive, send)

    def _refuse(self, scope: Scope, arrival: Arrival) -> Response | None:
        """What is answered before anybody asks who it is."""
        if scope["path"] == "/healthz":
            return JSONResponse({"status": "ok"})
        if not validate_host(split_domain_port(arrival.headers.get("host", ""))[0], settings.ALLOWED_HOSTS):
            return _problem(421, "bad_host", "The request's Host is not among DJANGO_ALLOWED_HOSTS.")
        origin = arrival.headers.get("origin")
        if origin is not None and not _is_allowed(origin):
            return _problem(403, "bad_origin", "The request's Origin is not among GATEWAY_MCP_ORIGINS.")
        return None

    async def _authenticate(self, scope: Scope, arrival: Arrival) -> Response | None:
        known = await self._backend.authenticate(HTTPConnection(scope))
        if known is None:
            strangers.note(arrival.peer)
            given = "authorization" in arrival.headers
            detail = f"The API key is not known, or revoked. {_NO_KEY}" if given else _NO_KEY
            return _problem(401, "no_such_key" if given else "no_key", detail, {"WWW-Authenticate": _CHALLENGE})
        arrival.principal = known[1].access_token.principal  # by our own verifier
        if scope["path"] != PATH:
            return _problem(404, "no_such_route", f"There is no such route: MCP is at {PATH}.")
        if scope["method"] != "POST":
            detail = "POST messages here: there is no stream to listen to, and no session to end."
            return _problem(405, "method_not_allowed", detail, {"Allow": "POST"})
        if arrival.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return _problem(415, "bad_content_type", "Send Content-Type: application/json.")
        if not _accepts_json(arrival.headers.get("accept", "")):
            return _problem(406, "bad_accept", "Answers are JSON: send Accept: application/json, text/event-stream.")
        return None

    async def _take(self, scope: Scope, receive: Receive, arrival: Arrival) -> Response:
        """Take the message in, and answer it."""
        upload = Upload(dict(scope), receive, self._held, settings.GATEWAY_MAX_BODY_BYTES + ENVELOPE)
        try:
            await upload.take_in(_known)
            if upload.trouble:
                refusal = upload.trouble.refusal()
                return _problem(refusal.status, refusal.reason, refusal.detail, {"Retry-After": refusal.retry_after} if refusal.retry_after else {})
            try:
                arrival.message = message.read(upload.content)
            except BadMessageError as error:
                return JSONResponse(error.answer, 400)
            return await self._exchange(receive, arrival)
        finally:
            upload.let_go()

    async def _exchange(self, receive: Receive, arrival: Arrival) -> Response:
        """Answer the message, as long as anybody waits for it."""
        asked, key, session_id = arrival.message, arrival.principal.key_prefix, arrival.headers.get(SESSION, "")
        if asked.method == "notifications/cancelled" and arrival.session and isinstance(named := asked.params.get("requestId"), str | int):
            self._cancellations.cancel((key, session_id, named))
        work = asyncio.create_task(exchange.answer(self._server, arrival))
        gone = asyncio.ensure_future(receive())
        gone.add_done_callback(lambda _: work.cancel())
        name = (key, session_id, "" if asked.request_id is None else asked.request_id)
        if arrival.session and asked.method == "tools/call":
            self._cancellations.add(name, work)
        try:
            status, document = await work
        except asyncio.CancelledError:
            if (this := asyncio.current_task()) and this.cancelling():  # the server gives the request up
                raise
            status, document = 200, BadMessageError(_CANCELLED, "The request was cancelled.", asked.request_id).answer
        finally:
            gone.cancel()
            self._cancellations.remove(name, work)
        if document is None:
            return Response(status_code=status)
        response = Response(message.write(document), status, media_type="application/json")
        if asked.method == "initialize" and "result" in document:
            response.headers[SESSION] = session.begun(asked.params, document["result"]["protocolVersion"]).id
        return response


async def _known(_: str) -> bool:
    return True


def _problem(status: int, reason: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(problem(status, reason, detail), status, headers, media_type=TYPE)


def _accepts_json(accept: str) -> bool:
    return any(kind.partition(";")[0].strip().lower() in ("application/json", "application/*", "*/*") for kind in accept.split(","))


def _is_allowed(origin: str) -> bool:
    """Exactly as in the setting, or with any port where that has none."""
    return origin in settings.GATEWAY_MCP_ORIGINS or origin.rpartition(":")[0] in settings.GATEWAY_MCP_ORIGINS
