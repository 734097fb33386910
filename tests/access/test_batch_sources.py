"""An internal batch names its sources itself, and RudderStack checks none of them: no spelling may carry a source past the key's rights."""

import gzip
import json
from base64 import b64decode
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway.access.models import words
from gateway.access.principal import Principal
from gateway.audit.models import Call, Channel
from gateway.contract.body import Body
from gateway.forwarding.admission import admit
from gateway.forwarding.answer import Refusal
from gateway.forwarding.submission import Submission
from gateway.operations import OPERATIONS
from tests.conftest import MESSAGE, Rest

OPERATION = OPERATIONS["internalbatch"]
REST_OF_PROPERTIES = json.dumps({name: value for name, value in MESSAGE["properties"].items() if name != "sourceID"})[1:-1]
PAYLOAD = json.dumps(MESSAGE["payload"])
MINE, VICTIM = '"sourceID":"src-1"', '"sourceID":"rep-1"'


def properties(*sources: str) -> str:
    """Properties with these members for the source, written as they are."""
    return "{" + ",".join([*sources, REST_OF_PROPERTIES]) + "}"


def message(*sources: str, more: str = "", name: str = '"properties"') -> str:
    return f'{{{name}:{properties(*sources)},"payload":{PAYLOAD}{more}}}'


def batch(*messages: str) -> str:
    return f"[{','.join(messages)}]"


GOOD = message(MINE)
TRICKS = {
    "another source": batch(message(VICTIM)),
    "upper case after": batch(message(MINE, '"SOURCEID":"rep-1"')),
    "upper case before": batch(message('"SOURCEID":"rep-1"', MINE)),
    "folded after": batch(message(MINE, '"SourceId":"rep-1"')),
    "folded before": batch(message('"SourceId":"rep-1"', MINE)),
    "only folded": batch(message('"sourceid":"rep-1"')),
    "doubled, victim last": batch(message(MINE, VICTIM)),
    "doubled, victim first": batch(message(VICTIM, MINE)),
    "tripled": batch(message(MINE, VICTIM, MINE)),
    "null after": batch(message(VICTIM, '"sourceID":null')),
    "null before": batch(message('"sourceID":null', VICTIM)),
    "null after, folded": batch(message(VICTIM, '"SOURCEID":null')),
    "mine, then null, then folded victim": batch(message(MINE, '"sourceID":null', '"sOURCEID":"rep-1"')),
    "second properties": batch(message(MINE, more=f',"properties":{properties(VICTIM)}')),
    "second properties with the source only": batch(message(MINE, more=',"properties":{"sourceID":"rep-1"}')),
    "second properties, folded": batch(message(MINE, more=',"PROPERTIES":{"sourceID":"rep-1"}')),
    "second properties, folded, first": batch(message(VICTIM, name='"Properties"', more=f',"properties":{properties(MINE)}')),
    "second properties without a source": batch(message(VICTIM, more=f',"properties":{{{REST_OF_PROPERTIES}}}')),
    "second properties null": batch(message(VICTIM, more=',"properties":null')),
    "PROPERTIES alone": batch(message(VICTIM, name='"PROPERTIES"')),
    "Properties alone": batch(message(VICTIM, name='"Properties"')),
    "escaped key": batch(message(MINE, r'"\u0073ourceID":"rep-1"')),
    "escaped key before": batch(message(r'"\u0073ourceID":"rep-1"', MINE)),
    "escaped upper key": batch(message(MINE, r'"\u0053ourceID":"rep-1"')),
    "escaped properties": batch(message(MINE, more=r',"\u0070roperties":{"sourceID":"rep-1"}')),
    "escaped value": batch(message(r'"sourceID":"\u0072ep-1"')),
    "long s beside": batch(message(MINE, '"ſourceID":"rep-1"')),
    "long s alone": batch(message('"ſourceID":"rep-1"')),
    "escaped long s": batch(message(MINE, r'"\u017fourceID":"rep-1"')),
    "dotless i beside": batch(message(MINE, '"sourceıD":"rep-1"')),
    "dotted I beside": batch(message(MINE, '"sourceİD":"rep-1"')),
    "full-width beside": batch(message(MINE, '"ｓｏｕｒｃｅＩＤ":"rep-1"')),
    "Cyrillic beside": batch(message(MINE, '"ѕourceID":"rep-1"')),
    "spaced key beside": batch(message(MINE, '" sourceID":"rep-1"')),
    "NUL in the key": batch(message(MINE, r'"sourceID\u0000":"rep-1"')),
    "NUL in the value": batch(message(r'"sourceID":"src-1\u0000"')),
    "spaces in the value": batch(message('"sourceID":" src-1"')),
    "upper-case value": batch(message('"sourceID":"SRC-1"')),
    "two in one value": batch(message('"sourceID":"src-1,rep-1"')),
    "Kelvin sign in another key": batch(GOOD.replace('"routingKey"', '"routing\N{KELVIN SIGN}ey"')),
    "null message": batch("null"),
    "null beside a good message": batch(GOOD, "null"),
    "number for a message": batch(GOOD, "7"),
    "text for a message": batch(GOOD, '"rep-1"'),
    "array for a message": batch(GOOD, f"[{message(VICTIM)}]"),
    "empty message": batch(GOOD, "{}"),
    "source a number": batch(message('"sourceID":7')),
    "source a number, then the victim": batch(message('"sourceID":7', '"SOURCEID":"rep-1"')),
    "source an array": batch(message('"sourceID":["src-1"]')),
    "source an object": batch(message('"sourceID":{"":"rep-1"}')),
    "source empty": batch(message('"sourceID":""')),
    "source empty, then the victim": batch(message('"sourceID":""', VICTIM)),
    "source missing": batch(message()),
    "properties missing": batch(f'{{"payload":{PAYLOAD}}}'),
    "properties null": batch(f'{{"properties":null,"payload":{PAYLOAD}}}'),
    "properties an array": batch(f'{{"properties":[{properties(VICTIM)}],"payload":{PAYLOAD}}}'),
    "victim second of two": batch(GOOD, message(VICTIM)),
    "victim first of two": batch(message(VICTIM), GOOD),
    "victim last of a hundred": batch(*[GOOD] * 99, message(VICTIM)),
    "folded victim last of a hundred": batch(*[GOOD] * 99, message(MINE, '"SOURCEID":"rep-1"')),
    "hidden behind a hundred faults": batch(*["{}"] * 100, message(VICTIM)),
    "no array": message(VICTIM),
    "two documents": batch(GOOD) + batch(message(VICTIM)),
    "byte order mark": "\ufeff" + batch(message(VICTIM)),
}
HARMLESS = {
    "long s beside",
    "escaped long s",
    "dotless i beside",
    "dotted I beside",
    "full-width beside",
    "Cyrillic beside",
    "spaced key beside",
    "NUL in the key",
}
"""Keys that RudderStack does not know and passes over."""

MINE_AFTER_ALL = {"doubled, victim first", "tripled", "escaped key before"}
"""Of doubled keys the last counts, and it is the key's own: sent or refused, either keeps to the rights."""


def folded(key: str) -> str:
    """RudderStack folds ASCII letters only: it took a Kelvin sign for no k."""
    return "".join(chr(ord(letter) + 32) if "A" <= letter <= "Z" else letter for letter in key)


def sources_upstream_reads(text: bytes) -> set[str]:
    """Of every message: keys in any letter case, the last counts, null changes nothing, a further properties object is laid over the first."""
    found = set()
    for message_ in json.loads(text, object_pairs_hook=tuple):
        source = ""
        for key, value in message_ or ():
            if folded(key) == "properties" and isinstance(value, tuple):
                source = next((value for key, value in reversed(value) if folded(key) == "sourceid" and value is not None), source)
        found.add(source)
    return found


def unpacked(received: dict[str, Any]) -> bytes:
    content = b64decode(received["body_base64"])
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


@pytest.fixture
def rest(make_key, sandbox):
    return Rest(make_key(sources="src-1"))


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("validation", ["strict", "observe"])
@pytest.mark.parametrize("trick", list(TRICKS))
def test_no_trick_reaches_another_source(rest, sandbox, settings, trick, validation, packed):
    settings.GATEWAY_VALIDATION = validation
    body = TRICKS[trick].encode()
    headers = {"Content-Encoding": "gzip"} if packed else {}

    answer = rest.send("batch", gzip.compress(body, mtime=0) if packed else body, headers)

    assert all(sources_upstream_reads(unpacked(received)) == {"src-1"} for received in sandbox.received())
    if trick in HARMLESS:
        assert answer.status_code == 200
    elif trick in MINE_AFTER_ALL:
        assert answer.status_code in (200, 400)
    else:
        assert answer.status_code in (400, 403)
    assert sandbox.count()["calls"] == (answer.status_code == 200)
    assert Call.objects.count() == 1


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("validation", ["strict", "observe"])
@pytest.mark.parametrize(
    "body",
    [
        batch(GOOD),
        batch(*[GOOD] * 100),
        batch(message('"sourceid":"src-1"')),
        batch(message(r'"\u0073ourceID":"src-1"')),
        batch(message(MINE, '"x":1')),
        batch(message(MINE, '"destinationID":null')),
    ],
    ids=["one", "a hundred", "folded", "escaped", "with another key", "with a null"],
)
def test_a_good_batch_of_the_keys_own_source_passes(rest, sandbox, settings, body, validation, packed):
    settings.GATEWAY_VALIDATION = validation
    content = gzip.compress(body.encode(), mtime=0) if packed else body.encode()
    answer = rest.send("batch", content, {"Content-Encoding": "gzip"} if packed else {})
    assert answer.status_code == 200
    [received] = sandbox.received()
    assert unpacked(received) == body.encode()
    assert Call.objects.get().source == "src-1"


def test_a_key_for_both_sources_sends_both(make_key, sandbox):
    answer = Rest(make_key(sources="src-1,rep-1")).send("batch", batch(GOOD, message(VICTIM)).encode())
    assert answer.status_code == 200
    assert Call.objects.get().source == "rep-1,src-1"


@pytest.mark.parametrize("trick", [name for name, body in TRICKS.items() if name not in ("two documents", "byte order mark", "no array")])
def test_the_exact_check_reads_the_sources_that_rudderstack_reads(trick):
    verdict = Body.of(TRICKS[trick].encode()).exact(OPERATION)
    if verdict.accepted:
        assert set(verdict.reading.sources) == sources_upstream_reads(TRICKS[trick].encode())


def test_the_refusal_names_the_message_and_not_the_source(rest):
    answer = rest.send("batch", TRICKS["victim last of a hundred"].encode())
    problem = json.loads(answer.content)
    assert answer.status_code == 403
    assert [error["pointer"] for error in problem["errors"]] == ["/99/properties/sourceID"]
    assert b"rep-1" not in answer.content


LIMITED = Principal("c-1", "tester", "rgw_12345678", words("all"), words("src-1"))
KEYS = st.sampled_from(["sourceID", "SOURCEID", "sourceId", r"\u0073ourceID", r"\u0053OURCEID", "ſourceID", "source", "x"])
VALUES = st.sampled_from(['"src-1"', '"rep-1"', '"SRC-1"', "null", '""', "7", '{"sourceID":"rep-1"}', r'"\u0073rc-1"'])
MEMBERS = st.lists(st.builds('"{}":{}'.format, KEYS, VALUES), max_size=4)
OBJECTS = st.one_of(st.builds(lambda members: properties(*members), MEMBERS), st.sampled_from(["null", "{}", "7"]))
NAMES = st.sampled_from(["properties", "PROPERTIES", "Properties", r"\u0070roperties", "ropertiesp"])
MESSAGES = st.one_of(
    st.builds(lambda members: message(*members), MEMBERS),
    st.lists(st.builds('"{}":{}'.format, NAMES, OBJECTS), max_size=3).map(lambda parts: "{" + ",".join([*parts, f'"payload":{PAYLOAD}']) + "}"),
    st.sampled_from([GOOD, "null", "{}"]),
)


@pytest.mark.parametrize("validation", ["strict", "observe"])
@hypothesis_settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(messages=st.lists(MESSAGES, max_size=4))
def test_what_is_admitted_is_read_as_the_keys_own_source_alone(settings, validation, messages):
    settings.GATEWAY_VALIDATION = validation
    body = Body.of(batch(*messages).encode())
    try:
        admit(Submission(LIMITED, OPERATION, body, Channel.REST, "192.0.2.1", "r-1"))
    except Refusal:
        return
    assert sources_upstream_reads(body.received) == {"src-1"}
