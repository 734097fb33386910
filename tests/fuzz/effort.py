"""How long to look: a short while in `make test`, the same every time; a long one in `make test-chaos`, another every time."""

import pytest
from hypothesis import HealthCheck, settings

_ANY = {"database": None, "deadline": None, "suppress_health_check": list(HealthCheck)}

SHORT = settings(max_examples=100, derandomize=True, **_ANY)
LONG = settings(max_examples=2000, derandomize=False, print_blob=True, **_ANY)

EFFORTS = pytest.mark.parametrize("effort", [pytest.param(SHORT, id="short"), pytest.param(LONG, id="long", marks=pytest.mark.chaos)])
"""Gives a test both, as `effort`: decorate what is given examples with it."""
