"""The console in a real browser: a person's way through it, without an error, on a large and a small screen, in light and dark."""

import re

import pytest
from playwright.sync_api import expect

from gateway.access.models import ApiKey
from gateway.audit import log
from gateway.audit.models import Action
from tests.audit.rows import new_call, new_outcome, written
from tests.console.browsing import fits, log_in
from tests.console.pages import ACTIONS, CALLS, CLIENTS, KEYS

pytestmark = pytest.mark.chromium


def test_a_reviewers_way(open_page):
    call = written("accepted", actor="ann", source="src-1", operation="retl")
    written("rejected", actor="eve")
    page = open_page()
    log_in(page)
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(2)

    page.goto(f"{CALLS}?actor=ann")
    expect(rows).to_have_count(1)
    rows.get_by_role("link", name=str(call.id)[-12:]).click()
    expect(page.locator('[data-state="accepted"]')).to_have_text("Accepted")
    expect(page.get_by_text(str(call.id)).first).to_be_visible()

    page.get_by_role("link", name="All calls").click()
    page.locator("#searchbar").fill(str(call.id))
    page.locator("#searchbar").press("Enter")
    expect(rows).to_have_count(1)


def test_older_and_newest_are_links_to_press(open_page):
    for _ in range(60):
        written("accepted")
    page = open_page()
    log_in(page)
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(50)
    page.get_by_role("link", name="Older").click()
    expect(rows).to_have_count(10)
    page.get_by_role("link", name="Newest").click()
    expect(rows).to_have_count(50)


def test_a_filter_is_chosen_in_the_page(open_page):
    written("accepted", actor="ann")
    written("accepted", actor="eve")
    page = open_page()
    log_in(page)
    page.locator("a", has_text="filter_list").click()
    page.locator('input[name="actor"]').fill("ann")
    page.get_by_role("button", name="Apply Filters").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)


def test_a_key_is_made_and_revoked(open_page):
    page = open_page()
    log_in(page)
    page.goto(f"{KEYS}add/")
    page.locator('input[name="client"]').fill("ann")
    page.get_by_role("button", name="Make the key").click()
    key = page.locator("#made-key").inner_text()
    assert re.fullmatch(r"rgw_[A-Za-z0-9]{48}", key)

    page.get_by_role("link", name="All keys").click()
    row = page.locator("#result_list tbody tr")
    expect(row).to_contain_text("In force")
    assert key not in page.content()
    row.locator('input[type="checkbox"]').check()
    page.locator('select[name="action"]').select_option("revoke")
    page.locator('button[name="index"]').click()
    expect(row).to_contain_text("Revoked")
    assert ApiKey.objects.get().revoked_at is not None
    assert list(Action.objects.order_by("id").values_list("verb", flat=True)) == ["key_made", "key_revoked"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_scrolls_sideways_on_a_small_screen(open_page, scheme, make_key):
    long = "x" * 180
    call = new_call(actor=long, source=long, request_id=long, job_run_id=long, headers=f'{{"User-Agent": "{long}"}}', sha256="ab" * 32)
    fault = f'[{{"pointer": "/batch/0/{long}", "reason": "r", "detail": "It is wrong.", "cure": "Mend it."}}]'
    log.record(call, new_outcome("rejected", answer=long * 5, faults=fault, answer_sha256="cd" * 32))
    make_key("n" * 100, sources=long)
    key = ApiKey.objects.get()
    page = open_page(360, scheme)
    page.goto("/admin/login/")
    fits(page)
    log_in(page)
    paths = (CALLS, f"{CALLS}?actor={long}", f"{CALLS}{call.id}/change/", ACTIONS, KEYS, f"{KEYS}add/", f"{KEYS}{key.pk}/change/", CLIENTS, "/admin/")
    for path in paths:
        page.goto(path)
        fits(page)
    assert page.evaluate("document.documentElement.classList.contains('dark')") == (scheme == "dark")

    page.goto(f"{KEYS}add/")
    page.locator('input[name="client"]').fill("ann")
    page.get_by_role("button", name="Make the key").click()
    expect(page.locator("#made-key")).to_be_visible()
    fits(page)
