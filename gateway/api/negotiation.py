"""Answers are JSON, whatever Accept asks for: RudderStack's own clients ask for anything."""

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class AlwaysJson(BaseContentNegotiation):
    """Takes the first renderer."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        """None: bodies are read by `received`."""
        return None

    def select_renderer(self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None) -> tuple[BaseRenderer, str]:
        """The first."""
        renderer = next(iter(renderers))
        return renderer, renderer.media_type or "application/json"
