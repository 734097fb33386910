"""The web server's way in (ASGI): a request is taken in whole before a thread is used for it, so a slow client holds a connection only."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any, Final

from csp.constants import HEADER
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.core import signals
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.base import BaseHandler
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.security import SecurityMiddleware

from gateway.api.problems import bad_request
from gateway.api.request_id import RequestIdMiddleware
from gateway.ingress.credentials import is_known
from gateway.ingress.file_upload import FileUpload
from gateway.ingress.sessions import is_upload, may_upload
from gateway.ingress.trouble import Trouble
from gateway.ingress.upload import Held, Receive, Upload
from gateway.operations import PREFIX

Send = Callable[[dict[str, Any]], Awaitable[None]]
Way = Callable[[HttpRequest], Any]

QUEUE_SECONDS: Final = 30.0
"""A call that waited longer for a thread is not sent: its caller has hung up, or will send it again."""
JOBS: Final = "/v1/jobs"
RETRY: Final = "/retry-failed"
"""What is sent here may be larger than memory."""
_FORM_BYTES: Final = 64 * 1024
"""Of a form with an upload, beside the file."""
_PAGE_THREADS: Final = 8
"""For all but the operations: the admin answers while every other thread waits for RudderStack."""
_PROBES: Final = ("/healthz", "/readyz")
_PROBE_THREADS: Final = 2


class Front(BaseHandler):
    """Django in threads, behind an event loop that takes bodies in and gives answers out.

    Calls have a shorter way than pages: none of what sessions, forms and files need.
    """

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware()
        self._policy = CSPMiddleware(lambda _: HttpResponse()).process_response(HttpRequest(), HttpResponse()).headers[HEADER]
        chain: Way = convert_exception_to_response(self._get_response)  # type: ignore[attr-defined]
        for middleware in (XFrameOptionsMiddleware, CommonMiddleware, SecurityMiddleware, RequestIdMiddleware):
            chain = convert_exception_to_response(middleware(chain))
        self._chain = chain
        self._call_threads = ThreadPoolExecutor(settings.GATEWAY_WEB_THREADS, "call")
        self._page_threads = ThreadPoolExecutor(_PAGE_THREADS, "page")
        self._probe_threads = ThreadPoolExecutor(_PROBE_THREADS, "page-probe")
        self._held = Held()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One request."""
        run = asyncio.get_running_loop().run_in_executor
        path, way = scope["path"], self._page
        if path.startswith(PREFIX):
            threads, way = self._call_threads, self._call
        else:
            threads = self._probe_threads if path in _PROBES else self._page_threads
        upload: Upload | FileUpload = Upload(scope, receive, self._held, settings.GATEWAY_MAX_BODY_BYTES)
        known: Callable[[str], bool] = is_known
        if path == JOBS or (path.startswith(JOBS) and path.endswith(RETRY)):
            upload = FileUpload(scope, receive, settings.GATEWAY_MAX_UPLOAD_BYTES)
        elif is_upload(scope):
            upload, known = FileUpload(scope, receive, settings.GATEWAY_MAX_UPLOAD_BYTES + _FORM_BYTES, b"cookie"), may_upload
        try:
            await upload.take_in(lambda credential: run(threads, known, credential))
            status, headers, content = await run(threads, self._answer, scope, upload, way, monotonic())
        finally:
            upload.let_go()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, scope: dict[str, Any], upload: Upload | FileUpload, way: Way, queued: float) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """What Django says: status, headers, content."""
        if monotonic() - queued > QUEUE_SECONDS:
            upload.trouble = upload.trouble or Trouble.NO_THREAD
        response: HttpResponseBase
        try:
            request = ASGIRequest(scope, upload.stream)
        except ValueError:  # in the query string, or the parameters of Content-Type
            response = RequestIdMiddleware(bad_request)(HttpRequest())
        else:
            request.trouble = upload.trouble  # type: ignore[attr-defined]
            response = way(request)
            # DRF's request and view hold each other until the collector comes; their body must not wait for it.
            request.close()
        try:
            content = b"".join(response)
        finally:
            if way == self._page:
                response.close()
        response.setdefault("Content-Length", str(len(content)))
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
        headers += [(b"Set-Cookie", cookie.OutputString().encode("latin-1")) for cookie in response.cookies.values()]
        return response.status_code, headers, content

    def _call(self, request: HttpRequest) -> Any:
        """The short way."""
        response = self._chain(request)
        response.headers[HEADER] = self._policy
        return response

    def _page(self, request: HttpRequest) -> Any:
        """With all of the settings' middleware, and connections closed that Django would close."""
        signals.request_started.send(type(self), scope=None)
        return self.get_response(request)
