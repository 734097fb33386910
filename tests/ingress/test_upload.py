"""A body on its way in: whole within its time and size, or with the reason why not."""

import asyncio

import pytest

from gateway.ingress.trouble import Trouble
from gateway.ingress.upload import ANYBODYS, Held, Upload


def take_in(messages, *headers, known=True, held=None, limit=1000_000):
    held = held or Held()
    left = list(messages)

    async def receive():
        if not left:
            await asyncio.sleep(60)
        return left.pop(0)

    async def is_known(authorization):
        return known

    async def work():
        upload = Upload({"headers": headers}, receive, held, limit)
        await upload.take_in(is_known)
        return upload

    return asyncio.run(work())


def part(content, more=False):
    return {"type": "http.request", "body": content, "more_body": more}


CHUNKED = (b"transfer-encoding", b"chunked")


def length(size):
    return (b"content-length", str(size).encode())


def test_a_body_is_taken_in_whole():
    upload = take_in([part(b"ab", True), part(b"", True), part(b"cd")], length(4))
    assert (upload.content, upload.trouble) == (b"abcd", None)


@pytest.mark.parametrize(
    ("messages", "headers", "trouble"),
    [
        ([part(b"ab", True), {"type": "http.disconnect"}], [length(4)], Trouble.CUT),
        ([part(b"ab", True)], [length(4)], Trouble.TOO_SLOW),
        ([], [length(1001)], Trouble.TOO_LARGE),
        ([part(b"x" * 600, True), part(b"x" * 600, True)], [CHUNKED], Trouble.TOO_LARGE),
    ],
)
def test_what_is_no_whole_body_says_why(settings, messages, headers, trouble):
    settings.GATEWAY_BODY_SECONDS = 0.1
    upload = take_in(messages, *headers, limit=1000)
    assert (upload.content, upload.trouble) == (b"", trouble)


def test_what_is_large_or_of_unknown_size_is_taken_from_known_keys_only(settings):
    for header in (length(ANYBODYS + 1), CHUNKED):
        assert take_in([], header, known=False).trouble is Trouble.FROM_STRANGER
        assert take_in([part(b"x")], header).trouble is None
    assert take_in([part(b"x")], length(1), known=False).trouble is None


def test_bodies_count_as_held_until_they_are_let_go(settings):
    settings.GATEWAY_BUFFER_BYTES = 100_000
    held = Held()
    first = take_in([part(b"x" * 60_000)], length(60_000), held=held)
    assert first.trouble is None
    second = take_in([part(b"x" * 60_000)], length(60_000), held=held)
    assert second.trouble is Trouble.NO_ROOM
    first.let_go()
    second.let_go()
    assert held.size == 0
    assert take_in([part(b"x" * 60_000)], length(60_000), held=held).trouble is None
