"""The log: every forwarded call as an intent and its outcome, append-only. Knows nothing of clients' rights, of HTTP or of doors."""
