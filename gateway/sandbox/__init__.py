"""A RudderStack gateway to try things on. Of the gateway it may use only contract and operations: it is the other side."""
