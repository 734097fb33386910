"""The web process's way in."""

from rudderproxy.process import begin

begin()

from gateway.api.front import Front  # noqa: E402 - Django must be set up first

application = Front()
