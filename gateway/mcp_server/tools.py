"""The five tools, made from the table of operations, and what calling one does. Knows nothing of how calls arrive."""

import json
from collections.abc import Mapping
from typing import Any, Final

from mcp_types import CallToolResult, Tool, ToolAnnotations

from gateway.audit.failure import log_exception
from gateway.audit.log import LogUnavailableError
from gateway.audit.models import Channel
from gateway.audit.redaction import CLIENT_HEADER, PROTOCOL_HEADER
from gateway.forwarding.answer import Answer, Refusal
from gateway.forwarding.submission import Submission
from gateway.mcp_server import results
from gateway.mcp_server.arguments import body_of, headers_of, is_for_a_job, name_of, refusal_of
from gateway.mcp_server.caller import Caller
from gateway.mcp_server.schemas import OUTPUT, example_arguments, input_schema
from gateway.operations import OPERATIONS, Operation
from gateway.submission import submit
from gateway.upstream.flight import Cancellation

BY_NAME: Final[dict[str, Operation]] = {operation.tool: operation for operation in OPERATIONS.values()}
_PASSED: Final = ("User-Agent", "traceparent")


def tool_of(operation: Operation) -> Tool:
    """How the tool is listed."""
    not_for = operation.not_for.format(**{one.name: one.tool for one in OPERATIONS.values()})
    example = json.dumps(example_arguments(operation), ensure_ascii=False)
    return Tool(
        name=operation.tool,
        title=operation.description,
        description=f"{operation.description}. {operation.help} {not_for}\nExample arguments: {example}",
        input_schema=input_schema(operation),
        output_schema=OUTPUT,
        annotations=ToolAnnotations(title=operation.description, read_only_hint=False, destructive_hint=False, idempotent_hint=False),
    )


TOOLS: Final[dict[str, Tool]] = {name: tool_of(operation) for name, operation in BY_NAME.items()}


def tools_for(caller: Caller) -> list[Tool]:
    """Those that the key may use."""
    return [tool for name, tool in TOOLS.items() if caller.principal.may_use(BY_NAME[name].name)]


def call(operation: Operation, arguments: Mapping[str, Any], caller: Caller, cancellation: Cancellation, busy: Refusal | None) -> CallToolResult:
    """Submit what the arguments say and show the answer. `busy`: why it cannot be taken now. Raises nothing."""
    submission = _submission(operation, arguments, caller, cancellation, busy)
    try:
        answer = submit(submission)
        if isinstance(answer, Answer):
            return results.result_of(submission, answer, name_of(operation, arguments))
        return results.result_of_job(submission, answer)
    except LogUnavailableError as error:
        return results.log_unavailable(error)
    except Exception as error:
        log_exception(error)
        return results.internal()


def _submission(operation: Operation, arguments: Mapping[str, Any], caller: Caller, cancellation: Cancellation, busy: Refusal | None) -> Submission:
    passed = {name: caller.headers[name] for name in _PASSED if name in caller.headers}
    about = {CLIENT_HEADER: caller.client, PROTOCOL_HEADER: caller.protocol}
    key = arguments.get("idempotency_key")
    return Submission(
        principal=caller.principal,
        operation=operation,
        body=body_of(operation, arguments),
        channel=Channel.MCP,
        address=caller.address,
        request_id=caller.request_id,
        headers={**headers_of(arguments), **passed, **about},
        idempotency_key=key if isinstance(key, str) else None,
        dry_run=arguments.get("dry_run") is True,
        respond_async=is_for_a_job(operation, arguments),
        refusal=busy or refusal_of(operation, arguments),
        cancellation=cancellation,
    )
