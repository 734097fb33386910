"""Which ids RudderStack takes for blank."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract.visible import is_blank


@pytest.mark.parametrize(
    "text",
    ["", " ", "\t\r\n", "\0", "\u00a0", "\u00ad", "\u034f", "\u115f", "\u200b", "\u200f", "\u2028", "\u202e", "\u2063", "\u206f", "\u2800", "\u3000",
     "\u3164", "\ufeff", "\uffa0", "\ue000", "\u0378", "\U000f0000", "\U0010ffff", "\ufff9", " \u200b\u00a0 "],
)  # fmt: skip
def test_is_blank(text):
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", "0", "-", "é", "日", "\u0301", "€", "²", "🙂", " x ", "\u200bx", "\ufffd", "\ud800", "\udcff", "\U0001fae8"])
def test_is_visible(text):
    assert not is_blank(text)


@given(st.text(), st.characters(min_codepoint=0x21, max_codepoint=0x7E), st.text())
@settings(max_examples=200, deadline=None)
def test_a_printable_ascii_character_is_enough(before, character, after):
    assert not is_blank(before + character + after)


@given(st.text(), st.text())
@settings(max_examples=200, deadline=None)
def test_a_text_is_blank_if_all_its_parts_are(left, right):
    assert is_blank(left + right) == (is_blank(left) and is_blank(right))
