"""The workspace that the sandbox plays: sources, write keys, destinations. By default the one the recorded answers were made with."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class SourcesError(Exception):
    """The file of sources is not as `load` takes it; says where and why."""


@dataclass(frozen=True, slots=True)
class Source:
    """One source. `original` makes it a replay source; `destinations` maps ids to whether they are enabled."""

    id: str
    write_key: str
    enabled: bool = True
    original: str | None = None
    destinations: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Workspace:
    """Sources by id and by write key."""

    by_id: dict[str, Source]
    by_key: dict[str, Source]

    @classmethod
    def of(cls, *sources: Source) -> "Workspace":
        """A workspace of these."""
        return cls({source.id: source for source in sources}, {source.write_key: source for source in sources})


RECORDED = Workspace.of(
    Source("src-1", "wk-1", destinations={"dst-1": True, "dst-off": False}),
    Source("src-off", "wk-off", enabled=False),
    Source("rep-1", "wk-rep-1", original="src-1", destinations={"er-dst-1": True}),
    Source("rep-off", "wk-rep-off", enabled=False, original="src-1"),
)


def load(path: Path) -> Workspace:
    """A workspace from a JSON file: `[{"id", "write_key", "enabled", "original", "destinations": {id: enabled}}]`. Raises SourcesError."""
    try:
        rows = json.loads(path.read_text())
    except OSError as error:
        raise SourcesError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise SourcesError(f"{path} is not JSON: {error}") from None
    if not isinstance(rows, list) or not rows:
        raise SourcesError(f"{path} must hold an array of sources")
    return Workspace.of(*(_source(path, index, row) for index, row in enumerate(rows)))


def _source(path: Path, index: int, row: Any) -> Source:
    try:
        source = Source(**row)
        good = isinstance(source.id, str) and isinstance(source.write_key, str) and isinstance(source.enabled, bool)
        good = good and isinstance(source.original, str | None) and isinstance(source.destinations, dict)
        good = good and all(isinstance(enabled, bool) for enabled in source.destinations.values())
    except TypeError:
        good = False
    if not good:
        raise SourcesError(f"{path}: source {index} must be an object with id and write_key, and may have enabled, original and destinations")
    return source
