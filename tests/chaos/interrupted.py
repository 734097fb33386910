"""One call whose gateway is killed under it, with an idempotency key of its own."""

import json
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException

import requests

from tests.chaos.database import Database
from tests.chaos.ledger import Call, Ledger, Outcome
from tests.chaos.supervisor import Supervisor
from tests.conftest import EVENT
from tests.processes import wait_for


@dataclass
class Interrupted:
    """`bytes` is about how large its body is; `arrived` how often the sandbox got it, told when all runs again."""

    key: str
    supervisor: Supervisor
    database: Database
    bytes: int = 0
    arrived: int = 0
    restarted: float = 0.0
    answers: list[int] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        """A replay of one event."""
        return json.dumps({"batch": [EVENT | {"messageId": self.key, "properties": {"note": "x" * self.bytes}}]}).encode()

    def send(self) -> None:
        """In a thread; `answers` gets the status, if one comes."""
        self._caller = threading.Thread(target=self._send)
        self._caller.start()

    def kill(self) -> None:
        """SIGKILL to the web server, while the caller waits."""
        self.supervisor.kill_web()
        self._caller.join()

    def restart(self, upstream: str) -> None:
        """The web server again, in front of this RudderStack."""
        self.supervisor.gateway.env["RUDDERSTACK_BASE_URL"] = upstream
        self.supervisor.restart_web()
        self.restarted = time.monotonic()

    def retry(self) -> requests.Response:
        """The same call again."""
        return self.supervisor.gateway.send("replay", self.body, {"Idempotency-Key": self.key})

    def tries(self) -> list[Call]:
        """Its intents; not what was refused under its key."""
        return [call for call in Ledger(self.database).calls.values() if call.key == self.key and call.tries]

    def outcomes(self) -> list[Outcome]:
        """All that was written of them."""
        ledger = Ledger(self.database)
        return [outcome for call in self.tries() for outcome in ledger.outcomes.get(call.id, [])]

    def wait_for_intent(self) -> None:
        """Until it is committed."""
        wait_for(self.tries)

    def _send(self) -> None:
        gateway = self.supervisor.gateway
        connection = HTTPConnection("127.0.0.1", gateway.port, timeout=30)
        try:
            connection.request("POST", "/v1/internal/v1/replay", self.body, {"Authorization": f"Bearer {gateway.key}", "Idempotency-Key": self.key})
            self.answers.append(connection.getresponse().status)
        except (OSError, HTTPException):
            pass
        finally:
            connection.close()
