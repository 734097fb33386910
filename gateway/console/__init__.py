"""The Django admin: reading the log, making and revoking keys. Holds no rule of its own."""
