"""What the quick check cannot see in a body, and which of RudderStack's refusals it may therefore miss."""

import json
import math
import re

DOUBLED_KEY = "doubled key"
_OVERFLOW = "number beyond a double"
_ESCAPED_TIME = "escaped time"

EXCUSES = {"number_overflow": {_OVERFLOW}, "bad_time": {_ESCAPED_TIME, DOUBLED_KEY}}
"""What must be in a body for a yes to be forgiven, by the reason of the no; for all other reasons it is a doubled key."""


def unseen(text):
    """Which of the three are in valid JSON."""
    causes = set()

    def pairs(found):
        if len(dict(found)) < len(found):
            causes.add(DOUBLED_KEY)
        return dict(found)

    def number(literal):
        if math.isinf(float(literal)):
            causes.add(_OVERFLOW)

    json.loads(text.decode("utf-8", "replace"), object_pairs_hook=pairs, parse_float=number, parse_int=number)
    if re.search(rb'"receivedAt"\s*:\s*"[^"]*\\u', text):
        causes.add(_ESCAPED_TIME)
    return causes
