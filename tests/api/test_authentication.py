"""Requests without a known key: a counter and now and then a line, never a row."""

import logging

import pytest

from gateway.api import authentication
from gateway.ingress.credentials import _Strangers
from tests.conftest import GOOD, Rest


@pytest.mark.django_db
def test_strangers_are_counted_and_do_not_fill_the_log(sandbox, monkeypatch, caplog):
    monkeypatch.setattr(authentication, "strangers", _Strangers())
    stranger = Rest("rgw_not_a_key_of_ours_at_all")
    with caplog.at_level(logging.WARNING):
        for _ in range(20):
            assert stranger.send("replay", GOOD["replay"]).status_code == 401
    assert authentication.strangers.count == 20
    lines = [record.getMessage() for record in caplog.records if "known key" in record.getMessage()]
    assert lines == ["1 requests without a known key since the start, the last from 127.0.0.1"]
