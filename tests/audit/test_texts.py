"""Any text can be stored."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.texts import storable

ANY_TEXT = st.text(st.characters(exclude_categories=()))
"""NUL and lone surrogates among it."""


@given(ANY_TEXT, st.integers(0, 50))
def test_whatever_comes_can_be_encoded_and_fits(text, length):
    stored = storable(text, length)
    assert "\0" not in stored
    assert len(stored) <= length
    stored.encode()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_text_that_can_be_stored_stays_as_it_is(text):
    assert storable(text, len(text)) == text


def test_each_nul_and_lone_surrogate_becomes_one_replacement_character():
    assert storable("a\0b\ud800c\udfffd", 100) == "a\ufffdb\ufffdc\ufffdd"


def test_a_character_beyond_the_bmp_is_no_surrogate():
    assert storable("\U0001f600\0", 2) == "\U0001f600\ufffd"
