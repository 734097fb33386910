"""Who looks at the console."""

from typing import Any

import pytest
from django.test import Client

from tests.console.browsing import browser, open_page  # noqa: F401 - fixtures of the browser's tests


@pytest.fixture
def admin_client(db: None, django_user_model: Any) -> Client:
    """A superuser's browser. Without a password, whose hashing takes most of a test's time."""
    client = Client()
    client.force_login(django_user_model.objects.create(username="admin", is_staff=True, is_superuser=True))
    return client
