"""What of headers and answers stands in the log: nothing that is a secret or names a person."""

import json
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway.audit.redaction import ANSWER_CHARACTERS, KEPT_HEADERS, MASK, mask, masked_answer, masked_headers
from tests.recorded import recorded

SHAPES = [
    ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
    ("authorization:bearer abc.DEF-123_~+/", "abc.DEF-123"),
    ("Bearer\n\tabcd1234", "abcd1234"),
    ("no such key rgw_AbCd1234EfGh5678", "AbCd1234"),
    ("user jane.doe+news@mail.example.com not found", "jane.doe"),
    ("ännchen@exämple.de", "nnchen"),
    ('{"email":"o_o@example.co.uk"}', "o_o"),
    ("dial postgres://rudder:hunter2@10.0.0.7:5432/jobs", "hunter2"),
    ("https://u:hunter2@[::1]/", "hunter2"),
    ("password=hunter2 host=db", "hunter2"),
    ("PASSWORD: hunter2", "hunter2"),
    ("passwd = hunter2", "hunter2"),
    ('{"password":"hunter2"}', "hunter2"),
    ('{"api_key" : "hunter2", "writeKey": "hunter3"}', "hunter"),
    ("token=hunter2&secret=hunter3&api-key=hunter4", "hunter"),
]
"""A text, and what of it must not be seen."""
WHOLE = [
    ("postgres://rudder:hun!ter2@db.example.com/jobs", "hun"),
    ("postgres://rudder:hun@ter2@db/jobs", "ter2"),
    ('{"password":"hunter two"}', "two"),
    ("db_password=hunter2", "hunter2"),
    ("access_token=hunter2", "hunter2"),
    ('{"client_secret":"hunter2"}', "hunter2"),
    ("my_rgw_AbCd1234EfGh5678", "AbCd1234"),
]
"""Where a mask that is not careful leaves a part, or misses a longer name."""


@pytest.mark.parametrize(("text", "secret"), SHAPES)
def test_what_looks_like_a_secret_or_a_person_is_masked(text, secret):
    assert secret not in mask(text)
    assert MASK in mask(text)


@pytest.mark.parametrize(("text", "secret"), WHOLE)
def test_a_secret_is_masked_as_a_whole(text, secret):
    assert secret not in mask(text)


@pytest.mark.parametrize("name", ["RUDDERSTACK_USER", "RUDDERSTACK_PASS", "SECRET_KEY", "RUDDERSTACK_WRITE_KEYS"])
def test_what_settings_know_is_masked_in_any_place(settings, name):
    setattr(settings, name, {"src-1": "s3same-secret"} if name == "RUDDERSTACK_WRITE_KEYS" else "s3same-secret")
    assert mask("aas3same-secretbb s3same-secret") == f"aa{MASK}bb {MASK}"


def test_of_two_secrets_the_longer_one_is_masked_first(settings):
    settings.RUDDERSTACK_WRITE_KEYS = {"src-1": "s3same-secret", "rep-1": "s3same-secret-open"}
    assert "open" not in mask("key s3same-secret-open")


def test_what_rudderstack_says_usually_stays_readable():
    answers = {row.answer for row in recorded() if row.status not in (200, 500)}
    assert len(answers) > 10
    assert [answer for answer in answers if masked_answer(answer.encode()) != answer] == []


@given(st.dictionaries(st.sampled_from(["Authorization", "AnonymousId", "Cookie", "X-Api-Key", "Proxy-Authorization", *KEPT_HEADERS]), st.text()))
def test_only_headers_of_the_allow_list_are_kept(headers):
    kept = json.loads(masked_headers(headers) or "{}")
    assert set(kept) == {name for name in KEPT_HEADERS if headers.get(name)}


def test_no_credential_nor_person_is_on_the_allow_list():
    names = {name.lower() for name in KEPT_HEADERS}
    assert not names & {"authorization", "proxy-authorization", "cookie", "anonymousid", "x-forwarded-for", "idempotency-key"}


def test_headers_are_masked_and_cut():
    kept = json.loads(masked_headers({"User-Agent": "curl jane@example.com wk-1", "X-Rudder-Job-Run-Id": "j" * 5000}))
    assert kept["User-Agent"] == f"curl {MASK} {MASK}"
    assert kept["X-Rudder-Job-Run-Id"] == "j" * 512


@given(st.text(st.characters(exclude_categories=())))
def test_headers_are_always_storable_json(text):
    stored = masked_headers({"User-Agent": text, "Prefer": text})
    assert "\0" not in stored
    stored.encode()
    json.loads(stored or "{}")


def test_no_headers_are_no_text():
    assert masked_headers({}) == ""
    assert masked_headers({"Cookie": "a=b"}) == ""


@given(st.binary(max_size=300))
def test_an_answer_of_any_bytes_becomes_storable_text(content):
    stored = masked_answer(content)
    assert "\0" not in stored
    stored.encode()


def test_an_answer_is_cut():
    assert masked_answer(b"o" * 1_000_000) == "o" * ANSWER_CHARACTERS


@pytest.mark.parametrize(("text", "secret"), [("rgw_", "AbCd1234" * 6), ("", "write-key-of-the-tests")])
@pytest.mark.parametrize("filler", ["x ", "jane.doe.with.a.long.name@mail.example.com "])
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.integers(0, 60))
def test_no_half_of_a_secret_is_left_where_the_text_is_cut(settings, text, secret, filler, before):
    settings.RUDDERSTACK_WRITE_KEYS = {"src-1": "write-key-of-the-tests"}
    for limit in (ANSWER_CHARACTERS, 4 * ANSWER_CHARACTERS):
        start = limit - before
        answer = (filler * limit)[: start - 1] + " " + text + secret + " and more" * limit
        assert secret[:8] not in masked_answer(answer.encode())


def test_no_text_takes_long():
    hostile = ("a", "@", "a:", "a@a.", "a://", "a://b:", "basic ", "password", "password =", "rgw_", "_", " ")
    code = "import tests.environment, django; django.setup(); from gateway.audit.redaction import mask;"
    code += f"[mask((text * 400_000)[:400_000]) for text in {hostile!r}]"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
