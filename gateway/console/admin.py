"""What Django finds: every page of the admin."""

from gateway.console import calls, keys, people

__all__ = ["calls", "keys", "people"]
