"""Jobs' surroundings."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.jobs.engine import Slice
from gateway.jobs.lease import claim
from tests.conftest import RunningSandbox


@pytest.fixture
def client_key(transactional_db: None, make_key: Callable[..., str], sandbox: RunningSandbox, settings: Any, tmp_path: Any) -> str:
    """The key of the client that jobs are of. Threads send, so rows are committed."""
    settings.MEDIA_ROOT = tmp_path
    return make_key()


@pytest.fixture
def slices() -> Iterator[Callable[[], Slice]]:
    """Claims what is due, for a test to go step by step."""
    made: list[Slice] = []

    def claimed() -> Slice:
        lease = claim()
        assert lease is not None
        made.append(Slice(lease))
        return made[-1]

    yield claimed
    for one in made:
        one.close()
