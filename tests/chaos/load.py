"""Many callers at once, and what each of them was told."""

import heapq
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from random import Random

from tests.conftest import EVENT, RunningSandbox
from tests.processes import Gateway

THREADS = 16
LONGEST_DELAY = 0.05
REFUSED_SECONDS = 0.3
"""Until a caller who got no answer sends something again."""
ASKED_TWICE = 0.05
"""The share of answered calls with a key whose callers ask again all the same."""


@dataclass(frozen=True)
class Told:
    """One answer; status 0 where none came."""

    status: int
    text: str = ""
    audit_id: str | None = None
    pending: bool = False

    @property
    def reason(self) -> str | None:
        """Why not, of a problem."""
        return json.loads(self.text)["reason"] if self.status >= 400 else None

    @property
    def again_after(self) -> float | None:
        """Seconds after which a caller with a key asks again; None where this is the end."""
        if self.status in (0, 503):
            return REFUSED_SECONDS
        return 1.0 if self.reason == "in_flight" else None


@dataclass(eq=False)
class Request:
    """One body, sent once, or under its key until there is an end."""

    body: bytes
    key: str | None
    told: list[Told] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """As the log has it."""
        return sha256(self.body).hexdigest()

    def has(self, status: int) -> Iterator[Told]:
        """The answers of this status."""
        return (told for told in self.told if told.status == status)


class Load:
    """Replay calls from THREADS callers: small and large ones, half of them with a key, and the sandbox takes its time."""

    def __init__(self, gateway: Gateway, sandbox: RunningSandbox, seed: int) -> None:
        self.requests: list[Request] = []
        self._gateway = gateway
        self._sandbox = sandbox
        self._seed = seed
        self._lock = threading.Lock()
        self._waiting: list[tuple[float, int, Request]] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(Random(f"{seed}/{number}"),), name=str(number)) for number in range(THREADS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """No new calls; those that were not answered with an end are asked for again by `finish`."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def finish(self, seconds: float) -> None:
        """Ask again for what has no end yet."""
        limit = time.monotonic() + seconds
        while self._waiting and time.monotonic() < limit:
            if request := self._due():
                self._send(request)
            else:
                time.sleep(0.05)
        assert not self._waiting, f"{len(self._waiting)} keys have no end"

    def repeat(self, request: Request) -> None:
        """Ask once more, whatever was told."""
        request.told.append(self._post(request))

    def _call(self, random: Random) -> None:
        while not self._ended.is_set():
            self._sandbox.sandbox.delay = random.uniform(0, LONGEST_DELAY)
            request = self._due() or self._new(random)
            self._send(request)
            if request.key and request.told[-1].status == 200 and random.random() < ASKED_TWICE:
                self._wait(request, random.uniform(0, 10))
            time.sleep(random.uniform(0, 0.1) if request.told[-1].status else REFUSED_SECONDS)

    def _new(self, random: Random) -> Request:
        name = f"{self._seed}-{threading.current_thread().name}-{random.getrandbits(64):x}"
        event = EVENT | {"messageId": name} | ({"properties": {"note": "x" * 200_000}} if random.random() < 0.1 else {})
        request = Request(json.dumps({"batch": [event]}).encode(), name if random.random() < 0.5 else None)
        self.requests.append(request)
        return request

    def _send(self, request: Request) -> None:
        told = self._post(request)
        request.told.append(told)
        if request.key and told.again_after:
            self._wait(request, told.again_after)

    def _post(self, request: Request) -> Told:
        headers = {"Authorization": f"Bearer {self._gateway.key}", **({"Idempotency-Key": request.key} if request.key else {})}
        connection = HTTPConnection("127.0.0.1", self._gateway.port, timeout=30)
        try:
            connection.request("POST", "/v1/internal/v1/replay", request.body, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        except (OSError, HTTPException):
            return Told(0)
        finally:
            connection.close()
        return Told(answer.status, text, answer.headers["X-Audit-Id"], answer.headers["X-Audit-State"] == "pending")

    def _wait(self, request: Request, seconds: float) -> None:
        with self._lock:
            heapq.heappush(self._waiting, (time.monotonic() + seconds, id(request), request))

    def _due(self) -> Request | None:
        with self._lock:
            return heapq.heappop(self._waiting)[2] if self._waiting and self._waiting[0][0] <= time.monotonic() else None
