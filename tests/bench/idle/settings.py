"""The gateway's settings with one view that does nothing: what the web server, Django and DRF take by themselves."""

from rudderproxy.settings import *  # noqa: F403

ROOT_URLCONF = "tests.bench.idle.urls"
