"""Which characters RudderStack counts as visible, when it asks whether an id is blank (rudder-server gateway/handle.go, `sanitize`)."""

import re
from itertools import chain
from typing import Final

_LOOK_BLANK: Final = frozenset(
    chr(code)
    for code in (
        *(0x0020, 0x00A0, 0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, *range(0x2000, 0x2010), 0x202F, *range(0x205F, 0x2065)),
        *(*range(0x206A, 0x2070), 0x2800, 0x3000, 0x3164, 0xFEFF, 0xFFA0),
    )
)
# Characters that Unicode 15 added (Go's tables) and Python 3.11's Unicode 14 does not know.
_NEW_IN_UNICODE_15: Final = (
    (0x0CF3, 0x0CF3), (0x0ECE, 0x0ECE), (0x10EFD, 0x10EFF), (0x1123F, 0x11241), (0x11B00, 0x11B09), (0x11F00, 0x11F10),
    (0x11F12, 0x11F3A), (0x11F3E, 0x11F59), (0x13440, 0x13455), (0x1B132, 0x1B132), (0x1B155, 0x1B155), (0x1D2C0, 0x1D2D3),
    (0x1DF25, 0x1DF2A), (0x1E030, 0x1E06D), (0x1E08F, 0x1E08F), (0x1E4D0, 0x1E4F9), (0x1F6DC, 0x1F6DC), (0x1F774, 0x1F776),
    (0x1F77B, 0x1F77F), (0x1F7D9, 0x1F7D9), (0x1FA75, 0x1FA77), (0x1FA87, 0x1FA88), (0x1FAAD, 0x1FAAF), (0x1FABB, 0x1FABD),
    (0x1FABF, 0x1FABF), (0x1FACE, 0x1FACF), (0x1FADA, 0x1FADB), (0x1FAE8, 0x1FAE8), (0x1FAF7, 0x1FAF8), (0x31350, 0x323AF),
)  # fmt: skip
_SEEN_TOO: Final = frozenset(map(chr, chain(range(0xD800, 0xE000), *(range(low, high + 1) for low, high in _NEW_IN_UNICODE_15))))
PLAINLY_VISIBLE: Final = re.compile(r"[!-~]")
"""One printable ASCII character settles it; the rest of the rule is for the few others."""


def is_blank(text: str) -> bool:
    """Whether nothing of `text` can be seen. A lone surrogate counts as seen: it becomes U+FFFD."""
    if not text or "!" <= text[0] <= "~" or PLAINLY_VISIBLE.search(text):
        return not text
    if text[0].isprintable() and text[0] not in _LOOK_BLANK:
        return False  # most are settled by their first letter
    rest = set(text) - _LOOK_BLANK
    return _SEEN_TOO.isdisjoint(rest) and not any(map(str.isprintable, rest))
