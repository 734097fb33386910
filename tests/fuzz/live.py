"""A gateway in processes of its own, and what must hold of it whatever was sent to it."""

import base64
import hashlib
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.conftest import RunningSandbox
from tests.processes import Gateway, wait_for

CALLS_THAT_LEFT = """
    SELECT operation, sha256 FROM audit_call JOIN audit_outcome ON call_id = audit_call.id WHERE attempts > 0
"""
WITHOUT_ONE_OUTCOME = """
    SELECT audit_call.id FROM audit_call LEFT JOIN audit_outcome ON call_id = audit_call.id
    GROUP BY audit_call.id HAVING COUNT(call_id) <> 1
"""


class Live(Gateway):
    """A gateway whose web process runs, sending to `upstream`."""

    def __init__(self, folder: Path, upstream: RunningSandbox) -> None:
        super().__init__(folder, upstream.url)
        self.upstream = upstream
        self._web = self.start_web()
        self._workers = self._children()
        self._received: Counter[tuple[str, str]] = Counter()
        self._seen = 0

    def rows(self, query: str) -> list[Any]:
        """What the log's database answers."""
        with closing(sqlite3.connect(self.folder / "var" / "gateway.sqlite3", timeout=10)) as database:
            return database.execute(query).fetchall()

    def is_unharmed(self) -> None:
        """The processes are the same; every call has one outcome; whatever reached RudderStack, and nothing else, is in the log as sent."""
        assert self._web.poll() is None, self.log[-5000:]
        assert self._children() == self._workers
        wait_for(lambda: not self.rows(WITHOUT_ONE_OUTCOME))
        unlogged = self._reached() - Counter(self.rows(CALLS_THAT_LEFT))
        assert not unlogged, unlogged
        assert "unexpected" not in self.log, self.log[-5000:]

    def _reached(self) -> Counter[tuple[str, str]]:
        """Operation and SHA-256 of every request that the sandbox read whole."""
        while page := self.upstream.page(self._seen):
            self._received.update((row["operation"], hashlib.sha256(base64.b64decode(row["body_base64"])).hexdigest()) for row in page)
            self._seen = page[-1]["number"]
        return self._received

    def _children(self) -> str:
        return Path(f"/proc/{self._web.pid}/task/{self._web.pid}/children").read_text()
