"""Bodies near to what RudderStack takes: its own shapes with every oddity of JSON, recorded ones, and both damaged and packed."""

import gzip
import zlib
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from gateway.contract.messages import BOOLEANS, OPTIONAL, REQUIRED
from gateway.operations import OPERATIONS, Operation, Shape
from tests.recorded import recorded

NUMBERS = ["0", "-0", "1", "1.5", "-1e-5", "1E+2", "1e308", "1e-400", "1.7976931348623157e308", "12345678901234567890123", "0e999999999"]
BEYOND_A_DOUBLE = ["1e309", "-1e400", "1.7976931348623159e308", "1e99999999999999999999", "9" * 310]
NO_JSON = ["01", "1.", ".5", "+1", "-", "1e", "0x1", "NaN", "Infinity", "-Infinity", '"\\x"', '"\x01"', '"\n"', "'a'", "nul", "tRue", ""]
TEXTS = ["", " ", "u-1", "é", "日本", "\u200b", "\ufeff", "\u2028", "🐎", "\\ud800", "\\udc00\\ud800", "\\u0000", "\\u00e9", "\\/", "\ud800"]
TIMES = [
    "2026-01-02T03:04:05.678Z",
    "2026-01-02T3:04:05,5+24:60",
    "2026-02-30T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "2026-01-02t03:04:05z",
    "\\u0032026-01-02T03:04:05Z",
]
TYPES = ["track", "identify", "record", "extract", "audiencelist", "batch", "replay", "Record", ""]
ENCODINGS = ["", "gzip", "GZIP", " gzip ", "x-gzip", "gzip, gzip", "deflate", "br", "identity", "zstd"]


@dataclass(frozen=True)
class Sent:
    """What is sent to which operation, under which Content-Encoding."""

    operation: Operation
    content: bytes
    encoding: str = ""


def quoted(text: str) -> str:
    return f'"{text}"'


def rarely(odd: st.SearchStrategy[Any], usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One time in twenty something odd."""
    return st.integers(0, 19).flatmap(lambda number: odd if number == 19 else usual)


scalars = rarely(st.sampled_from([*BEYOND_A_DOUBLE, *NO_JSON]), st.sampled_from([*NUMBERS, "null", "true", "false", *map(quoted, TEXTS)]))
identities = st.sampled_from([*map(quoted, TEXTS), "null", "0", "false", "{}", "[]", "1e400"])


def spelled(name: str) -> st.SearchStrategy[str]:
    """A key as it is, in other letters, and written with an escape."""
    return st.sampled_from(
        [name] * 8 + [name.upper(), name.lower(), name.capitalize(), f"\\u{ord(name[0]):04x}{name[1:]}", name.replace("k", "\u212a")]
    )


def members(values: dict[str, st.SearchStrategy[str]], most: int = 6) -> st.SearchStrategy[str]:
    """An object of some of these members in any order, doubled ones and others among them."""
    member = st.sampled_from(sorted(values)).flatmap(lambda name: st.tuples(spelled(name), values[name]))
    other = st.tuples(st.sampled_from(["", "a", "a.b", "~/", "\\ud800", "batch", "context"]), scalars)
    return st.lists(member | member | member | other, max_size=most).map(written)


def whole(values: dict[str, st.SearchStrategy[str]], more: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """An object of all of these members, and of `more`, which is another object's text."""
    return st.tuples(st.fixed_dictionaries(values), more).map(lambda both: joined(written(list(both[0].items())), both[1]))


def written(pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"


def joined(left: str, right: str) -> str:
    """Two objects as one."""
    return right if left == "{}" else left if right == "{}" else f"{left[:-1]},{right[1:]}"


def array(items: st.SearchStrategy[str], most: int = 3) -> st.SearchStrategy[str]:
    some = st.lists(items, min_size=1, max_size=most).map(lambda found: f"[{','.join(found)}]")
    return rarely(st.just("[]"), some)


def mostly(usual: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Now and then something else altogether."""
    return rarely(anything, usual)


anything = st.recursive(scalars, lambda inner: array(inner) | members({"a": inner, "properties": inner}, 3), max_leaves=5)
run_ids = members({"job_run_id": scalars, "task_run_id": scalars}, 3)
contexts = members({"sources": mostly(run_ids), "context": scalars}, 3)
events = members(
    {
        "userId": identities,
        "anonymousId": identities,
        "type": mostly(st.sampled_from(TYPES).map(quoted)),
        "context": mostly(contexts),
        "messageId": scalars,
        "rudderId": scalars,
        "properties": anything,
    }
)
users = st.just('{"userId":"u-1"}') | st.just('{"type":"record"}') | st.just("{}")
good_events = st.tuples(users, events).map(lambda both: joined(*both))
names = st.sampled_from(["u-1", "src-1", "src-2", "é", "a\\u0000b", ""]).map(quoted)
times = st.sampled_from(TIMES[:1] * 5 + TIMES).map(quoted)
properties = {
    **dict.fromkeys((*REQUIRED, *OPTIONAL), names),
    "receivedAt": times,
    **dict.fromkeys(BOOLEANS, st.sampled_from(["true", "false", "null", "1"])),
}
required = dict.fromkeys(REQUIRED, rarely(names, st.just('"src-1"'))) | {"requestType": st.sampled_from(TYPES).map(quoted), "receivedAt": times}
payload = {"messageId": scalars, "receivedAt": times, "request_ip": scalars, "rudderId": scalars, "type": scalars}
messages = whole(
    {
        "properties": mostly(whole(required, members(properties, 2))),
        "payload": mostly(whole({**payload, "messageId": st.just('"m-1"')}, members({**payload, "context": contexts}, 2))),
    },
    members({"properties": members(properties, 2), "payload": anything}, 1),
)
batches = mostly(array(mostly(good_events)))
TEXTS_OF = {
    Shape.EVENT: mostly(good_events),
    Shape.BATCH: mostly(whole({"batch": batches}, members({"batch": batches}, 1))),
    Shape.MESSAGES: mostly(array(mostly(messages))),
}
damages = st.sampled_from(
    [
        lambda content: b"\xef\xbb\xbf" + content,
        lambda content: content + b"\0",
        lambda content: content + b" \r\n\t",
        lambda content: content + b"{}",
        lambda content: content[:-1],
        lambda content: b"",
        lambda content: content.replace(b"u-1", b"\xff\xfe"),
        lambda content: content.replace(b"u-1", b"\xed\xa0\x80"),
        lambda content: content.replace(b'"u-1"', b"[" * 1001 + b"]" * 1001),
        lambda content: content.replace(b'"u-1"', b'{"a":' * 995 + b"1" + b"}" * 995),
        lambda content: b"[" * 12_000 + content + b"]" * 12_000,
        lambda content: content.decode("utf-8", "replace").encode("utf-16"),
    ]
)


@st.composite
def mutated(draw: st.DrawFn, content: bytes) -> bytes:
    """A few bytes of it changed, taken out, doubled or put in."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 4)))
        new = draw(
            st.sampled_from([b"", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"0", b"\0", b"\xff", b"e9"])
            | st.just(content[start:end] * 2)
            | st.binary(max_size=3)
        )
        content = content[:start] + new + content[end:]
    return content


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    return rarely(mutated(content) | damages.map(lambda damage: damage(content)), st.just(content))


def packed(content: bytes) -> st.SearchStrategy[tuple[bytes, str]]:
    """The content with a Content-Encoding: mostly none, then a good gzip; now and then packed badly, or named what it is not."""
    zipped, members = gzip.compress(content, mtime=0), b"".join(gzip.compress(half, mtime=0) for half in (content[:9], content[9:]))
    broken = [zipped + b"\0", zipped + zipped, zipped[:-1], zipped[:-8], zipped[:12], members[:-3], zlib.compress(content), content]
    badly = st.tuples(st.sampled_from(broken) | mutated(zipped), st.just("gzip"))
    misnamed = st.tuples(st.sampled_from([content, zipped]), st.sampled_from(ENCODINGS))
    well = st.sampled_from([(zipped, "gzip"), (members, "gzip"), (content, "identity")])
    return rarely(badly | misnamed, rarely(well, st.just((content, ""))))


operations = st.sampled_from(list(OPERATIONS.values()))


def sent_to(operation: Operation) -> st.SearchStrategy[Sent]:
    """What is sent to one operation."""
    made = TEXTS_OF[operation.shape].map(lambda text: text.encode("utf-8", "surrogatepass"))
    return made.flatmap(damaged).flatmap(packed).map(lambda both: Sent(operation, *both))


made = operations.flatmap(sent_to)
"""Bodies made from nothing."""

RECORDED = [row for row in recorded() if row.is_about_the_body and len(row.body) < 20_000]
altered = st.sampled_from(RECORDED).flatmap(
    lambda row: mutated(row.body).map(lambda content: Sent(OPERATIONS[row.operation], content, row.headers.get("Content-Encoding", "")))
)
"""Recorded bodies with a few bytes changed."""
