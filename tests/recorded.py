"""The answers that a real RudderStack gateway gave, one request each (see tests/data/README.md)."""

import base64
import gzip
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from gateway.operations import OPERATIONS


@dataclass(frozen=True)
class Recorded:
    name: str
    operation: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int
    answer: str
    content_type: str | None

    @property
    def is_about_the_body(self) -> bool:
        """Whether the credential, route and method were good, so that the body decided."""
        plain = self.method == "POST" and self.path.partition("?")[0] == OPERATIONS[self.operation].upstream_path
        return plain and self.status not in (401, 404) and not self.answer.startswith("invalid destination")


@lru_cache(maxsize=1)
def recorded() -> tuple[Recorded, ...]:
    with gzip.open(Path(__file__).parent / "data" / "vectors.jsonl.gz") as lines:
        return tuple(_parse(json.loads(line)) for line in lines)


def _parse(row: dict[str, Any]) -> Recorded:
    body = base64.b64decode(row["body_b64"])
    if row.get("body_gzip"):
        body = gzip.decompress(body)
    names = ("name", "operation", "method", "path", "headers", "status", "answer", "content_type")
    return Recorded(body=body, **{name: row[name] for name in names})
