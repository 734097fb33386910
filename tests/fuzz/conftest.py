"""A gateway that runs, with a sandbox of its own, for all tests of this folder; whatever they send, its log must be complete."""

from collections.abc import Iterator

import pytest

from tests.conftest import RunningSandbox
from tests.fuzz.live import Live


@pytest.fixture(scope="package")
def _live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    upstream = RunningSandbox()
    upstream.start()
    live = Live(tmp_path_factory.mktemp("gateway"), upstream)
    yield live
    live.stop()
    upstream.stop()


@pytest.fixture
def live(_live: Live) -> Iterator[Live]:
    """The gateway; after each test it is still the same process, and its log tells of all that it did."""
    yield _live
    _live.is_unharmed()
