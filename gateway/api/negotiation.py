"""Answers are JSON, whatever Accept asks for: RudderStack's own clients ask for anything."""

from collections.abc import Sequence
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class AlwaysJson(BaseContentNegotiation):
    """Takes the first renderer."""

    def select_parser(self, request: Request, parsers: Sequence[Any]) -> Any:
        """None: bodies are read by `received`."""
        return None

    def select_renderer(self, request: Request, renderers: Sequence[BaseRenderer], format_suffix: str | None = None) -> tuple[BaseRenderer, str]:
        """The first."""
        return renderers[0], renderers[0].media_type or "application/json"
