"""The web server's way in (ASGI): a request is taken in whole before a thread is used for it, so a slow client holds a connection only."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, Final

from django.conf import settings
from django.core import signals
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.base import BaseHandler
from django.http import HttpRequest, HttpResponseBase

from gateway.api.authentication import is_known
from gateway.api.problems import bad_request
from gateway.api.upload import Held, Receive, Upload
from gateway.operations import PREFIX

Send = Callable[[dict[str, Any]], Awaitable[None]]

_PAGE_THREADS: Final = 8
"""For all but the operations: probes and the admin answer while every other thread waits for RudderStack."""


class Front(BaseHandler):
    """Django in threads, behind an event loop that takes bodies in and gives answers out."""

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware()
        self._calls = ThreadPoolExecutor(settings.GATEWAY_WEB_THREADS, "call")
        self._pages = ThreadPoolExecutor(_PAGE_THREADS, "page")
        self._held = Held()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One request."""
        run = asyncio.get_running_loop().run_in_executor
        threads = self._calls if scope["path"].startswith(PREFIX) else self._pages
        upload = Upload(scope, receive, self._held)
        try:
            await upload.take_in(lambda authorization: run(threads, is_known, authorization))
            status, headers, content = await run(threads, self._answer, scope, upload)
        finally:
            upload.let_go()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, scope: dict[str, Any], upload: Upload) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """What Django says: status, headers, content."""
        signals.request_started.send(type(self), scope=scope)
        try:
            request = ASGIRequest(scope, BytesIO(upload.content))
        except UnicodeDecodeError:  # in the query string
            response: HttpResponseBase = bad_request(HttpRequest())
        else:
            request.trouble = upload.trouble  # type: ignore[attr-defined]
            response = self.get_response(request)
        content = b"".join(response)
        response.setdefault("Content-Length", str(len(content)))
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
        headers += [(b"Set-Cookie", cookie.OutputString().encode("latin-1")) for cookie in response.cookies.values()]
        response.close()
        return response.status_code, headers, content
