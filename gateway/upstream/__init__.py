"""HTTP to RudderStack: one pooled session, a true deadline, answers read whole or not at all. Knows no operation, client or log."""
