"""The web process's way in."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rudderproxy.settings")

_django = get_wsgi_application()
_OF_THE_PROCESS = frozenset(os.environ)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Django, without the process's own environment: the web server puts it among the request's variables, secrets and all."""
    return _django({name: value for name, value in environ.items() if name not in _OF_THE_PROCESS}, start_response)
