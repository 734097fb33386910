"""Who may upload in the admin, by the session's cookie."""

from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client

from gateway.ingress.sessions import is_upload, may_upload

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cookies(django_user_model):
    """The Cookie header of somebody who is signed in."""

    def signed_in(permission: str = "add_job", **fields) -> str:
        user = django_user_model.objects.create(username=f"user-{uuid4()}", **{"is_staff": True, **fields})
        user.user_permissions.set(Permission.objects.filter(codename=permission))
        client = Client()
        client.force_login(user)
        if not fields.get("is_active", True):
            user.save()
        return f"theme=dark; sessionid={client.cookies['sessionid'].value}; csrftoken=x"

    return signed_in


@pytest.mark.parametrize("permission", ["add_job", "change_job"])
def test_who_may_make_or_change_jobs_may_upload(cookies, permission):
    assert may_upload(cookies(permission))


@pytest.mark.parametrize("other", ['prefs={"a": 1}', "kéy=1", "a b=c", "=x"])
def test_cookies_of_others_do_not_keep_anybody_from_it(cookies, other):
    assert may_upload(f"{other}; {cookies()}")


def test_a_superuser_may_upload(cookies):
    assert may_upload(cookies("none", is_superuser=True))


@pytest.mark.parametrize("fields", [{"permission": "view_job"}, {"is_staff": False}])
def test_who_may_not_may_not(cookies, fields):
    assert not may_upload(cookies(**fields))


def test_who_is_disabled_since_may_not(cookies, django_user_model):
    header = cookies()
    django_user_model.objects.update(is_active=False)
    assert not may_upload(header)


@pytest.mark.parametrize(
    "header", ["", "sessionid=", "sessionid=nothing-there-of-this-name-1234", "sessionid=\0", "a=b", ";;;=", "sessionid=../../x"]
)
def test_a_stranger_may_not(header):
    assert not may_upload(header)


def test_where_that_cannot_be_told_nobody_may(cookies):
    header = cookies()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_session RENAME TO gone")
    try:
        assert not may_upload(header)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE gone RENAME TO django_session")


@pytest.mark.parametrize(
    ("method", "path", "kind", "expected"),
    [
        ("POST", "/admin/jobs/job/add/", b"multipart/form-data; boundary=x", True),
        ("POST", "/admin/jobs/job/add/", b"application/x-www-form-urlencoded", False),
        ("GET", "/admin/jobs/job/add/", b"multipart/form-data; boundary=x", False),
        ("POST", "/admin/audit/call/", b"multipart/form-data; boundary=x", False),
        ("POST", "/v1/jobs", b"multipart/form-data; boundary=x", False),
    ],
)
def test_only_forms_for_jobs_are_uploads(method, path, kind, expected):
    assert is_upload({"method": method, "path": path, "headers": [(b"content-type", kind)]}) is expected
