"""Texts at the log's border: whatever comes from outside is made storable, so that no text can ever look like a broken log."""

import re
from typing import Final

_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


def storable(text: str, length: int) -> str:
    """`text` without U+0000 and lone surrogates (each becomes U+FFFD), cut to `length` characters."""
    if text.isascii() and "\0" not in text:
        return text[:length]
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text[:length])
