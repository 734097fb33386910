"""The audited gateway in front of RudderStack's five internal endpoints. See README, "How it is built"."""
