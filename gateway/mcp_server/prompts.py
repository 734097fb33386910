"""Two prompts: for who looks into what went wrong, and for who is about to send events of the past again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from django.utils import timezone
from mcp_types import GetPromptResult, Prompt, PromptArgument, PromptMessage, TextContent

from gateway.audit.models import Result
from gateway.audit.shape import shape
from gateway.audit.view import Query
from gateway.mcp_server.caller import Caller
from gateway.mcp_server.resources import as_text, find

_TROUBLES: Final = (Result.UNKNOWN, Result.FAILED, Result.REJECTED, Result.REFUSED)
_SHOWN: Final = 10
"""Calls of each kind that are shown."""
_LONGEST_HOURS: Final = 24 * 30


class BadArgumentError(Exception):
    """A prompt's arguments are wrong; its text says how, and quotes none."""


@dataclass(frozen=True, slots=True)
class _Kind:
    title: str
    description: str
    write: Callable[[Mapping[str, str], Caller], str]
    arguments: dict[str, str] = field(default_factory=dict)


def prompts() -> list[Prompt]:
    """All of them."""
    return [
        Prompt(
            name=name,
            title=kind.title,
            description=kind.description,
            arguments=[PromptArgument(name=argument, description=text, required=False) for argument, text in kind.arguments.items()],
        )
        for name, kind in _PROMPTS.items()
    ]


def prompt(name: str, arguments: Mapping[str, str], caller: Caller) -> GetPromptResult | None:
    """A prompt with its texts; None where there is none of this name. Raises BadArgumentError, LogUnavailableError."""
    kind = _PROMPTS.get(name)
    if kind is None:
        return None
    if not kind.arguments.keys() >= arguments.keys():
        raise BadArgumentError(f"{name} takes {' and '.join(kind.arguments)}, and nothing else.")
    if not arguments.get("source", "").isprintable():
        raise BadArgumentError("source must be printable text.")
    text = kind.write({key: value.strip() for key, value in arguments.items()}, caller)
    message = PromptMessage(role="user", content=TextContent(type="text", text=text))
    return GetPromptResult(description=kind.description, messages=[message])


def _investigate(arguments: Mapping[str, str], caller: Caller) -> str:
    given = arguments.get("hours") or "24"
    hours = int(given.lstrip("0")[:6] or 0) if given.isascii() and given.isdecimal() else 0
    if not 1 <= hours <= _LONGEST_HOURS:
        raise BadArgumentError(f"hours must be a whole number from 1 to {_LONGEST_HOURS}.")
    since = timezone.now() - timedelta(hours=hours)
    equal = {"source": arguments["source"]} if arguments.get("source") else {}
    found = {result: find(caller, Query(equal=dict(equal), result=result, since=since, limit=_SHOWN)) for result in _TROUBLES}
    calls = {result.value: [shape(record) for record in records] for result, records in found.items() if records}
    return (
        f"Find out why calls of this gateway went wrong in the last {hours} hours, and say what to do about each cause.\n\n"
        "Group the calls below by cause: reason, status, source, and the pointers in errors. For each group name the cause in one sentence, "
        "how many calls and events it touched, and the cure.\n"
        "- unknown: RudderStack may have the events. Never send these again without asking; say what would be doubled.\n"
        "- failed: nothing was stored. These can be sent again.\n"
        "- rejected: RudderStack said no. errors says where, if the gateway could explain it.\n"
        "- refused: the gateway sent nothing. errors says what to change.\n"
        "More of one call is at calls://ID; what an operation takes is at operations://NAME. Send nothing while you investigate.\n\n"
        f"The last calls of each kind, at most {_SHOWN}:\n"
        f"{as_text(calls) if calls else 'There are none that this key may see.'}"
    )


def _prepare(arguments: Mapping[str, str], caller: Caller) -> str:
    source = arguments.get("source") or "the gateway's default replay source"
    about = arguments.get("events") or "not said yet: ask first"
    return (
        f"Prepare a replay: events of the past are sent again through RudderStack.\n\nEvents: {about}\nSource: {source}\n\n"
        "1. Read operations://replay for what a body must be.\n"
        "2. Give every event the messageId that it had. Where it had none, make one from its content, the same each time.\n"
        "3. Keep originalTimestamp as it was: without it the events count as of today.\n"
        "4. Cut the events into batches under the operation's size_limit_bytes, some 500 events each, in their order.\n"
        "5. Call the tool replay with dry_run true for the first batch, correct what errors names, and look at events_without_message_id: "
        "it must be 0.\n"
        "6. Show what would be sent, to which source, and how many events, and wait for a yes.\n"
        "7. Of more than a few batches make one job, by respond_async true and all events in one call; read its resource until its state is "
        "succeeded, failed or cancelled, and on paused say why. Else send batch by batch.\n"
        "8. Give each call an idempotency_key of its own that you keep. On outcome unknown stop and say so; where retryable "
        "is true, make the same call again after retry_after seconds; on status 429, or outcome failed without retryable, wait and make it once "
        "more under a new key; on anything else stop.\n"
        "9. At the end report the events accepted, refused and unknown, with the audit_id of each call."
    )


_PROMPTS: Final = {
    "investigate-failed-calls": _Kind(
        "Investigate failed calls",
        "Looks into the calls of the last hours that failed, were refused or have an unknown outcome, and what to do about them.",
        _investigate,
        {"hours": "How far back to look; 24 without it.", "source": "Only calls to this source."},
    ),
    "prepare-a-replay": _Kind(
        "Prepare a replay",
        "Goes through what must be right before events of the past are sent again, tries it dry, and sends it batch by batch.",
        _prepare,
        {"source": "The replay source; the gateway's default without it.", "events": "Which events, in your words."},
    ),
}
