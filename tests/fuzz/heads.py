"""Requests as bytes, good and bad: `{key}` stands for the API key."""

import json

from hypothesis import strategies as st

from gateway.api.urls import urlpatterns
from gateway.audit.redaction import KEPT_HEADERS
from gateway.forwarding.admission import PASSED_ON
from tests.conftest import GOOD

BODY = json.dumps(GOOD["replay"]).encode()
REPLAY = b"/v1/internal/v1/replay"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"5\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (BODY[:5], len(BODY) - 5, BODY[5:])


def request(
    headers: bytes = LENGTH,
    body: bytes = BODY,
    *,
    method: bytes = b"POST",
    target: bytes = REPLAY,
    version: bytes = b"HTTP/1.1",
    host: bytes = b"Host: localhost\r\n",
    key: bytes = b"Authorization: Bearer {key}\r\n",
    end: bytes = b"Connection: close\r\n",
) -> bytes:
    """A good one, but for what is given."""
    return b"%s %s %s\r\n%s%s%s%s\r\n%s" % (method, target, version, host, key, end, headers, body)


METHODS = [b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH", b"CONNECT", b"FOO", b"post", b"!#$%", b"P\0ST", b"", b"A" * 300]
ROUTES = [f"/{pattern.pattern}".replace("<uuid:call_id>", "01a20d1d-5a2f-73ea-a695-8da7183d1878").encode() for pattern in urlpatterns]
PATHS = [*ROUTES, b"/", b"/admin/", b"/admin/audit/call/", b"/static/console/console.css", b"*", b"localhost:80", b"/v1/calls/0"]
PREFIXES = [b"/", b"//", b"/.", b"/x/..", b"/x/%2e%2e", b"/%00", b"http://localhost", b"http://elsewhere", b"ftp://localhost", b"x", b"http://a@[::1"]
SUFFIXES = [b"/", b"//", b";x", b"%00", b"%ff", b"%", b"%zz", b"%20", b"%0a", b"%2f", b"#x", b"\xe9", b"\xff", b"/" + b"a" * 3000]
QUERIES = [
    b"", b"?", b"a", b"a=%ff", b"a=%", b"a=%00", b"a=\xe9", b"a=\xff", "a=é日".encode(), b"a=[]{}|^`\\", b"&" * 1500, b"a=%0d%0aX:y", b"a" * 5000, b"#x", b"limit=1",
    b"limit=0", b"limit=%00", b"cursor=x", b"since=0001-01-01", b"since=9999-12-31T23:59:59Z", b"until=0001-01-01T00:00:00%2B14:00", b"result=accepted",
    b"source=%00", b"actor=%ed%a0%80", b"operation=replay&operation=retl", b"dry_run=true", b"dry_run=maybe", b"DryRun=true", b"dry_run=true&dry_run=false",
]  # fmt: skip
VERSIONS = [b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.2", b"http/1.1", b"", b"HTTP/1.1 x"]
HOSTS = [
    b"",
    b"Host:\r\n",
    b"Host: elsewhere\r\n",
    b"Host: localhost:99999\r\n",
    b"Host: [::1\r\n",
    b"Host: a@localhost\r\n",
    b"Host: \xe9\r\n",
    b"Host: localhost\r\n" * 2,
]
KEYS = [
    b"",
    b"Authorization: Bearer zzz\r\n",
    b"Authorization: Basic e2tleX06\r\n",
    b"Authorization: Basic /wA6\r\n",
    b"Authorization: Bearer {key}\r\n" * 2,
]
ENDS = [
    b"Connection: keep-alive\r\nConnection: close\r\n",
    b"Connection: close, X-Rudder-Source-Id\r\n",
    b"Connection: upgrade, close\r\nUpgrade: h2c\r\n",
]
FRAMES = [
    (CHUNKED, CHUNKS),
    (CHUNKED, b"%x;a=b;c=\"d\"\r\n%s\r\n0;e\r\nX-Rudder-Source-Id: zzz\r\nTrailer: 1\r\n\r\n" % (len(BODY), BODY)),
    (CHUNKED * 2, CHUNKS),
    (LENGTH + CHUNKED, CHUNKS),
    (CHUNKED + LENGTH, CHUNKS),
    (LENGTH + CHUNKED, BODY),
    (CHUNKED, CHUNKS[:-5]),
    (CHUNKED, CHUNKS.replace(b"\r\n", b"\n")),
    (CHUNKED, b"zz\r\n"),
    (CHUNKED, b"-1\r\n"),
    (CHUNKED, b"f" * 18 + b"\r\n"),
    (b"Transfer-Encoding: gzip, chunked\r\n", CHUNKS),
    (b"Transfer-Encoding: chunked, identity\r\n", CHUNKS),
    (b"Transfer-Encoding: \x0bchunked\r\n", CHUNKS),
    (b"Transfer-Encoding : chunked\r\n", CHUNKS),
    (b"Transfer_Encoding: chunked\r\n", CHUNKS),
    (LENGTH * 2, BODY),
    (LENGTH + b"Content-Length: 5\r\n", BODY),
    (LENGTH + b"Content_Length: 5\r\n", BODY),
    (b"Content-Length: %d, %d\r\n" % (len(BODY), len(BODY)), BODY),
    *((b"Content-Length: %s\r\n" % length, BODY) for length in (b"", b"+95", b"-1", b"0x5f", b"0", b"5", b"500", b"9" * 20, b"16777217", b"9223372036854775807")),
    (b"", b""),
    (b"", BODY),
]  # fmt: skip
NAMES = [
    name.encode()
    for name in sorted({*KEPT_HEADERS, *PASSED_ON, "Idempotency-Key", "X-Forwarded-For", "X-Forwarded-Proto", "X-Request-Id", "Expect", "Cookie"})
]
NAMES += [
    b"Accept",
    b"X-Forwarded-Host",
    b"X-HTTP-Method-Override",
    b"Range",
    b"If-Modified-Since",
    b"TE",
    b"Wsgi.Input",
    b"Path-Info",
    b"Script_Name",
    b"X Y",
    b"X(",
    b"X\0",
    b"\xe9",
    b"",
    b" X",
]
VALUES = [
    b"",
    b" ",
    b"\t",
    b"zzz",
    b"src-1",
    b"gzip",
    b"100-continue",
    b"a,b",
    b"a;b=c",
    b'"',
    b"%00",
    b"a\tb",
    b"a\0b",
    b"a\x01b",
    b"a\x7fb",
    b"\xe9",
    b"\xff" * 9,
]
VALUES += [
    b"a\r b",
    b"a\n b",
    b"a\r\n b",
    b"a\r\nX-Rudder-Source-Id: zzz",
    b"sessionid=%00; csrftoken=\x80",
    b"\xed\xa0\x80",
    b"=?utf-8?q?a?=",
    b"9" * 40,
    b"a" * 20_000,
]
names = (
    st.sampled_from(NAMES)
    | st.sampled_from(NAMES).map(lambda name: name.replace(b"-", b"_"))
    | st.sampled_from(NAMES).map(bytes.upper)
    | st.binary(max_size=4)
)
lines = st.tuples(names, st.sampled_from([b": ", b": ", b":", b" : ", b":\t", b""]), st.sampled_from(VALUES) | st.binary(max_size=6)).map(b"".join)
some_lines = st.lists(lines, min_size=1, max_size=3).map(lambda found: b"".join(line + b"\r\n" for line in found))
many_lines = st.integers(50, 400).map(lambda count: b"".join(b"X-%d: x\r\n" % number for number in range(count)))
targets = st.tuples(
    st.sampled_from([b"", b"", *PREFIXES]), st.sampled_from(PATHS), st.sampled_from([b"", b"", *SUFFIXES]), st.sampled_from([b"", *QUERIES])
).map(lambda parts: parts[0] + parts[1] + parts[2] + (b"?" + parts[3] if parts[3] else b""))


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """One request with an oddity or two; now and then several on one connection."""
    odd: dict[str, st.SearchStrategy[bytes]] = {
        "method": st.sampled_from(METHODS),
        "target": targets,
        "version": st.sampled_from(VERSIONS),
        "host": st.sampled_from(HOSTS),
        "key": st.sampled_from(KEYS),
        "end": st.sampled_from(ENDS),
    }
    chosen = draw(st.sets(st.sampled_from([*odd, "frame", "lines", "lines", "many"]), min_size=1, max_size=2))
    given = {name: draw(odd[name]) for name in sorted(chosen & set(odd))}
    headers, body = draw(st.sampled_from(FRAMES)) if "frame" in chosen else (LENGTH, BODY)
    headers += draw(some_lines) if "lines" in chosen else b""
    headers += draw(many_lines) if "many" in chosen else b""
    before = request(method=given.get("method", b"POST"), end=b"") * draw(st.sampled_from([0, 0, 0, 0, 0, 1, 2]))
    return before + request(headers, body, **given)
