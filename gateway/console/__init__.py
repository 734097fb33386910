"""The Django admin: reading the log, making and revoking keys, watching and steering jobs. Holds no rule of its own."""
