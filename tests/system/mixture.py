"""Good and hostile requests at full load, from a few dozen connections, and a count of what came back."""

import asyncio
import gzip
import json
import time
import uuid
from collections import Counter
from random import Random

from tests.conftest import EVENT, GOOD

CONNECTIONS = 32
UNKNOWN_KEY = "rgw_" + "u" * 48
ROUTES = list(GOOD)
LARGE = json.dumps({"batch": [{**EVENT, "messageId": f"m-{number}", "properties": {"note": "x" * 800}} for number in range(1000)]}).encode()
HUNDRED = json.dumps({"batch": [{**EVENT, "messageId": f"m-{number}", "properties": {"note": "x" * 400}} for number in range(100)]}).encode()
HOSTILE = (
    b"", b"{", b"[]", b"null", b'{"batch": []}', b'{"batch": [{}]}', b"\xff\xfe", b'{"batch": [1e400]}', b"[" * 2000 + b"]" * 2000,
    b'{"batch": [' + b"{}," * 50_000 + b"{}]}", b'{"batch": [{"userId": "' + b"\\u0000" * 10_000 + b'"}]}', b'{"batch": [{"userId": NaN}]}',
    b'{"a": ' * 900 + b"1" + b"}" * 900, b'{"batch": [{"userId": "\xed\xa0\x80"}]}', b"x" * 200_000,
)  # fmt: skip
KINDS = {
    "good": 50,
    "hundred": 8,
    "large": 2,
    "hostile": 12,
    "stranger": 6,
    "read": 6,
    "repeated": 6,
    "dry": 3,
    "zipped": 3,
    "cut": 2,
    "slow": 1,
    "chunked": 1,
}


class Mixture:
    """Sends until `seconds` have passed. `answered` counts by kind and status; `recorded` holds the ids that answers named."""

    def __init__(self, port: int, key: str, seed: int) -> None:
        self.answered: Counter[tuple[str, int]] = Counter()
        self.recorded: set[uuid.UUID] = set()
        self.without_id = 0
        self._port = port
        self._key = key
        self._seed = seed

    def run(self, seconds: float) -> None:
        """Until then."""
        asyncio.run(self._run(time.monotonic() + seconds))

    async def _run(self, ends: float) -> None:
        await asyncio.gather(*(self._send_until(ends, Random(f"{self._seed}/{number}")) for number in range(CONNECTIONS)))

    async def _send_until(self, ends: float, random: Random) -> None:
        stream = None
        while time.monotonic() < ends:
            kind = random.choices(list(KINDS), list(KINDS.values()))[0]
            try:
                stream = stream or await asyncio.open_connection("127.0.0.1", self._port)
                status, headers = await self._exchange(kind, random, *stream)
                self._note(kind, status, headers)
                ended = headers.get("connection") == "close" or kind == "cut"
            except (OSError, EOFError):
                self.answered[kind, 0] += 1
                ended = True
            if ended and stream:
                stream[1].close()
                stream = None
        if stream:
            stream[1].close()

    def _note(self, kind: str, status: int, headers: dict[str, str]) -> None:
        self.answered[kind, status] += 1
        if kind in ("stranger", "read", "cut"):
            return
        if "x-audit-id" in headers:
            self.recorded.add(uuid.UUID(headers["x-audit-id"]))
        else:
            self.without_id += 1

    async def _exchange(self, kind: str, random: Random, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, dict[str, str]]:
        if kind == "read":
            path = random.choice(["/v1/calls?limit=20", "/readyz", "/healthz", "/v1/calls?result=accepted&limit=5", "/openapi.json", "/nothing"])
            writer.write(self._head("GET", path, {}))
            return await _answer(reader)
        body, route, headers, query = self._body(kind, random)
        if kind == "chunked":
            writer.write(self._head("POST", f"/v1/internal/v1/{route}", {**headers, "Transfer-Encoding": "chunked"}))
            writer.write(b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:20], body[20:])) + b"0\r\n\r\n")
            return await _answer(reader)
        writer.write(self._head("POST", f"/v1/internal/v1/{route}{query}", {**headers, "Content-Length": str(len(body))}))
        if kind == "cut":
            writer.write(body[: len(body) // 2])
            await writer.drain()
            return 0, {}
        if kind == "slow":
            writer.write(body[:10])
            await asyncio.sleep(2)
            body = body[10:]
        writer.write(body)
        await writer.drain()
        return await _answer(reader)

    def _body(self, kind: str, random: Random) -> tuple[bytes, str, dict[str, str], str]:
        route = random.choice(ROUTES)
        body = json.dumps(GOOD[route]).encode()
        headers = {"Authorization": f"Bearer {UNKNOWN_KEY if kind == 'stranger' else self._key}"}
        match kind:
            case "hundred":
                return HUNDRED, "replay", headers, ""
            case "large":
                return LARGE, "replay", headers, ""
            case "hostile":
                return random.choice(HOSTILE), route, headers, ""
            case "repeated":
                # Keys come back often enough to be replayed, refused and in flight.
                return body, route, {**headers, "Idempotency-Key": f"{route}-{random.randrange(50)}"}, ""
            case "dry":
                return body, route, headers, "?dry_run=true"
            case "zipped":
                return gzip.compress(body, mtime=0), route, {**headers, "Content-Encoding": "gzip"}, ""
            case _:
                return body, route, headers, ""

    def _head(self, method: str, path: str, headers: dict[str, str]) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
        if "Authorization" not in headers:
            lines.append(f"Authorization: Bearer {self._key}")
        return "\r\n".join((*lines, "", "")).encode()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    await reader.readexactly(int(headers.get("content-length", 0)))
    return int(first.split()[1]), headers
