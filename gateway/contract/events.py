"""The exact check of audiencelist, extract, replay and retl (rudder-server gateway/handle.go, gateway/validator)."""

import marshal
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final, TypeVar

from gateway.contract.decoding import SHORTEST_OVERFLOW, Object, first, firsts, may_overflow, overflows, spans
from gateway.contract.faults import Faults, Trail, pointer
from gateway.contract.reading import Reading
from gateway.contract.verdict import Verdict
from gateway.contract.visible import is_blank
from gateway.operations import Operation, Shape

TYPES_WITHOUT_USER: Final = ("record", "extract")
_Item = TypeVar("_Item")

_ASKED: Final = frozenset(("messageId", "userId", "anonymousId", "type"))
_FEW: Final = 16
_STRETCH: Final = 64
"""Items that are searched for a number beyond a double together."""
_NESTS: Final = (list, tuple)
_SET_ANEW: Final = ("messageId", "rudderId")
_NUMBER_CURE: Final = "Send a number between -1.7976931348623157e308 and 1.7976931348623157e308, or a string."


def check_events(operation: Operation, value: object, text: bytes) -> Verdict:
    """Judge a decoded body; `text` is its unpacked bytes. The order of the faults is RudderStack's order of judging."""
    faults = Faults()
    where, events = _events(operation, value)
    if operation.shape is Shape.EVENT and isinstance(value, list):
        faults.add("", "not_an_event", "The body is an array, but this operation takes one event.", "Send one event, as an object.")
    without_message_id = 0
    for index, event in enumerate(events):
        if not event or not isinstance(event, tuple):
            without_message_id += 1
            if not faults.full:
                _add_fault(operation, where.format(index), event, faults)
            continue
        if len(event) > _FEW:  # gone through once, not once for each key
            event = tuple([pair for pair in event if pair[0] in _ASKED])
        message_id = first(event, "messageId")
        without_message_id += message_id is None or not is_message_id(message_id)
        if not faults.full and not _has_user(operation, event):
            _add_fault(operation, where.format(index), event, faults)
    size = _counted_size(operation, value, text)
    if operation.size_limit and size > operation.size_limit and not any(_type(event) == "audiencelist" for event in events):
        faults.add(
            "",
            "too_large",
            f"RudderStack counts {size:,} bytes here and takes at most {operation.size_limit:,}, unpacked.",
            "Send fewer events in one call, or make the event smaller.",
        )
    if may_overflow(text):
        ignored = (*_SET_ANEW, "type") if operation.sets_type else _SET_ANEW
        search = _OverflowSearch(where, ignored, faults, 4 * len(text))
        for index, event in search.suspects(events):
            if faults.full:
                break
            search.look_into(index, event)
    if operation.shape is Shape.BATCH and not events:
        faults.add(
            "/batch" if isinstance(value, tuple) and first(value, "batch") is not None else "",
            "empty_batch",
            "There are no events: the body must be an object with a key batch that holds at least one.",
            'Send {"batch": [event, …]}; the key is lower case, and of doubled keys the first counts.',
        )
    job, task = run_ids(first(events[0], "context") if events and isinstance(events[0], tuple) else None)
    return Verdict(Reading(len(events), job, task, without_message_id=without_message_id), next(iter(faults.first), None), tuple(faults))


def _events(operation: Operation, value: object) -> tuple[str, list[object]]:
    """The events, and the pointer to each with its index left open. What is no event stays in the list for its turn."""
    if operation.shape is Shape.EVENT:
        return "", [] if isinstance(value, list) else [value if isinstance(value, tuple) else ()]
    batch = first(value, "batch") if isinstance(value, tuple) else None
    if isinstance(batch, list):
        return "/batch/{}", batch
    return "/batch", [] if batch is None else [batch]


def _type(event: object) -> object:
    return first(event, "type") if isinstance(event, tuple) else None


def _has_user(operation: Operation, event: Object) -> bool:
    if operation.without_user or _is_user(first(event, "userId")) or _is_user(first(event, "anonymousId")):
        return True
    return operation.sets_type is None and first(event, "type") in TYPES_WITHOUT_USER


def _add_fault(operation: Operation, place: str, event: object, faults: Faults) -> None:
    """That it is no event, or has no user. An empty event has all that is asked for where no user is."""
    if not isinstance(event, tuple):
        faults.add(place, "not_an_event", "This is no event: an event is a JSON object.", "Send an object here, or leave it out.")
    elif not operation.without_user:
        named = next((key for key in ("userId", "anonymousId") if first(event, key) is not None), None)
        faults.add(
            f"{place}/{named}" if named else place,
            "missing_user",
            "The event has neither a userId nor an anonymousId that can be seen (null, empty and blank ones do not count).",
            "Give the event a userId or an anonymousId; upper and lower case of the key count."
            + ("" if operation.sets_type else " Only events of type record or extract go without."),
        )


def _is_user(value: object) -> bool:
    """Anything but null and a string of nothing visible: 0, false and {} are users."""
    return value is not None and not (isinstance(value, str) and is_blank(value))


def _counted_size(operation: Operation, value: object, text: bytes) -> int:
    """The size that RudderStack compares with its limit. It wraps an event in 21 bytes and sets its type before it counts."""
    if operation.shape is Shape.BATCH or operation.size_limit is None or len(text) + 64 < operation.size_limit:
        return len(text)
    if not isinstance(value, tuple):
        return 0
    set_type = len(f'"{operation.sets_type}"')
    characters = text.decode("latin-1")
    for key, start, end in spans(characters):
        if key == "type":
            return len(text) + 21 + set_type - (end - start)
    return len(text.strip(b" \t\n\r")) + 21 + len(',"type":') + set_type


class _OverflowSearch:
    """For numbers that no double holds, in what is stored of an event: of doubled keys the first; not what RudderStack sets anew."""

    def __init__(self, where: str, ignored: tuple[str, ...], faults: Faults, most_copied: int) -> None:
        self._where = where
        self._ignored = ignored
        self._faults = faults
        self._most_copied = most_copied
        self._huge = cache(overflows)

    def suspects(self, items: Sequence[_Item]) -> Iterator[tuple[int, _Item]]:
        """The items that may hold such a number: most stretches of many are free of them, which a copy of their bytes soon tells."""
        if len(items) <= _STRETCH:
            return enumerate(items)
        stretches = ((start, items[start : start + _STRETCH]) for start in range(0, len(items), _STRETCH))
        return chain.from_iterable(enumerate(stretch, start) for start, stretch in stretches if self._is_suspect(stretch))

    def look_into(self, index: int, event: object) -> None:
        """Add the faults of this event, of a list the last ones first. The other stretches of a list wait: the last can hold faults enough."""
        waiting: list[tuple[Trail, object, int | None]] = [((), event, None)]
        while waiting and not self._faults.full:
            trail, value, end = waiting.pop()
            if isinstance(value, tuple):
                ignored = self._ignored if value is event else ()
                pairs = value if len(value) <= _STRETCH else [pair for _, pair in self.suspects(value)]
                if keys := {key for key, item in pairs if key not in ignored and self._leads_on(item)}:
                    waiting += [((trail, key), item, None) for key, item in firsts(value).items() if key in keys and self._leads_on(item)]
            elif isinstance(value, list):
                end = len(value) if end is None else end
                start = max(0, end - _STRETCH)
                if start:
                    waiting.append((trail, value, start))
                stretch = value[start:end]
                if len(value) <= _STRETCH or self._is_suspect(stretch):
                    waiting += [((trail, step), item, None) for step, item in enumerate(stretch, start) if self._leads_on(item)]
            elif self._leads_on(value):
                place = pointer(self._where.format(index), trail)
                self._faults.add(place, "number_overflow", "This number does not fit a double.", _NUMBER_CURE)

    def _is_suspect(self, stretch: Any) -> bool:
        if self._most_copied < 0:
            return True  # deeper and deeper, the same bytes would be copied again and again
        try:
            copy = marshal.dumps(stretch)
        except ValueError:
            self._most_copied = -1  # too deep for marshal: what it copied in vain is not known
            return True
        self._most_copied -= len(copy)
        return may_overflow(copy)

    def _leads_on(self, item: object) -> bool:
        """Whether it is such a number, or may hold one."""
        if isinstance(item, bytes):
            return len(item) >= SHORTEST_OVERFLOW and self._huge(item)
        return isinstance(item, _NESTS) and bool(item)


def run_ids(context: object) -> tuple[str, str]:
    """Job run and task run of an event's context, as RudderStack reads them: "" for what is no string."""
    sources = first(context, "sources") if isinstance(context, tuple) else None
    job, task = (first(sources, key) if isinstance(sources, tuple) else None for key in ("job_run_id", "task_run_id"))
    return job if isinstance(job, str) else "", task if isinstance(task, str) else ""


def is_message_id(value: object) -> bool:
    """Whether RudderStack keeps it as an event's messageId: a string of which something can be seen. Else it makes a random one."""
    return isinstance(value, str) and not is_blank(value)
