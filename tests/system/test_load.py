"""Load and slowness: many callers, slow ones, idle ones, and a RudderStack that is slow or away. None stops the others."""

import asyncio
import json
import resource
import time
from pathlib import Path

import pytest

from tests.conftest import GOOD
from tests.processes import wait_for
from tests.tree import children

pytestmark = pytest.mark.alone

MEGABYTE = 1024 * 1024
BODY = json.dumps(GOOD["replay"]).encode()
ALIVE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def request(key, body=BODY, close=True):
    head = f"POST /v1/internal/v1/replay HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n"
    return (head + ("Connection: close\r\n" if close else "") + "\r\n").encode() + body


async def converse(port, *parts, pause=0.0, wait=60.0, address="127.0.0.1"):
    """Send the parts with pauses between them; what came until the other side closes, or the headers of an answer that keeps open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        return await asyncio.wait_for(reader.read(64 * 1024), wait)
    except ConnectionError:
        return b"reset"
    finally:
        writer.close()


def memory(process):
    """Megabytes that the process and its children hold; shared pages count in part."""
    lines = [line for pid in (process.pid, *children(process.pid)) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def statuses(answers):
    return {answer.partition(b"\r\n")[0].decode() for answer in answers}


def test_300_callers_at_once_are_all_answered_while_rudderstack_takes_5_seconds(gateway, sandbox):
    sandbox.trouble("delay", seconds=5)

    async def call():
        calls = [asyncio.create_task(converse(gateway.port, request(gateway.key), wait=90)) for _ in range(300)]
        await asyncio.sleep(2)
        # Probes and readers are not in their queue.
        started = time.monotonic()
        alive = await asyncio.to_thread(gateway.get, "/readyz")
        assert (alive.status_code, time.monotonic() - started < 3) == (200, True)
        return await asyncio.gather(*calls)

    answers = asyncio.run(call())
    assert statuses(answers) == {"HTTP/1.1 200 OK"}
    assert memory(gateway.web) < 300
    assert sandbox.count()["calls"] == 300
    listed, path = [], "/v1/calls?limit=200"
    while path:
        page = gateway.get(path).json()
        listed += page["results"]
        path = page["next"] and page["next"].removeprefix(gateway.url)
    assert [call["result"] for call in listed] == ["accepted"] * 300


def test_a_dripping_rudderstack_holds_nobody_over_the_deadline(gateway_with, sandbox):
    gateway = gateway_with(None, GATEWAY_DEADLINE_SECONDS="2")
    sandbox.trouble("dripped_answer", seconds=0.2)
    started = time.monotonic()

    async def call():
        return await asyncio.gather(*(converse(gateway.port, request(gateway.key)) for _ in range(60)))

    answers = asyncio.run(call())
    assert statuses(answers) == {"HTTP/1.1 504 Gateway Timeout"}
    assert 2 <= time.monotonic() - started < 5
    assert {call["result"] for call in gateway.get("/v1/calls?limit=200").json()["results"]} == {"unknown"}


def test_slow_uploads_hold_no_thread_and_end(gateway_with, sandbox):
    gateway = gateway_with(None, GATEWAY_BODY_SECONDS="4")
    drip = [bytes([byte]) for byte in request(gateway.key)[-20:]]
    begin = request(gateway.key)[:-20]

    async def call():
        # More than there are threads, each sending a byte a second, which would take 20.
        slow = [asyncio.create_task(converse(gateway.port, begin, *drip[:3], pause=1.0)) for _ in range(150)]
        await asyncio.sleep(1.5)
        started = time.monotonic()
        quick = await asyncio.gather(*(converse(gateway.port, request(gateway.key)) for _ in range(20)))
        took = time.monotonic() - started
        assert sum(not one.done() for one in slow) == 150
        return quick, took, await asyncio.gather(*slow)

    quick, took, slow = asyncio.run(call())
    assert statuses(quick) == {"HTTP/1.1 200 OK"}
    assert took < 3
    assert statuses(slow) == {"HTTP/1.1 408 Request Timeout"}
    assert all(b"GATEWAY_BODY_SECONDS" in answer for answer in slow)
    assert sandbox.count()["calls"] == 20
    assert {call["reason"] for call in gateway.get("/v1/calls?limit=200&result=refused").json()["results"]} == {"body_too_slow"}


def test_slow_headers_are_cut_off(gateway_with):
    gateway = gateway_with(None, GATEWAY_BODY_SECONDS="3")

    async def call():
        started = time.monotonic()
        answer = await converse(gateway.port, *[bytes([byte]) for byte in ALIVE], pause=0.5)
        return answer, time.monotonic() - started

    answer, took = asyncio.run(call())
    assert answer in (b"", b"reset") or b" 408 " in answer
    assert took < 10


def test_large_bodies_of_strangers_are_not_taken_in(gateway_with):
    gateway = gateway_with(None)
    body = b"x" * MEGABYTE

    async def call(key):
        # Headers only: whoever must first read the body would wait for it.
        return await converse(gateway.port, request(key, body)[: -len(body)], wait=10)

    assert statuses([asyncio.run(call("rgw_unknown"))]) == {"HTTP/1.1 401 Unauthorized"}
    chunked = b"POST /v1/internal/v1/replay HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert statuses([asyncio.run(converse(gateway.port, chunked, wait=10))]) == {"HTTP/1.1 401 Unauthorized"}


def test_more_bodies_than_there_is_room_for_are_refused_for_now(gateway_with, sandbox):
    gateway = gateway_with(None, GATEWAY_BUFFER_BYTES=str(MEGABYTE))
    whole = request(gateway.key, b'{"batch": [{"userId": "u", "x": "' + b"x" * 600_000 + b'"}]}')

    async def call():
        held = asyncio.create_task(converse(gateway.port, whole[:-10], whole[-10:], pause=2.0))
        await asyncio.sleep(1)
        refused = await converse(gateway.port, whole)
        return refused, await held, await converse(gateway.port, whole)

    refused, held, later = asyncio.run(call())
    assert statuses([refused]) == {"HTTP/1.1 503 Service Unavailable"}
    assert b'"busy"' in refused
    assert b"retry-after: 1" in refused.lower()
    assert statuses([held, later]) == {"HTTP/1.1 200 OK"}
    assert sandbox.count()["calls"] == 2


def test_a_chunked_body_that_is_cut_is_not_sent_even_if_what_came_is_whole_json(gateway_with, sandbox):
    gateway = gateway_with(None)
    head = f"POST /v1/internal/v1/replay HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {gateway.key}\r\nTransfer-Encoding: chunked\r\n\r\n"

    async def call():
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(head.encode() + b"%x\r\n%s\r\n" % (len(BODY), BODY))
        await writer.drain()
        writer.close()

    asyncio.run(call())
    [row] = wait_for(lambda: gateway.get("/v1/calls").json()["results"])
    assert (row["result"], row["reason"]) == ("refused", "body_cut")
    assert sandbox.count()["calls"] == 0


def test_the_circuit_opens_says_so_and_closes(gateway_with, sandbox):
    gateway = gateway_with(None, GATEWAY_BREAKER_FAILURES="3", GATEWAY_BREAKER_SECONDS="2", GATEWAY_DEADLINE_SECONDS="3")
    sandbox.trouble("closed_port", seconds=2.5)
    refused = [gateway.send("replay", GOOD["replay"]) for _ in range(4)]
    assert [answer.status_code for answer in refused] == [502, 502, 502, 503]
    assert (refused[3].json()["reason"], refused[3].headers["Retry-After"]) == ("circuit_open", "2")
    assert gateway.get("/readyz").json() == {"status": "degraded", "log": "ok", "upstream": "circuit_open"}
    wait_for(lambda: gateway.send("replay", GOOD["replay"]).status_code == 200, 10)
    assert gateway.send("replay", GOOD["replay"]).status_code == 200


def test_10000_connections_that_rest_keep_nobody_out(gateway_with, sandbox):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 12_000:
        pytest.skip(f"the system allows {hard} files: raise it with ulimit -Hn 20000")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gateway = gateway_with(None)

    async def call():
        streams, answered = [], 0
        for number in range(10_000):
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, local_addr=(f"127.0.0.{2 + number % 4}", 0))
            writer.write(ALIVE)
            streams.append((reader, writer))
        for reader, _ in streams:
            answered += (await asyncio.wait_for(reader.read(4096), 30)).startswith(b"HTTP/1.1 200")
        started = time.monotonic()
        answer = await converse(gateway.port, request(gateway.key))
        took = time.monotonic() - started
        for _, writer in streams:
            writer.close()
        return answered, answer, took

    try:
        answered, answer, took = asyncio.run(call())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert answered == 10_000
    assert statuses([answer]) == {"HTTP/1.1 200 OK"}
    assert took < 3
    assert gateway.web.poll() is None
    assert memory(gateway.web) < 300
