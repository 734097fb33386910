"""Writes docs/openapi.json anew."""

from pathlib import Path

import django

import tests.environment  # noqa: F401 - sets the environment

if __name__ == "__main__":
    django.setup()
    from gateway.api.openapi import document

    Path("docs/openapi.json").write_text(document())
