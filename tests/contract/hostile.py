"""Bodies made to be slow to judge: families of about 1 MB each. What they cost is measured elsewhere."""

import gzip
import json
import zlib
from collections.abc import Callable
from functools import partial

from gateway.contract.messages import BOOLEANS, OPTIONAL

SIZE = 1_000_000
"""No body of a family has more bytes, unpacked; few have many fewer."""

Family = Callable[[], bytes]


def many(unit: bytes, before: bytes = b"[", after: bytes = b"]", between: bytes = b",") -> bytes:
    """As many times the same as fit."""
    times = (SIZE - len(before) - len(after) + len(between)) // (len(unit) + len(between))
    return before + between.join([unit] * times) + after


def mixed(units: list[bytes], before: bytes = b"[", after: bytes = b"]", between: bytes = b",") -> bytes:
    """Several things in turn."""
    return many(between.join(units), before, after, between)


def numbered(unit: bytes, before: bytes = b"[", after: bytes = b"]") -> bytes:
    """Things that differ: `%d` in them counts."""
    times = (SIZE - len(before) - len(after)) // (len(unit) + 5)
    return before + b",".join(unit % index for index in range(times)) + after


def ending(end: bytes, unit: bytes, before: bytes = b"[") -> bytes:
    """Good until its very end."""
    return many(unit, before, b"," + end)


def text_of(unit: bytes, before: bytes = b'{"userId":"', after: bytes = b'"}') -> bytes:
    """One long string."""
    return many(unit, before, after, b"")


def nest(opening: bytes, closing: bytes, levels: int, inside: bytes = b"1") -> bytes:
    """Arrays or objects within each other."""
    return opening * levels + inside + closing * levels


def nests(levels: int, inside: bytes = b"", opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    """Many nests beside each other."""
    return many(nest(opening, closing, levels, inside))


PROPERTIES = {
    "requestType": "track",
    "routingKey": "u",
    "workspaceID": "w",
    "sourceID": "s",
    "receivedAt": "2026-01-02T03:04:05Z",
    "requestIP": "192.0.2.7",
}
PAYLOAD = {"messageId": "m", "receivedAt": None, "request_ip": None, "rudderId": None, "type": "t"}


def message(properties: object = PROPERTIES, payload: object = PAYLOAD) -> bytes:
    """A message, a good one unless told otherwise."""
    return json.dumps({"properties": properties, "payload": payload}, separators=(",", ":")).encode()


def propertied(**more: object) -> bytes:
    """A message with more or other properties."""
    return message({**PROPERTIES, **more})


GOOD = message()
FULL = propertied(**dict.fromkeys(OPTIONAL, "x"), **dict.fromkeys(BOOLEANS, True))
ESCAPED_TIME = GOOD.replace(b"05Z", rb"05\u005a")
COUNTED_SOURCE = GOOD.replace(b'"sourceID":"s"', b'"sourceID":"%d"')
INNER = GOOD[1:-1]
HEAD = GOOD.partition(b'"requestType"')[0]
"""A good message up to its first property."""
TAIL = GOOD[len(HEAD) :]

MESSAGES: dict[str, Family] = {
    "messages of {}": partial(many, b"{}"),
    "messages of null": partial(many, b"null"),
    "messages of []": partial(many, b"[]"),
    "messages of [{}]": partial(many, b"[{}]"),
    "messages of 0": partial(many, b"0"),
    "messages of -1.5": partial(many, b"-1.5"),
    "messages of texts": partial(many, b'""'),
    "messages of booleans": partial(many, b"true"),
    "messages of all kinds": partial(mixed, [b"{}", b"null", b"[]", b"0", b'""', b"false", b'{"properties":{}}', b'{"payload":{}}']),
    "messages with one unknown key": partial(many, b'{"":0}'),
    "messages with empty properties": partial(many, b'{"properties":{}}'),
    "messages with properties null": partial(many, b'{"properties":null}'),
    "messages with properties of another type": partial(many, b'{"properties":0}'),
    "messages with an empty payload": partial(many, b'{"payload":{}}'),
    "messages with empty parts": partial(many, b'{"properties":{},"payload":{}}'),
    "messages with parts twice": partial(many, b'{"properties":{},"properties":{}}'),
    "messages with one property": partial(many, b'{"properties":{"sourceID":"s"}}'),
    "messages with one property of another type": partial(many, b'{"properties":{"isBot":0}}'),
    "messages with a source each": partial(numbered, b'{"properties":{"sourceID":"%d"}}'),
    "messages with a folded source each": partial(numbered, b'{"Properties":{"SOURCEID":"%d"}}'),
    "messages with only a bad time": partial(many, b'{"properties":{"receivedAt":"x"}}'),
    "messages with only a good time": partial(many, b'{"properties":{"receivedAt":"2026-01-02T03:04:05Z"}}'),
    "messages with half the properties": partial(many, b'{"properties":{"requestType":"a","routingKey":"b","workspaceID":"c"}}'),
    "messages with all properties and no payload": partial(many, b'{"properties":%s}' % json.dumps(PROPERTIES).encode()),
    "messages with a payload alone": partial(many, b'{"payload":%s}' % json.dumps(PAYLOAD).encode()),
    "messages with a doubled property": partial(many, b'{"properties":{"userID":"","USERID":""}}'),
    "messages good": partial(many, GOOD),
    "messages good, a source each": partial(numbered, COUNTED_SOURCE),
    "messages good, folded": partial(many, GOOD.replace(b"properties", b"PROPERTIES").replace(b"sourceID", b"SOURCEID")),
    "messages good, keys escaped": partial(many, GOOD.replace(b'"s', rb'"\u0073').replace(b'"p', rb'"\u0070')),
    "messages good, all properties": partial(many, FULL),
    "messages good, an odd time": partial(many, propertied(receivedAt="2026-01-02T3:04:05,5+24:60")),
    "messages good, short odd values": partial(many, propertied(requestIP="1", receivedAt="2026-01-02T3:04:05Z")),
    "messages good, unknown properties": partial(many, propertied(**{f"x{index}": None for index in range(50)})),
    "messages good, payloads of tiny keys": partial(many, message(payload={**PAYLOAD, **{str(index): 0 for index in range(50)}})),
    "messages good, payloads of exponents": partial(many, GOOD.replace(b'"type":', b'"x":[1e4,1e4,1e4,1e4,1e4,1e4,1e4,1e4],"type":')),
    "messages good, one exponent each": partial(many, GOOD.replace(b'"type":', b'"x":1e4,"type":')),
    "messages good, last one bad": partial(many, GOOD, after=b",0]"),
    "messages good, first one bad": partial(many, GOOD, before=b"[{},"),
    "messages good after 99 faults": partial(many, GOOD, before=b"[" + b'{"properties":0},' * 14 + b"{}," * 10),
    "messages good after 100 faults": partial(many, GOOD, before=b"[" + b"0," * 100),
    "messages with a NUL": partial(many, propertied(workspaceID="\0")),
    "messages with a blank messageId": partial(many, message(payload={**PAYLOAD, "messageId": "\u200b" * 50})),
    "messages with a broken time": partial(many, propertied(receivedAt="2026-02-30T03:04:05Z")),
    "messages with the zero time": partial(many, propertied(receivedAt="0001-01-01T00:00:00.000000000Z")),
    "messages with escaped times": partial(many, ESCAPED_TIME),
    "messages with only an escaped time": partial(many, rb'{"properties":{"receivedAt":"\u0032026-01-02T03:04:05Z"}}'),
    "messages with one escaped time at the end": partial(many, GOOD, after=b"," + ESCAPED_TIME + b"]"),
    "messages with one escaped time before empty ones": partial(many, b"{}", before=b"[" + ESCAPED_TIME + b","),
    "messages with times escaped elsewhere": partial(many, GOOD.replace(b'"type":', rb'"x":"2026\u005a","type":')),
    "messages with a lone surrogate": partial(many, propertied(sourceID="\ud800")),
    "messages with times in odd keys": partial(many, rb'{"properties":{"RECEIVEDAT":"2026\u005a"},"x":{"receivedAt":"\u005a"}}'),
    "messages with an overflow": partial(many, GOOD.replace(b'"type":', b'"x":1e400,"type":')),
    "messages deep inside": partial(many, GOOD.replace(b'"type":', b'"x":%s,"type":' % nest(b"[", b"]", 900, b""))),
    "one message of many sources": partial(many, b'"SOURCEID":"a"', b"[" + HEAD, b"," + TAIL + b"]"),
    "one message of many nulls": partial(many, b'"sourceid":null', b"[" + HEAD, b"," + TAIL + b"]"),
    "one message of many times": partial(many, b'"RECEIVEDAT":"2026-01-02T03:04:05Z"', b"[" + HEAD, b"," + TAIL + b"]"),
    "one message of many odd times": partial(many, b'"receivedAt":"2026-01-02T3:04:05,5Z"', b"[" + HEAD, b"," + TAIL + b"]"),
    "one message of many escaped times": partial(many, rb'"receivedAt":"2026\u005a"', b"[" + HEAD, b"," + TAIL + b"]"),
    "one message of many parts": partial(many, b'"PAYLOAD":0', b"[{", b"," + INNER + b"}]"),
    "one message of many empty properties": partial(many, b'"properties":{}', b"[{", b"," + INNER + b"}]"),
    "one message of many full properties": partial(many, INNER, b"[{", b"}]"),
    "one message of many unknown keys": partial(many, b'"":0', b"[{", b"," + INNER + b"}]"),
    "one message of many unknown properties": partial(numbered, b'"%d":0', b"[" + HEAD, b"," + TAIL + b"]"),
    "one message of many unknown long s": partial(many, '"ſ":0'.encode(), b"[" + HEAD, b"," + TAIL + b"]"),
    "one message of many payload fields": partial(many, b'"type":0', b'[{"payload":{', b"}}]"),
    "one message of a long fraction": partial(many, b"0", b"[" + GOOD.replace(b"05Z", b"05."), b"", b""),
    "one message of a long zero time": lambda: b"[" + GOOD.replace(b"2026-01-02T03:04:05Z", b"0001-01-01T00:00:00." + b"0" * 999_000 + b"Z") + b"]",
    "one message of a long bad time": lambda: b"[" + GOOD.replace(b"2026-01-02T03:04:05Z", b"2026-01-02T03:04:05." + b"0" * 999_000) + b"]",
    "one message of a long source": lambda: b"[" + GOOD.replace(b'"sourceID":"s"', b'"sourceID":"%s"' % (b"s" * 999_000)) + b"]",
    "one message of a long workspace": lambda: b"[" + GOOD.replace(b'"workspaceID":"w"', b'"workspaceID":"%s"' % (rb"\u0000" * 166_000)) + b"]",
    "no messages but an object": partial(many, b'"":{}', b"{", b"}"),
}

EVENTS: dict[str, Family] = {
    f"events of {name}": partial(many, unit, b'{"batch":[', b"]}")
    for name, unit in {
        "{}": b"{}",
        "null": b"null",
        "0": b"0",
        "[]": b"[]",
        "texts": b'""',
        "[{}]": b"[{}]",
        "number users": b'{"userId":0}',
        "{} users": b'{"userId":{}}',
        "text users": b'{"userId":"u"}',
        "null users": b'{"userId":null}',
        "two null users": b'{"userId":null,"anonymousId":null}',
        "empty users": b'{"userId":"","anonymousId":""}',
        "blank users": '{"userId":"\u200b","anonymousId":"\u200b"}'.encode(),
        "long blank users": b'{"userId":"%s","anonymousId":"u"}' % ("\u200b" * 300).encode(),
        "anonymous users": b'{"anonymousId":"u"}',
        "non-ASCII users": '{"userId":"é","messageId":"é"}'.encode(),
        "records": b'{"type":"record"}',
        "extracts": b'{"type":"extract"}',
        "tracks": b'{"type":"track"}',
        "audience lists": b'{"type":"audiencelist"}',
        "unknown keys": b'{"":0}',
        "known keys": b'{"userId":"u","messageId":"m","type":"track","context":{}}',
        "known keys last": b'{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"type":"record"}',
        "message ids": b'{"userId":"u","messageId":"m"}',
        "message ids that are none": b'{"userId":"u","messageId":0}',
        "blank message ids": '{"userId":"u","messageId":"\u200b\u200b"}'.encode(),
        "long blank message ids": b'{"userId":"u","messageId":"%s"}' % ("\u200b" * 3000).encode(),
        "exponents": b'{"userId":1e5}',
        "overflows": b'{"userId":1e400}',
        "ignored overflows": b'{"messageId":1e400,"userId":0}',
        "lists": b'{"userId":[[],[],[],[]]}',
        "users in other letters": b'{"USERID":"u"}',
        "escaped users": rb'{"\u0075serId":"\u0075"}',
        "spaced users": b'{ "userId" : 0 }\n',
    }.items()
} | {
    "events of {} and one overflow": partial(many, b"{}", b'{"batch":[', b',{"a":1e400}]}'),
    "events good and one overflow": partial(many, b'{"userId":0}', b'{"batch":[', b',{"a":1e400,"userId":0}]}'),
    "events good, tiny arrays and one overflow": partial(many, b"[]", b'{"batch":[{"userId":0,"a":[', b",[1e400]]}]}"),
    "events good, tiny objects and one overflow": partial(many, b"{}", b'{"batch":[{"userId":0,"a":[', b",[1e400]]}]}"),
    "one event of tiny objects and one overflow": partial(many, b"{}", b'{"userId":0,"a":[', b",[1e400]]}"),
    "one event of tiny pairs and one overflow": partial(many, b'{"":[]}', b'{"userId":0,"a":[', b",[1e400]]}"),
    "one event of tiny keys and one overflow": partial(numbered, b'"%d":0', b'{"userId":0,', b',"a":1e400}'),
    "one event of doubled keys and one overflow": partial(many, b'"a":[]', b'{"userId":0,', b',"b":1e400}'),
    "one event of overflows": partial(many, b"1e400", b'{"userId":0,"a":[', b"]}"),
    "one event of an unstored overflow and others": partial(many, b"{}", b'{"userId":0,"messageId":1e400,"a":[', b"]}"),
    "batches, doubled": partial(many, b'"batch":[]', b"{", b"}"),
    "batches, doubled, the first one null": partial(many, b'"batch":[{}]', b'{"batch":null,', b"}"),
    "a batch behind many keys": partial(many, b'"b":0', b"{", b',"batch":[{}]}'),
    "a user behind many keys": partial(many, b'"b":0', b"{", b',"userId":""}'),
    "a context behind many keys": partial(many, b'"b":0', b'{"batch":[{"userId":0,', b',"context":{"sources":{"job_run_id":"a"}}}]}'),
    "a context of many keys": partial(many, b'"b":0', b'{"userId":0,"context":{', b"}}"),
    "contexts, doubled": partial(many, b'"context":{}', b'{"userId":0,', b"}"),
    "users, doubled": partial(many, b'"userId":""', b"{", b"}"),
    "one event of blank ids, each another": partial(many, "\u200b\u00ad\u2800\u3164".encode(), b'{"userId":"', b'"}', b""),
    "one event of blank ids, twice": lambda: '{{"userId":"{0}","anonymousId":"{0}","messageId":"{0}"}}'.format("\u200b" * 110_000).encode(),
    "one event of blank ids, then seen": partial(text_of, "\u200b".encode(), after='é"}'.encode()),
}

NESTS: dict[str, Family] = {
    **{f"nests of {levels} arrays": partial(nests, levels) for levels in (2, 3, 5, 10, 30, 100, 500, 900, 990, 999, 1001)},
    **{f"nests of {levels} objects": partial(nests, levels, b"1", b'{"":', b"}") for levels in (2, 10, 100, 990, 999, 1001)},
    **{f"nests of {levels} pairs": partial(nests, levels, b"1", b'[{"a":', b"}]") for levels in (2, 10, 100, 499, 501)},
    **{f"nest of {levels:,} arrays": partial(nest, b"[", b"]", levels) for levels in (10_000, 10_001, 100_000, 490_000)},
    **{f"nest of {levels:,} objects": partial(nest, b'{"a":', b"}", levels) for levels in (10_000, 100_000, 160_000)},
    "nest that is not closed": partial(text_of, b"[", b"", b""),
    "nest of objects that is not closed": partial(text_of, b'{"":', b"", b""),
    "nest of two that is not closed": partial(text_of, b'[{"":', b"", b""),
    "nest that is only closed": partial(text_of, b"]", b"", b""),
    "nest that is closed wrongly": lambda: b"[" * 500_000 + b"}" * 500_000,
    "nest of spaces": lambda: b"[ " * 300_000 + b"]" * 300_000,
    "nest in a batch": lambda: b'{"batch":[{"userId":0,"a":%s}]}' % nest(b"[", b"]", 400_000),
    "nest in a message": lambda: b'[{"payload":{"a":%s}}]' % nest(b"[", b"]", 400_000),
    "nest beside a string": lambda: b'["",' + nest(b"[", b"]", 400_000) + b"]",
    "nest beside a string with brackets": lambda: b'["[",' + nest(b"[", b"]", 400_000) + b"]",
    "nest beside many strings": partial(mixed, [b'"["', rb'"\\\""', b'""'], nest(b"[", b"]", 1001)[:-1] + b",", b"]"),
    "nest beside many strings of brackets": partial(many, b'"]"', b"[" * 1001, b"]" * 1001),
    "nest beside many escaped strings": partial(many, rb'"\"]"', b"[" * 1001, b"]" * 1001),
    "nest beside many keys": partial(many, b'{"[":"]"}', b"[" * 1001, b"]" * 1001),
    "nest beside one long string of brackets": partial(many, b"[", b"[" * 1001 + b'"', b'"' + b"]" * 1001, b""),
    "nest beside one long string of quotes": partial(many, rb"[\"", b"[" * 1001 + b'"', b'"' + b"]" * 1001, b""),
    "nest beside one long string of backslashes": partial(many, rb"\\[", b"[" * 1001 + b'"', b'"' + b"]" * 1001, b""),
    "nest beside good messages": partial(many, GOOD, b"[" * 1001, b"]" * 1001),
    "nest beside numbers": partial(many, b"0", b"[" * 1001, b"]" * 1001),
    "nest beside empty objects": partial(many, b"{}", b"[" * 1001, b"]" * 1001),
    "nest after many strings": partial(many, b'"["', after=b"," + nest(b"[", b"]", 1001) + b"]"),
    "nest after many keys": partial(numbered, b'"%d[":0', b"{", b',"":' + nest(b"[", b"]", 1001) + b"}"),
    "nest after empty objects": partial(many, b"{}", after=b"," + nest(b"[", b"]", 1001) + b"]"),
    "nest after good messages": partial(many, GOOD, after=b"," + nest(b"[", b"]", 1001) + b"]"),
    "nest after events": partial(many, b'{"userId":"["}', b'{"batch":[', b"," + nest(b"[", b"]", 1001) + b"]}"),
    "nest after exponents": partial(many, b"1e5", after=b"," + nest(b"[", b"]", 1001) + b"]"),
    "nest of 1000 after many strings": partial(many, b'"["', after=b"," + nest(b"[", b"]", 999) + b"]"),
    "nest of 1000 after exponents": partial(many, b"1e5", after=b"," + nest(b"[", b"]", 999) + b"]"),
    "nest of 1000 after empty objects": partial(many, b"{}", after=b"," + nest(b"[", b"]", 999) + b"]"),
    "nest of 1000 after good messages": partial(many, GOOD, after=b"," + nest(b"[", b"]", 999) + b"]"),
    "nest of 1000 after events": partial(many, b'{"userId":"["}', b'{"batch":[', b"," + nest(b"[", b"]", 998) + b"]}"),
    "nests of 1000 in messages": partial(many, b'{"properties":%s}' % nest(b"[", b"]", 998, b"")),
    "nests of 1000 in events": partial(many, b'{"a":%s}' % nest(b"[", b"]", 997, b""), b'{"batch":[', b"]}"),
}

NUMBERS: dict[str, Family] = {
    **{
        f"numbers of {name}": partial(many, number)
        for name, number in {
            "1": b"1",
            "-0": b"-0",
            "1.5": b"1.5",
            "0.1": b"0.1",
            "1e5": b"1e5",
            "1E5": b"1E5",
            "1e+5": b"1e+5",
            "1e-5": b"1e-5",
            "1e0": b"1e0",
            "0e9": b"0e9",
            "1e99": b"1e99",
            "1e300": b"1e300",
            "1e308": b"1e308",
            "1e400": b"1e400",
            "-1e999": b"-1e999",
            "1.5e5": b"1.5e5",
            "1e-400": b"1e-400",
            "2.2250738585072011e-308": b"2.2250738585072011e-308",
            "17 digits": b"12345678901234567e290",
            "20 digits": b"12345678901234567890",
            "300 digits": b"1" * 300,
            "299 digits": b"1" * 299,
            "400 digits": b"1" * 400,
            "4000 digits": b"1" * 4000,
            "5000 digits": b"1" * 5000,
            "800 digits and an exponent": b"1." + b"7" * 800 + b"e5",
            "5000 digits after the point": b"0." + b"7" * 5000,
        }.items()
    },
    "numbers of all kinds": partial(mixed, [b"1", b"1.5", b"1e5", b"1e400", b"-0", b"1e-400"]),
    "numbers, distinct": partial(numbered, b"%d"),
    "numbers, distinct with exponents": partial(numbered, b"%de5"),
    "numbers, one exponent at the end": partial(many, b"1", after=b",1e5]"),
    "numbers, one overflow at the end": partial(many, b"1", after=b",1e400]"),
    "floats, one overflow at the end": partial(many, b"1.5", after=b",1e400]"),
    "number of a million digits": partial(text_of, b"7", b"", b""),
    "number of a million zeros": partial(text_of, b"0", b"1", b""),
    "number of a million digits after the point": partial(text_of, b"7", b"0.", b""),
    "number of a million zeros after the point": partial(text_of, b"0", b"0.", b"1"),
    "number of a million digits in the exponent": partial(text_of, b"7", b"1e", b""),
    "number of a million digits in the negative exponent": partial(text_of, b"7", b"1e-", b""),
    "number of a million digits and an exponent": partial(text_of, b"7", b"", b"e-999990"),
    "number halfway between doubles": lambda: b"9007199254740993." + b"0" * 999_000 + b"1",
    "texts of 1e5": partial(many, b'"1e5"'),
    "texts of 1e400": partial(many, b'"1e400"'),
    "texts of a0e9": partial(many, b'"a0e9f1"'),
    "keys of 1e400": partial(many, b'"1e400":0', b"{", b"}"),
    "minus signs": partial(text_of, b"-", b"", b""),
}

TEXTS: dict[str, Family] = {
    f"text of {name}": partial(text_of, unit)
    for name, unit in {
        "letters": b"a",
        "spaces": b" ",
        "NUL": rb"\u0000",
        "escaped letters": rb"\u0061",
        "escaped blanks": rb"\u200b",
        "escaped lines": rb"\n",
        "letters and escapes": rb"a\n",
        "backslashes": rb"\\",
        "quotes": rb"\"",
        "backslashes and quotes": rb"\\\"",
        "brackets": b"[",
        "braces and quotes": rb"{\"",
        "colons and quotes": rb"\":\"",
        "lone surrogates": rb"\ud800",
        "lone low surrogates": rb"\udc00",
        "surrogate pairs": rb"\ud83d\ude00",
        "half pairs": rb"\ud83dx",
        "bad UTF-8": b"\xff",
        "cut UTF-8": b"\xc3",
        "cut UTF-8 and letters": b"\xe2\x80a",
        "surrogates in UTF-8": b"\xed\xa0\x80",
        "letters and bad UTF-8": b"a\xff",
        "é": "é".encode(),
        "日": "日".encode(),
        "emoji": "\U0001f600".encode(),
        "emoji and bad UTF-8": "\U0001f600".encode() + b"\xff",
        "blanks": "\u200b".encode(),
        "blanks of four bytes": "\U000e0001".encode(),
        "unassigned": "\U000e0fff".encode(),
        "combining": "\u0301".encode(),
        "no-break spaces": "\u00a0".encode(),
        "DEL": b"\x7f",
        "control characters": "\u0080".encode(),
        "times": b"2026-01-02T03:04:05Z",
        "digits": b"0",
    }.items()
} | {
    "texts, tiny": partial(many, b'"a"'),
    "texts, tiny and escaped": partial(many, rb'"\u0061"'),
    "texts, tiny and bad UTF-8": partial(many, b'"\xff"'),
    "texts, tiny lone surrogates": partial(many, rb'"\ud800"'),
    "texts of a bracket": partial(many, b'"["'),
    "texts of an escaped quote": partial(many, rb'"\""'),
    "texts, not closed": partial(text_of, b"a", b'"', b""),
    "texts of escapes, not closed": partial(text_of, rb"\"", b'"', b""),
    "texts of bad UTF-8, not closed": partial(text_of, b"\xff", b'"', b""),
    "quotes": partial(text_of, b'"', b"", b""),
    "quotes and colons": partial(text_of, b'":', b"", b""),
    "quotes, colons and spaces": partial(text_of, b'" : ', b"", b""),
    "quotes and spaces": partial(text_of, b'"' + b" " * 999, b"", b""),
    "colons and times": partial(text_of, b'":"2026', b"", b""),
    "quote and spaces": partial(text_of, b" ", b'{"a"', b':"b"}'),
    "backslashes": partial(text_of, b"\\", b"", b""),
    "half an escape": partial(text_of, rb"\u00", b'"', b""),
}

KEYS: dict[str, Family] = {
    "keys, doubled": partial(many, b'"a":0', b"{", b"}"),
    "keys, doubled and empty": partial(many, b'"":0', b"{", b"}"),
    "keys, doubled, of arrays": partial(many, b'"":[]', b"{", b"}"),
    "keys, doubled, of objects": partial(many, b'"":{}', b"{", b"}"),
    "keys, doubled, escaped": partial(many, rb'"\u0061":0', b"{", b"}"),
    "keys, distinct": partial(numbered, b'"%d":0', b"{", b"}"),
    "keys, distinct, of objects": partial(numbered, b'"%d":{}', b"{", b"}"),
    "keys, distinct, non-ASCII": partial(numbered, '"日%d":0'.encode(), b"{", b"}"),
    "keys, distinct, bad UTF-8": partial(numbered, b'"\xff%d":0', b"{", b"}"),
    "keys, SOURCEID": partial(many, b'"SOURCEID":""', b"{", b"}"),
    "keys, objects of one": partial(many, b'{"a":0}'),
    "keys, objects of one, distinct": partial(numbered, b'{"%d":0}'),
    "keys, objects of two": partial(many, b'{"":0,"":0}'),
    "keys, long": lambda: b'{"%s":1e400}' % (b"a" * 999_000),
    "keys, long, in a message": lambda: b'[{"properties":{"%s":1e400}}]' % (b"a" * 990_000),
    "keys, long, of overflows": lambda: b'{"userId":0,"%s":[%s]}' % (b"~" * 500_000, b",".join([b"1e400"] * 80_000)),
    "keys, long, of nested overflows": lambda: b'{"userId":0,"%s":[%s]}' % (b"/" * 800_000, b",".join([b"[1e400]"] * 20_000)),
    "keys, long, of bad UTF-8": lambda: b'{"userId":0,"%s":1e400}' % (b"\xff" * 990_000),
    "keys, long, of properties": lambda: b'[{"properties":{"%s":0}}]' % ("ſ" * 490_000).encode(),
    "keys without values": partial(many, b'"a"', b"{", b"}"),
}

BROKEN: dict[str, Family] = {
    "broken at the end, numbers": partial(ending, b"x", b"0"),
    "broken at the end, objects": partial(ending, b"x", b"{}"),
    "broken at the end, arrays": partial(ending, b"x", b"[]"),
    "broken at the end, good messages": partial(ending, b"x", GOOD),
    "broken at the end, keys": partial(ending, b"x", b'"a":0', b"{"),
    "broken at the end, distinct keys": partial(numbered, b'"%d":0', b"{", b"x"),
    "broken at the end, exponents": partial(ending, b"x", b"1e5"),
    "broken at the end, overflows": partial(ending, b"x", b"1e400"),
    "broken at the end, lines": partial(ending, b"x", b"\n0"),
    "broken at the end, non-ASCII": partial(ending, b"x", '"日"'.encode()),
    "broken at the end, bad UTF-8": partial(ending, b"x", b'"\xff"'),
    "broken at the end, bad UTF-8 in one text": partial(text_of, b"\xff", after=b'"x'),
    "broken at the end, non-ASCII in one text": partial(text_of, "日".encode(), after=b'"x'),
    "broken at the end, escapes": partial(text_of, rb"\u0000", after=b'"x'),
    "broken at the end, NaN": partial(ending, b"NaN]", b"0"),
    "broken at the end, Infinity after exponents": partial(ending, b"-Infinity]", b"1e5"),
    "broken at the end, extra data": partial(many, b"0", after=b"] x"),
    "broken at the end, extra objects": partial(many, b"{}", after=b"] x"),
    "broken in the middle": partial(many, b"{}", after=b"]" + b" " * 10 + b"x"),
    "NaN": partial(many, b"NaN"),
    "spaces": partial(text_of, b" ", b"", b""),
    "lines": partial(text_of, b"\n", b"", b""),
    "lines and then broken": partial(text_of, b"\r\n", b"", b"x"),
    "spaces round all": partial(many, b" \t\r\n0 \t\r\n"),
    "spaces between tokens": partial(many, b' "a" : { } ', b"{", b"}"),
    "NUL bytes": partial(text_of, b"\0", b"", b""),
    "bad UTF-8": partial(text_of, b"\xff", b"", b""),
    "no-break spaces": partial(text_of, "\u00a0".encode(), b"", b""),
    "byte order marks": partial(text_of, "\ufeff".encode(), b"", b""),
    "commas": partial(text_of, b",", b"[", b"]"),
    "colons": partial(text_of, b":", b"{", b"}"),
    "letters": partial(text_of, b"a", b"", b""),
    "documents": partial(many, b"{}", b"", b"", b""),
    "the head of gzip": partial(text_of, b"\x1f\x8b", b"", b""),
}

FAMILIES: dict[str, Family] = MESSAGES | EVENTS | NESTS | NUMBERS | TEXTS | KEYS | BROKEN
"""All that is sent as it is. Packed with gzip, each is another body."""


def member(content: bytes = b"", level: int = 9) -> bytes:
    """One member of a gzip stream."""
    return gzip.compress(content, level, mtime=0)


def with_name(size: int) -> bytes:
    """A member of nothing, under a long name."""
    return member()[:3] + b"\x08" + member()[4:10] + b"a" * size + b"\0" + member()[10:]


def flushed() -> bytes:
    """One member of empty blocks alone."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress(b" ") + packer.flush(zlib.Z_FULL_FLUSH)
    return head + b"\x00\x00\x00\xff\xff" * (SIZE // 5 - 100) + packer.compress(b"{}") + packer.flush()


GZIP_FAMILIES: dict[str, Family] = {
    "gzip of empty members": partial(text_of, member(), b"", b""),
    "gzip of empty members, then broken": partial(text_of, member(), b"", b"x"),
    "gzip of empty members, then a body": partial(text_of, member(), b"", member(b"{}")),
    "gzip of members of a byte": partial(text_of, member(b" "), b"", b""),
    "gzip of stored members": partial(text_of, member(b" ", 0), b"", b""),
    "gzip of members of 100 bytes": partial(text_of, member(b" " * 100), b"", b""),
    "gzip of members of 1000 bytes": lambda: member(b" " * 1000) * 1000,
    "gzip of members with a name of 1000 bytes": partial(text_of, with_name(1000), b"", b""),
    "gzip of members with a name of 17,000 bytes": partial(text_of, with_name(17_000), b"", b""),
    "gzip of a name of a million bytes": partial(with_name, SIZE - 100),
    "gzip of empty blocks": flushed,
    "gzip, cut": lambda: member(many(b"{}"))[:-1],
    "gzip, broken at its end": lambda: member(many(GOOD))[:-8] + bytes(8),
    "gzip, stored": lambda: member(many(GOOD), 0),
    "gzip, none": FAMILIES["messages of {}"],
    "gzip of nothing but zeros": lambda: member(bytes(SIZE)),
}
"""What is sent with Content-Encoding: gzip."""
