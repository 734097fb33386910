"""The log, read whole, beside what was sent to the gateway, what callers were told, and what arrived: every promise as a search for who breaks it."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.chaos.database import Database
from tests.chaos.load import Request, Told


@dataclass(frozen=True)
class Call:
    """An intent. `tries`: which one under its key; None for what was refused, and without a key."""

    id: str
    sha256: str
    key: str
    tries: int | None
    deadline_at: datetime


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    number: int
    result: str
    status: int | None
    reason: str
    at: datetime


class Ledger:
    """The rows as they are now."""

    def __init__(self, database: Database) -> None:
        with database.connected() as connection:
            calls = connection.execute("SELECT id, sha256, idempotency_key, idempotency_try, deadline_at FROM audit_call").fetchall()
            outcomes = connection.execute("SELECT call_id, number, result, status, reason, at FROM audit_outcome ORDER BY call_id, number").fetchall()
        self.calls = {call.id: call for call in (Call(_id(row[0]), *row[1:4], _time(row[4])) for row in calls)}
        self.outcomes: defaultdict[str, list[Outcome]] = defaultdict(list)
        for row in outcomes:
            self.outcomes[_id(row[0])].append(Outcome(*row[1:5], _time(row[5])))

    def open(self) -> list[str]:
        """The calls without an outcome."""
        return [id_ for id_ in self.calls if id_ not in self.outcomes]

    def results(self) -> Counter[str]:
        """How many calls read how."""
        return Counter(self.last(id_) for id_ in self.calls)

    def last(self, id_: str) -> str:
        """How a call reads."""
        return self.outcomes[id_][-1].result if id_ in self.outcomes else "in_flight"

    def longest_wait(self) -> float:
        """Seconds from a deadline to the row that says that it passed, at most."""
        late = [
            (rows[0].at - self.calls[id_].deadline_at).total_seconds() for id_, rows in self.outcomes.items() if rows[0].reason == "deadline_passed"
        ]
        return max(late, default=0.0)

    def broken_promises(self, requests: list[Request], arrived: Mapping[str, int]) -> Iterator[str]:
        """One line for each."""
        rows: defaultdict[str, list[Call]] = defaultdict(list)
        for call in self.calls.values():
            rows[call.sha256].append(call)
        yield from self._of_outcomes()
        for digest, times in arrived.items():
            if times > len(rows[digest]):
                yield f"{digest} arrived {times} times and has {len(rows[digest])} intents"
        for request in requests:
            for told in request.told:
                yield from self._of_an_answer(told)
            check = self._of_a_key if request.key else self._of_a_single
            yield from check(request, rows[request.digest], arrived.get(request.digest, 0))

    def _of_outcomes(self) -> Iterator[str]:
        for id_, rows in self.outcomes.items():
            first, *later = rows
            truth = not later or (first.result == "unknown" and later[0].reason != "deadline_passed")
            if [row.number for row in rows] not in ([1], [1, 2]) or not truth:
                yield f"{id_} has the outcomes {[row.result for row in rows]}"
        for id_ in self.open():
            yield f"{id_} has no outcome"

    def _of_an_answer(self, told: Told) -> Iterator[str]:
        if told.status not in (0, 200, 409, 503, 504):
            yield f"a caller was told {told.status}: {told.text}"
        elif told.status and told.reason != "log_unavailable":
            rows = self.outcomes.get(told.audit_id or "", [])
            if told.audit_id not in self.calls or not rows:
                yield f"{told.audit_id} was answered with {told.status} and is not in the log"
            elif told.pending and rows[-1].result not in ("accepted", "unknown"):
                yield f"{told.audit_id} was answered as pending and reads {rows[-1].result}"
            elif not told.pending and told.status not in {row.status for row in rows}:
                yield f"{told.audit_id} was answered with {told.status} and reads {rows}"
            elif told.status == 200 and not told.pending and rows[-1].result != "accepted":
                yield f"{told.audit_id} was answered with 200 and reads {rows[-1].result}"

    def _of_a_single(self, request: Request, calls: list[Call], times: int) -> Iterator[str]:
        if len(calls) > 1:
            yield f"{request.digest} was sent once by its caller and has {len(calls)} rows"
        if any(told.reason == "log_unavailable" for told in request.told) and times:
            yield f"{request.digest} arrived, and its caller was told that nothing was sent"

    def _of_a_key(self, request: Request, calls: list[Call], times: int) -> Iterator[str]:
        tries = sorted(call.tries for call in calls if call.tries is not None)
        unsent = {told.audit_id for told in request.told if told.reason == "log_unavailable"}
        answers = {(told.audit_id, told.text) for told in request.has(200)}
        # An answer whose outcome was not written yet is no promise: later it may be known no more.
        first = next((number for number, told in enumerate(request.told) if told.status == 200 and not told.pending), len(request.told))
        if times > 1:
            yield f"{request.key} arrived {times} times"
        if tries != list(range(1, len(tries) + 1)):
            yield f"{request.key} has the tries {tries}"
        if times > sum(call.tries is not None and call.id not in unsent for call in calls):
            yield f"{request.key} arrived, and its caller was told that nothing was sent"
        if len(answers) > 1 or any(told.status not in (0, 200, 503) for told in request.told[first:]):
            yield f"{request.key} was answered with 200 and later otherwise: {request.told}"
        if not tries and any(told.reason == "outcome_unknown" for told in request.told):
            yield f"{request.key} was told an unknown outcome, and has no try"


def _id(value: Any) -> str:
    return str(uuid.UUID(str(value)))


def _time(value: Any) -> datetime:
    """SQLite's are texts in UTC."""
    return datetime.fromisoformat(f"{value}+00:00") if isinstance(value, str) else value
