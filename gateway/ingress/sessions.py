"""People's sessions, looked at before a large body of theirs is taken in: a stranger must not fill the disk."""

from importlib import import_module
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest, parse_cookie

from gateway.audit.database import using_log
from gateway.audit.log import LogUnavailableError, available

UPLOADS: Final = "/admin/jobs/job/"
"""What people upload in the admin goes below here."""
_ALLOWED: Final = ("jobs.add_job", "jobs.change_job")


def is_upload(scope: dict[str, Any]) -> bool:
    """Whether the request is a form with a file, for a job in the admin."""
    kind: bytes = dict(scope["headers"]).get(b"content-type", b"")
    path: str = scope["path"]
    return scope["method"] == "POST" and path.startswith(UPLOADS) and kind.lower().startswith(b"multipart/form-data")


def may_upload(cookies: str) -> bool:
    """Whether the cookies are of somebody signed in who may make or change jobs; not where that cannot be told."""
    # Not by http.cookies, which gives up at the first cookie of others that is not to its taste.
    key = parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME)
    if not key:
        return False
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    try:
        with available(), using_log():
            user = get_user(request)
            return user.is_active and bool(getattr(user, "is_staff", False)) and any(user.has_perm(one) for one in _ALLOWED)
    except LogUnavailableError:
        return False
