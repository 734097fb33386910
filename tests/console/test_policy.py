"""What pages may load: of the admin only its own, of anything else nothing."""

import pytest

from tests.console.pages import CALLS, KEYS

pytestmark = pytest.mark.django_db


def policy(answer) -> dict[str, list[str]]:
    parts = [part.split() for part in answer["Content-Security-Policy"].split(";")]
    return {name: values for name, *values in parts}


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/", CALLS, f"{KEYS}add/", "/admin/nothing/", f"{CALLS}add/"])
def test_pages_of_the_admin_run_no_inline_script_and_load_nothing_from_elsewhere(admin_client, path):
    sources = policy(admin_client.get(path))
    assert sources["default-src"] == ["'none'"]
    assert "'unsafe-inline'" not in sources["script-src"]
    assert set(sources["script-src"]) <= {"'self'", "'unsafe-eval'"}
    assert {value for values in sources.values() for value in values} <= {"'self'", "'none'", "'unsafe-eval'", "'unsafe-inline'", "data:"}
    assert sources["frame-ancestors"] == ["'none'"]


@pytest.mark.parametrize("path", ["/healthz", "/v1/calls", "/nothing", "/openapi.json", "/administer", "/Admin/", "//admin/"])
def test_what_is_no_page_may_load_nothing(client, path):
    assert policy(client.get(path))["default-src"] == ["'none'"]
    assert "script-src" not in policy(client.get(path))


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/", CALLS, f"{KEYS}add/", "/admin/nothing/"])
def test_pages_of_the_admin_are_not_kept_by_anybody(admin_client, path):
    answer = admin_client.get(path)
    assert "no-store" in answer["Cache-Control"]
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
