"""Django's PostgreSQL backend, with connections that keep to the log's time."""
