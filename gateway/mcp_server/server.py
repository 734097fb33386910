"""The protocol's side of the door: the SDK's server with our handlers. Of a failure the client learns no more than that there was one."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final, TypeVar

from django.conf import settings
from mcp.server import Server, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from gateway.audit.failure import INTERNAL, log_exception
from gateway.audit.log import LogUnavailableError
from gateway.mcp_server import prompts, resources, tools
from gateway.mcp_server.caller import Callers
from gateway.mcp_server.prompts import BadArgumentError
from gateway.mcp_server.threads import Threads

Context = ServerRequestContext[Any, Any]
P = TypeVar("P")
R = TypeVar("R")
NAME: Final = "rudder-gateway"
INSTRUCTIONS: Final = (
    "Sends events to RudderStack and records every call in an audit log. Try with dry_run first where a mistake would be costly. "
    "Give an idempotency_key whenever you may call again. Where outcome is unknown, do not send again: say so. "
    "Where it is job, read the job's resource until it has ended."
)
RESOURCE_NOT_FOUND: Final = -32002
_NO_LOG: Final = "The audit log cannot be read. Try again later."
_PAGES: Final = "This list has one page: leave cursor out."


def build(callers: Callers, threads: Threads) -> Server[Any]:
    """The server for one way of arriving."""
    handlers = _Handlers(callers, threads)
    server: Server[Any] = Server(
        NAME,
        version=settings.SPECTACULAR_SETTINGS["VERSION"],
        title="RudderStack internal-API gateway",
        instructions=INSTRUCTIONS,
        # Asked before each call; else the SDK would list the tools for it.
        get_tool_input_schema=lambda name: tools.TOOLS[name].input_schema if name in tools.TOOLS else None,
        on_list_tools=_careful(handlers.list_tools),
        on_call_tool=_careful(handlers.call_tool),
        on_list_resources=_careful(handlers.list_resources),
        on_list_resource_templates=_careful(handlers.list_templates),
        on_read_resource=_careful(handlers.read_resource),
        on_list_prompts=_careful(handlers.list_prompts),
        on_get_prompt=_careful(handlers.get_prompt),
    )
    server.middleware.clear()  # spans for OpenTelemetry, which nobody collects here
    return server


def _careful(handler: Callable[[Context, P], Awaitable[R]]) -> Callable[[Context, P], Awaitable[R]]:
    """The handler, of whose exceptions only MCPError gets out: the SDK would tell the text of others."""

    @wraps(handler)
    async def handle(context: Context, params: P) -> R:
        try:
            return await handler(context, params)
        except MCPError:
            raise
        except LogUnavailableError:
            raise MCPError(INTERNAL_ERROR, _NO_LOG) from None
        except Exception as error:
            log_exception(error)
            raise MCPError(INTERNAL_ERROR, INTERNAL) from None

    return handle


class _Handlers:
    """What each request does."""

    def __init__(self, callers: Callers, threads: Threads) -> None:
        self._callers = callers
        self._threads = threads

    async def list_tools(self, context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        _one_page(params)
        return ListToolsResult(tools=tools.tools_for(await self._callers.caller(context)))

    async def call_tool(self, context: Context, params: CallToolRequestParams) -> CallToolResult:
        operation = tools.BY_NAME.get(params.name)
        if operation is None:
            raise MCPError(INVALID_PARAMS, f"There is no such tool. There are {', '.join(tools.BY_NAME)}.")
        caller = await self._callers.caller(context)
        arguments = params.arguments or {}
        return await self._threads.call(lambda cancellation, busy: tools.call(operation, arguments, caller, cancellation, busy))

    async def list_resources(self, context: Context, params: PaginatedRequestParams | None) -> ListResourcesResult:
        _one_page(params)
        caller = await self._callers.caller(context)
        return ListResourcesResult(resources=await self._threads.read(lambda: resources.resources_for(caller)))

    async def list_templates(self, context: Context, params: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
        _one_page(params)
        return ListResourceTemplatesResult(resource_templates=resources.TEMPLATES)

    async def read_resource(self, context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        caller, uri = await self._callers.caller(context), str(params.uri)
        found = await self._threads.read(lambda: resources.read(uri, caller))
        if found is None:
            raise MCPError(_not_found(context), "There is no such resource, or it is not this key's to see.", {"uri": uri})
        return ReadResourceResult(contents=[found])

    async def list_prompts(self, context: Context, params: PaginatedRequestParams | None) -> ListPromptsResult:
        _one_page(params)
        return ListPromptsResult(prompts=prompts.prompts())

    async def get_prompt(self, context: Context, params: GetPromptRequestParams) -> GetPromptResult:
        caller = await self._callers.caller(context)
        try:
            found = await self._threads.read(lambda: prompts.prompt(params.name, params.arguments or {}, caller))
        except BadArgumentError as error:
            raise MCPError(INVALID_PARAMS, str(error)) from None
        if found is None:
            raise MCPError(INVALID_PARAMS, f"There is no such prompt. There are {', '.join(one.name for one in prompts.prompts())}.")
        return found


def _one_page(params: PaginatedRequestParams | None) -> None:
    if params is not None and params.cursor is not None:
        raise MCPError(INVALID_PARAMS, _PAGES)


def _not_found(context: Context) -> int:
    """-32002 up to 2025-11-25, invalid params since (SEP-2164)."""
    return INVALID_PARAMS if context.protocol_version in MODERN_PROTOCOL_VERSIONS else RESOURCE_NOT_FOUND
