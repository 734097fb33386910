"""What arrived at the sandbox: how often each body did. Its own ring forgets."""

from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256

from gateway.sandbox.received import Received, Request


@dataclass(slots=True)
class Arrivals(Received):
    """Counts by the body's SHA-256, of every request that was read whole."""

    digests: Counter[str] = field(default_factory=Counter)

    def add(self, request: Request) -> None:
        """One more."""
        Received.add(self, request)
        self.digests[sha256(request.body).hexdigest()] += 1
