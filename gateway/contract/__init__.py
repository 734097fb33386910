"""What RudderStack's gateway accepts and says, in pure Python. Knows nothing of Django, of clients or of this gateway's settings."""
