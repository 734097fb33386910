"""The gateway's settings, and an app that takes the log out of it."""

from rudderproxy.settings import *  # noqa: F403
from rudderproxy.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.bench.unaudited.apps.UnauditedConfig"]
