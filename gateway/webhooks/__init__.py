"""Signed POSTs to addresses that people name. Knows the settings, and nothing of jobs, clients or the database."""
