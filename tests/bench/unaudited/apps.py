"""Leaves the log out: intents and outcomes are made, and written nowhere."""

from typing import Any

from django.apps import AppConfig


class UnauditedConfig(AppConfig):
    name = "tests.bench.unaudited"

    def ready(self) -> None:
        from gateway.audit import log

        log.intend = log.close = log.record = self._written_nowhere

    @staticmethod
    def _written_nowhere(*_: Any) -> None:
        pass
