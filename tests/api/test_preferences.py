"""The header Prefer, as RFC 7240 has it."""

import pytest

from gateway.api.preferences import RESPOND_ASYNC, preferences


@pytest.mark.parametrize(
    "header",
    [
        "respond-async",
        "Respond-ASYNC",
        " respond-async ",
        "respond-async, wait=10",
        "wait=10 , RESPOND-async",
        "respond-async; wait=10",
        "respond-async ;q",
        'respond-async=""',
        'foo="a, b"; c="d;e", respond-async',
        r'foo="a \" b", respond-async',
        ",,respond-async,",
    ],
)
def test_respond_async_is_found(header):
    assert RESPOND_ASYNC in preferences(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        ",",
        "wait=10",
        "respond-asynchronously",
        "no-respond-async",
        "respond-async=no",
        "wait; respond-async",
        'foo="a, respond-async"',
        r'foo="a \", respond-async"',
        "foo=respond-async",
    ],
)
def test_what_only_looks_like_it_is_not(header):
    assert RESPOND_ASYNC not in preferences(header)


def test_a_long_header_is_read_in_no_time():
    assert preferences('"' * 20_000 + "\\" * 20_000) is not None
