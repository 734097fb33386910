"""A session's id holds what the client said of itself, and no right."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import Implementation

from gateway.mcp_server.session import Session, begun, client_of, printable, session_of


def id_of(content) -> str:
    return base64.urlsafe_b64encode(content if isinstance(content, bytes) else json.dumps(content).encode()).decode()


def test_an_id_holds_the_session():
    session = begun({"clientInfo": {"name": "program", "version": "1.2"}, "capabilities": {}}, "2025-11-25")
    assert session_of(session.id) == session
    assert (session.client, session.protocol) == ("program/1.2", "2025-11-25")
    assert session.id.isascii()
    assert session.id.isprintable()


def test_two_sessions_of_one_program_are_two():
    params = {"clientInfo": {"name": "program", "version": "1.2"}}
    assert begun(params, "2025-11-25").id != begun(params, "2025-11-25").id


@pytest.mark.parametrize("params", [{}, {"clientInfo": None}, {"clientInfo": "x"}, {"clientInfo": {}}, {"clientInfo": {"name": 5, "version": []}}])
def test_who_says_nothing_of_itself_has_a_session_all_the_same(params):
    session = begun(params, "2025-06-18")
    assert session.client == "/"
    assert session_of(session.id) == session


def test_what_a_client_says_is_made_fit_for_a_header():
    session = begun({"clientInfo": {"name": "é\r\nX-Other: 1\ud800", "version": "v" * 1000}}, "2025-11-25")
    assert session.client == f"???X-Other: 1?/{'v' * 100}"
    assert session_of(session.id) == session
    assert client_of(Implementation(name="é", version="1\n")) == "?/1?"
    assert printable(None) == printable(7) == ""


@pytest.mark.parametrize(
    "session_id",
    [
        "",
        "x",
        "====",
        "é",
        "not base64 !",
        "A" * 2001,
        id_of(b"\xff"),
        id_of(b"[" * 1400),
        id_of({}),
        id_of([]),
        id_of("text"),
        id_of(None),
        id_of({"name": "a", "version": "1", "protocol": "p"}),
        id_of({"name": 5, "version": "1", "protocol": "p", "nonce": "n"}),
        id_of({"name": "a", "version": "1", "protocol": None, "nonce": "n"}),
    ],
    ids=range(15),
)
def test_another_id_is_no_session(session_id):
    assert session_of(session_id) is None


def test_an_id_that_somebody_made_up_is_no_more_than_a_name():
    made_up = session_of(id_of({"name": "é\n", "version": "v" * 500, "protocol": "2025-11-25", "nonce": "n", "scopes": "audit"}))
    assert made_up == Session("??", "v" * 100, "2025-11-25", "n")


@given(st.text(st.characters(max_codepoint=255)) | st.binary().map(id_of))
def test_any_header_is_a_session_or_none(text):
    session = session_of(text)
    assert session is None or session.client.isascii()
