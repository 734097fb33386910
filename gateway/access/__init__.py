"""Who may what: clients, their keys, and the rule that a principal may use an operation and a source. Knows nothing of HTTP."""
