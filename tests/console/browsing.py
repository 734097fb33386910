"""A real browser on the console, which notes whatever goes wrong in it."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect, sync_playwright

from tests.console.pages import CALLS
from tests.processes import missing

CHROMIUM = "/usr/bin/chromium"
QUIET = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
PASSWORD = "a password of the tests"


@pytest.fixture(scope="module")
def browser():
    if not Path(CHROMIUM).exists():
        missing("chromium", CHROMIUM)
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright's event loop runs in this thread, and Django would take the tests for asynchronous code.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, live_server, django_user_model):
    """Opens a page that notes what goes wrong in it; at the end nothing may have."""
    django_user_model.objects.create_superuser("admin", password=PASSWORD)
    wrong: list[str] = []
    contexts = []

    def failed(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # by going on to the next page
            wrong.append(f"failed: {request.url} {request.failure}")

    def opened(width: int = 1280, scheme: str = "light", script: bool = True) -> Page:
        screen = {"width": width, "height": 800}
        context = browser.new_context(base_url=live_server.url, viewport=screen, color_scheme=scheme, java_script_enabled=script)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on(
            "console", lambda message: wrong.append(f"console: {message.text} {message.location}") if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("requestfailed", failed)
        page.on("response", lambda answer: wrong.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None)
        page.on("request", lambda request: None if request.url.startswith((live_server.url, "data:")) else wrong.append(f"elsewhere: {request.url}"))
        return page

    yield opened
    seen = list(wrong)  # closing cuts off what is still on its way
    for context in contexts:
        context.close()
    assert seen == [], seen


def log_in(page: Page) -> None:
    page.goto(CALLS)
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile(f"{CALLS}$"))


def fits(page: Page) -> None:
    # Until its font is there an icon is a long word.
    width = page.evaluate("document.fonts.ready.then(() => document.documentElement.scrollWidth)")
    assert width <= page.evaluate("innerWidth"), (page.url, width)
