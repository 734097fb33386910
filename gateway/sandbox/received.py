"""What the sandbox took: the last requests in order, exact counts of all, and the state of job runs."""

import base64
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

MAX_REQUESTS: Final = 10_000
MAX_BYTES: Final = 256 * 1024 * 1024
MAX_JOB_RUNS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Request:
    """One request whose body was read whole. `stored`: RudderStack would have it now, whatever was answered."""

    number: int
    at: float
    operation: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    status: int
    stored: bool
    events: int

    def shown(self) -> dict[str, Any]:
        """As `/received` shows it; the body as base64, and as text where it is UTF-8."""
        try:
            text: str | None = self.body.decode()
        except UnicodeDecodeError:
            text = None
        return {
            "number": self.number,
            "at": datetime.fromtimestamp(self.at, UTC).isoformat(),
            "operation": self.operation,
            "path": self.path,
            "headers": self.headers,
            "body_base64": base64.b64encode(self.body).decode(),
            "body": text,
            "status": self.status,
            "stored": self.stored,
            "events": self.events,
        }


@dataclass(slots=True)
class Received:
    """A ring of the last requests, bounded in number and bytes; the counts are of all."""

    calls: int = 0
    stored: int = 0
    events: int = 0
    _ring: deque[Request] = field(default_factory=deque)
    _bytes: int = 0

    def add(self, request: Request) -> None:
        """One more; the oldest go."""
        self.calls += 1
        if request.stored:
            self.stored += 1
            self.events += request.events
        self._ring.append(request)
        self._bytes += len(request.body)
        while len(self._ring) > MAX_REQUESTS or self._bytes > MAX_BYTES:
            self._bytes -= len(self._ring.popleft().body)

    def page(self, after: int, limit: int) -> list[Request]:
        """Up to `limit` requests that are still there, from the first with a number above `after` on."""
        if not self._ring:
            return []
        start = max(0, after - self._ring[0].number + 1)
        return [self._ring[index] for index in range(start, min(start + limit, len(self._ring)))]


@dataclass(slots=True)
class JobRuns:
    """Events taken by job run, task run and source, of the last `MAX_JOB_RUNS` runs. Here all are delivered at once."""

    _runs: OrderedDict[str, dict[tuple[str, str], int]] = field(default_factory=OrderedDict)

    def add(self, job_run: str, task_run: str, source: str, events: int) -> None:
        """Count events of a job run."""
        run = self._runs.setdefault(job_run, {})
        self._runs.move_to_end(job_run)
        run[task_run, source] = run.get((task_run, source), 0) + events
        while len(self._runs) > MAX_JOB_RUNS:
            self._runs.popitem(last=False)

    def status(self, job_run: str, tasks: list[str], sources: list[str], destinations: Mapping[str, list[str]]) -> dict[str, Any] | None:
        """The answer of /internal/v2/job-status/ID, or None for 404. `destinations`: the enabled ones of each source."""
        found: dict[str, list[dict[str, Any]]] = {}
        for (task, source), events in self._runs.get(job_run, {}).items():
            if (tasks and task not in tasks) or (sources and source not in sources):
                continue
            done = {"completed": True, "stats": {"in": events, "out": events, "failed": 0}}
            sinks = [{"id": destination, **done} for destination in destinations.get(source, [])]
            found.setdefault(task, []).append({"id": source, **done, "destinations": sinks or None})
        if not found:
            return None
        return {"id": job_run, "tasks": [{"id": task, "sources": rows} for task, rows in found.items()]}
