"""Clients and their API keys. A key's secret is never stored: its prefix finds the row, its SHA-256 proves it."""

import uuid
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import models

from gateway.audit.texts import storable
from gateway.operations import OPERATIONS

ALL: Final = "all"


class Scope(models.TextChoices):
    """What a key may do beside its own calls."""

    AUDIT = "audit", "See everybody's calls"
    REVEAL = "reveal", "See bodies in clear, with a reason"


def words(text: str) -> frozenset[str]:
    """A comma-separated list as a set."""
    return frozenset(word.strip() for word in text.split(",") if word.strip())


def validate_operations(text: str) -> None:
    """`all`, or names of operations."""
    wrong = words(text) - OPERATIONS.keys() - {ALL}
    if wrong or not words(text):
        raise ValidationError(f"Operations are {', '.join(OPERATIONS)} or all.")


def validate_sources(text: str) -> None:
    """`all`, or source ids."""
    if not words(text):
        raise ValidationError("Name at least one source id, or all.")


def validate_scopes(text: str) -> None:
    """Names of scopes, or nothing."""
    if words(text) - set(Scope.values):
        raise ValidationError(f"Scopes are {', '.join(Scope.values)}.")


def validate_storable(text: str) -> None:
    """No U+0000 and no lone surrogate: no database holds them."""
    if storable(text, len(text)) != text:
        raise ValidationError("This has a character that cannot be stored.")


class Client(models.Model):
    """Who holds keys: a service, an analyst, an agent."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, unique=True, validators=[validate_storable])
    disabled = models.BooleanField(default=False, help_text="None of its keys is accepted while this is set.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "API client"

    def __str__(self) -> str:
        return self.name


class ApiKey(models.Model):
    """One key of a client, with what it may do."""

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="keys")
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    sha256 = models.CharField(max_length=64, editable=False)
    operations = models.CharField(max_length=200, default=ALL, validators=[validate_operations], help_text="all, or names with commas between.")
    sources = models.TextField(default=ALL, validators=[validate_storable, validate_sources], help_text="all, or source ids with commas between.")
    scopes = models.CharField(max_length=100, blank=True, validators=[validate_scopes], help_text="audit, reveal; empty for neither.")
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.prefix}…"

    def delete(self, *_: Any, **__: Any) -> Any:
        """Refused: a revoked key stays, so that the log's prefixes keep their meaning."""
        raise TypeError("keys are revoked, not deleted")
