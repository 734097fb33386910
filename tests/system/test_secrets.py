"""Seeded secrets appear in no row, log line, answer, page or traceback."""

import base64
import re
import sqlite3

import requests

from tests.conftest import GOOD

WRITE_KEY = "SEEDEDwritekey0123456789"
PASSWORD = "SEEDEDpassword0123456789"
DJANGO = "SEEDEDdjango01234567890123456789012345678901234567890123"
WEBHOOK = "SEEDEDwebhook01234567890123456789"
BASIC = base64.b64encode(f"wk-1:{PASSWORD}".encode()).decode()
AUTHORIZATION = "SEEDEDauthorization0123"


def test_seeded_secrets_are_nowhere(gateway_with, sandbox):
    gateway = gateway_with(
        None,
        RUDDERSTACK_USER="wk-1",
        RUDDERSTACK_PASS=PASSWORD,
        RUDDERSTACK_WRITE_KEYS=f"src-1={WRITE_KEY}",
        DJANGO_SECRET_KEY=DJANGO,
        GATEWAY_WEBHOOK_SECRET=WEBHOOK,
        GATEWAY_LOG_LEVEL="DEBUG",
        DJANGO_SUPERUSER_PASSWORD="a-password-of-an-admin",
    )
    gateway.start_worker()
    gateway.manage("createsuperuser", "--noinput", "--username", "admin", "--email", "a@localhost")
    answers = []

    def send(*arguments, **options):
        answer = gateway.send(*arguments, **options)
        answers.append(answer.text + str(answer.headers))

    for route, body in GOOD.items():
        send(route, body)
    echo = f"{PASSWORD} {WRITE_KEY} {WEBHOOK} Basic {BASIC}"
    for status, kind in ((200, "text/plain"), (400, "application/json"), (400, "text/plain"), (500, "text/plain"), (302, "text/plain")):
        sandbox.trouble("answer", times=1, status=status, content_type=kind, body=f'{{"echo": "{echo}"}}', headers={"Location": f"/?{PASSWORD}"})
        send("replay", GOOD["replay"])
    for kind in ("reset_before", "half_answer"):
        sandbox.trouble(kind, times=1)
        send("replay", GOOD["replay"])
    send("replay", b"{")
    send("replay", GOOD["replay"], headers={"Authorization": f"Bearer {AUTHORIZATION}"})
    send("replay", GOOD["replay"], headers={"User-Agent": f"Bearer {AUTHORIZATION}", "Cookie": AUTHORIZATION, "AnonymousId": AUTHORIZATION})
    pages = [_pages(gateway)]
    # A failure inside: the table is gone, so views outside the log raise.
    database = sqlite3.connect(gateway.folder / "var" / "gateway.sqlite3")
    dump = "\n".join(database.iterdump())
    database.execute("DROP TABLE audit_outcome")
    database.close()
    answers.append(gateway.get("/v1/calls").text)
    pages.append(_pages(gateway))
    gateway.stop()
    broker = "".join(path.read_text(errors="replace") for path in (gateway.folder / "var" / "broker").rglob("*") if path.is_file())
    for name, text in {"answers": "\n".join(answers), "rows": dump, "log lines": gateway.log, "pages": "\n".join(pages), "messages": broker}.items():
        for secret in (WRITE_KEY, PASSWORD, BASIC, DJANGO, WEBHOOK, gateway.key, AUTHORIZATION):
            assert secret not in text, f"{secret[:12]}… is in {name}: …{text[max(0, text.index(secret) - 200) : text.index(secret)]}"
    assert "unexpected" in gateway.log  # the failure inside was logged, with its place


def _pages(gateway):
    """Every page of the admin that shows the log or keys, logged in."""
    browser = requests.Session()
    browser.trust_env = False
    form = browser.get(f"{gateway.url}/admin/login/", timeout=10).text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)[1]
    login = {"username": "admin", "password": "a-password-of-an-admin", "csrfmiddlewaretoken": token}
    browser.post(f"{gateway.url}/admin/login/?next=/admin/", data=login, headers={"Referer": gateway.url}, timeout=10)
    found = ""
    for path in ("audit/call/", "audit/action/", "access/apikey/", "access/client/"):
        page = browser.get(f"{gateway.url}/admin/{path}", timeout=10)
        found += page.text
        for link in set(re.findall(rf'href="(/admin/{path}[0-9a-f-]+/[^"]*)"', page.text)):
            found += browser.get(f"{gateway.url}{link}", timeout=10).text
    browser.close()
    return found
