"""System checks with stable ids. The web process does not start while one of them speaks; other commands only show them."""

from collections.abc import Sequence
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db import DatabaseError, connection

from rudderproxy.environment import INSECURE_KEY

TAG: Final = "gateway"
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "::1", "testserver", ".localhost"})


def check_settings(app_configs: Any, **_: Any) -> Sequence[CheckMessage]:
    """W001 no upstream · E002 DEBUG on a public host · W003 default secret key · E004, E007 several web or MCP processes on SQLite."""
    found: list[CheckMessage] = []
    if not settings.RUDDERSTACK_BASE_URL:
        hint = "Set it to the address of RudderStack's gateway, such as http://rudderstack:8080."
        found.append(Warning("RUDDERSTACK_BASE_URL is not set: there is nowhere to forward to.", hint=hint, id="gateway.W001"))
    if settings.DEBUG and not _LOCAL.issuperset([*settings.ALLOWED_HOSTS, settings.GATEWAY_HOST]):
        found.append(Error("DJANGO_DEBUG is on for a host that others can reach.", hint="Turn it off: its pages show settings.", id="gateway.E002"))
    if settings.SECRET_KEY == INSECURE_KEY:
        hint = "Set it to 50 random characters; `make run` makes one by itself."
        found.append(Warning("DJANGO_SECRET_KEY is not set: the admin's sessions could be forged.", hint=hint, id="gateway.W003"))
    for kind, setting, identity in (("web", "GATEWAY_WEB_PROCESSES", "gateway.E004"), ("MCP", "GATEWAY_MCP_PROCESSES", "gateway.E007")):
        if _is_sqlite() and getattr(settings, setting) > 1:
            hint = f"Set {setting} to 1, or DATABASE_URL to PostgreSQL."
            found.append(Error(f"SQLite takes one {kind} process: several only wait for each other.", hint=hint, id=identity))
    return found


def check_sqlite(app_configs: Any, databases: Any = None, **_: Any) -> Sequence[CheckMessage]:
    """E005 SQLite without WAL and synchronous=FULL: a committed intent could be lost with the power. Looks only where databases are checked."""
    if not databases or not _is_sqlite():
        return []
    try:
        with connection.cursor() as cursor:
            mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
            synchronous = cursor.execute("PRAGMA synchronous").fetchone()[0]
    except DatabaseError as error:
        return [Error(f"The database cannot be opened: {error}.", hint="Check DATABASE_URL and the folder's rights.", id="gateway.E006")]
    if (mode, synchronous) != ("wal", 2):
        hint = "Use a file on a local disk: WAL does not work on network shares."
        return [Error(f"SQLite runs with journal_mode={mode}, synchronous={synchronous}.", hint=hint, id="gateway.E005")]
    return []


def _is_sqlite() -> bool:
    return bool(settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"))
