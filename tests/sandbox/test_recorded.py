"""The sandbox gives every recorded answer, over HTTP."""

from tests.recorded import recorded
from tests.sandbox.wire import connected, send_on


def test_every_recorded_answer_is_given(sandbox):
    wrong = []
    with connected(sandbox) as connection:
        for row in recorded():
            answer = send_on(connection, row.method, row.path, row.headers.items(), row.body)
            ours = (answer.status, answer.body.decode(), answer.header("Content-Type"))
            if ours != (row.status, row.answer, row.content_type):
                wrong.append((row.name, ours))
    assert wrong == []
    assert len(recorded()) == 3423


def test_what_was_accepted_was_stored_and_nothing_else(sandbox):
    rows = [row for row in recorded() if row.operation == "replay" and len(row.body) < 10_000][:300]
    with connected(sandbox) as connection:
        for row in rows:
            send_on(connection, row.method, row.path, row.headers.items(), row.body)
    assert sandbox.count()["stored"] == sum(row.status == 200 for row in rows)
