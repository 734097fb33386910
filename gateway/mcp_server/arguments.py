"""A tool's arguments, made into a submission. Its body is one serialisation of them: compact JSON in UTF-8."""

import json
import re
from collections.abc import Mapping
from math import isfinite
from secrets import token_hex
from typing import Any, Final

from django.conf import settings
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from gateway.contract.body import Body
from gateway.contract.faults import Faults, escape
from gateway.forwarding.admission import DESTINATION, JOB_RUN, SOURCE
from gateway.forwarding.answer import Refusal
from gateway.mcp_server.schemas import BODY, EVENTS, OPTIONS
from gateway.operations import Operation, Shape

_HEADERS: Final = {"source": SOURCE, "destination_id": DESTINATION, "job_run_id": JOB_RUN, "task_run_id": "X-Rudder-Task-Run-Id"}
_SCHEMA: Final = Draft202012Validator({"type": "object", "properties": OPTIONS, "additionalProperties": False})
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_HUGE: Final = "1e999"
"""What a number beyond a double becomes again: RudderStack refuses every such number, and the contract says where it stands."""
_MARK: Final = token_hex(16)
_BODIES: Final[dict[Shape, type]] = {Shape.EVENT: dict, Shape.BATCH: list, Shape.MESSAGES: list}
_NAMES: Final = {Shape.EVENT: "an object", Shape.BATCH: "an array", Shape.MESSAGES: "an array"}
_KINDS: Final = {"boolean": "true or false", "string": "a text"}


def body_of(operation: Operation, arguments: Mapping[str, Any]) -> Body:
    """The body that the arguments make, serialised when it is first asked for."""
    name = name_of(operation, arguments)
    value = {name: arguments.get(name)} if operation.shape is Shape.BATCH else arguments.get(name)
    return Body(lambda: serialise(value), cap=settings.GATEWAY_MAX_BODY_BYTES)


def name_of(operation: Operation, arguments: Mapping[str, Any]) -> str:
    """The argument that becomes the body."""
    return EVENTS if operation.shape is Shape.EVENT and EVENTS in arguments else BODY[operation.shape]


def is_for_a_job(operation: Operation, arguments: Mapping[str, Any]) -> bool:
    """Whether a job is asked for: by name, or by giving several events where a call takes one."""
    return arguments.get("respond_async") is True or name_of(operation, arguments) == EVENTS


def headers_of(arguments: Mapping[str, Any]) -> dict[str, str]:
    """What REST has in headers."""
    named = {header: arguments.get(argument) for argument, header in _HEADERS.items()}
    return {"Content-Type": "application/json", **{header: value for header, value in named.items() if isinstance(value, str)}}


def refusal_of(operation: Operation, arguments: Mapping[str, Any]) -> Refusal | None:
    """What is wrong with the arguments, by the tool's schema; what the events themselves must be the contract judges."""
    name, usual = name_of(operation, arguments), BODY[operation.shape]
    names = [usual, EVENTS] if operation.shape is Shape.EVENT else [usual]
    type_, kind = (list, "an array") if name == EVENTS else (_BODIES[operation.shape], _NAMES[operation.shape])
    faults = Faults()
    if name not in arguments:
        faults.add(f"/{name}", "bad_parameter", "This argument is missing.", f"Send {' or '.join(names)}.")
    elif name != usual and usual in arguments:
        faults.add(f"/{usual}", "bad_parameter", f"This and {name} are both there.", f"Send {usual} for one event, or {name} for several.")
    elif not isinstance(arguments[name], type_) and (is_for_a_job(operation, arguments) or _is_sent(operation, arguments)):
        cure = f"Send {kind} itself, not its text." if isinstance(arguments[name], str) else f"Send {kind}."
        faults.add(f"/{name}", "bad_parameter", f"This is not {kind}.", cure)
    options = {key: value for key, value in arguments.items() if key not in names}
    for error in _SCHEMA.iter_errors(options):
        _add(error, names, faults)
    if not faults:
        return None
    kept = tuple(dict.fromkeys(faults))
    return Refusal(400, kept[0].reason, "These are not the tool's arguments. Nothing was sent: correct what errors names.", kept)


def _is_sent(operation: Operation, arguments: Mapping[str, Any]) -> bool:
    """Whether the contract would let the body pass; where it does not, it says best why."""
    return settings.GATEWAY_VALIDATION != "strict" or body_of(operation, arguments).exact(operation).accepted


def _add(error: ValidationError, bodies: list[str], faults: Faults) -> None:
    """In our own words: the library's quote values."""
    if error.validator == "additionalProperties":
        for name in sorted({str(name) for name in error.instance} - set(OPTIONS)):  # type: ignore[union-attr]
            taken = ", ".join([*bodies, *OPTIONS])
            faults.add(f"/{escape(name)}", "bad_parameter", "There is no such argument.", f"Leave it out. There are {taken}.")
        return
    name = str(error.path[0])
    reason = "bad_idempotency_key" if name == "idempotency_key" else "bad_parameter"
    if error.validator == "type":
        kind = _KINDS[str(error.validator_value)]
        faults.add(f"/{name}", reason, f"This is not {kind}.", f"Send {kind}, or leave it out.")
    else:
        faults.add(f"/{name}", reason, "This is not printable ASCII text of the right length.", "Send printable ASCII, or leave it out.")


def serialise(value: Any) -> bytes:
    """Compact JSON in UTF-8, members in the order given. Half a surrogate pair, which UTF-8 has no place for, stays an escape.

    Raises Refusal for what is nested too deeply.
    """
    try:
        try:
            text = _dump(value)
        except ValueError:
            text = _dump(_marked(value)).replace(f'"{_MARK}"', _HUGE).replace(f'"-{_MARK}"', f"-{_HUGE}")
    except RecursionError:
        raise Refusal(400, "too_deep", "The gateway does not send this: it is nested too deeply.") from None
    return (_SURROGATE.sub(_escaped, text) if _SURROGATE.search(text) else text).encode()


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _marked(value: Any) -> Any:
    """A copy with a mark for each number beyond a double, which the parser made infinite."""
    if isinstance(value, float) and not isfinite(value):
        return _MARK if value > 0 else f"-{_MARK}"
    if isinstance(value, dict):
        return {name: _marked(member) for name, member in value.items()}
    return [_marked(element) for element in value] if isinstance(value, list) else value


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
