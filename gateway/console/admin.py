"""What Django finds: every page of the admin."""

from gateway.console import calls, jobs, keys, people

__all__ = ["calls", "jobs", "keys", "people"]
