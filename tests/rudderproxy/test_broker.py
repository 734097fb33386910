"""The embedded broker: no message is lost or read half, with several readers and writers."""

import threading
import time
from queue import Empty

import pytest
from kombu import Connection
from kombu.exceptions import ChannelError

import rudderproxy.celery  # noqa: F401 - registers the transport


@pytest.fixture
def connect(tmp_path):
    for name in ("messages", "control"):
        (tmp_path / name).mkdir()
    options = {
        "data_folder_in": str(tmp_path / "messages"),
        "data_folder_out": str(tmp_path / "messages"),
        "control_folder": str(tmp_path / "control"),
    }
    opened = []

    def open_one():
        opened.append(Connection("embedded://localhost/", transport_options=options))
        return opened[-1]

    yield open_one
    for connection in opened:
        connection.release()


def test_every_message_arrives_once(connect):
    count, writers, readers = 200, 3, 3
    got, failed = [], []
    done = threading.Event()

    def write(writer):
        with connect() as connection:
            queue = connection.SimpleQueue("work")
            for number in range(count):
                queue.put({"id": f"{writer}-{number}", "filler": "x" * 5000})
            queue.close()

    def read():
        try:
            with connect() as connection:
                queue = connection.SimpleQueue("work")
                while not done.is_set():
                    try:
                        message = queue.get(timeout=0.2)
                    except Empty:
                        continue
                    got.append(message.payload["id"])
                    message.ack()
                queue.close()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=read) for _ in range(readers)]
    threads += [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 60
    while len(got) < count * writers and not failed and time.monotonic() < end:
        time.sleep(0.05)
    done.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(got) == sorted(f"{writer}-{number}" for writer in range(writers) for number in range(count))


def test_a_folder_that_takes_no_message_is_an_error_not_a_loss(connect, tmp_path):
    with connect() as connection:
        queue = connection.SimpleQueue("other")  # kombu remembers in the process which queues are bound
        (tmp_path / "messages").rename(tmp_path / "away")
        with pytest.raises(ChannelError, match="cannot put a message"):
            queue.put({"id": 1})
        (tmp_path / "away").rename(tmp_path / "messages")
        queue.close()
