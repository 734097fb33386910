"""The one way out: admit, intend, send, record. Every event leaves through `forward`; which door it came through makes no difference here."""
