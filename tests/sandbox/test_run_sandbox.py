"""manage.py run_sandbox, as a process of its own."""

import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


def command(*options):
    return [sys.executable, "-m", "tests.tools.run_manage", "run_sandbox", *options]


@contextmanager
def running(*options):
    """The process and its address."""
    process = subprocess.Popen(command("--port", "0", *options), cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        match = re.fullmatch(r"sandbox listens on (http://127\.0\.0\.1:[1-9][0-9]*)\n", line)
        assert match, (line, process.stderr.read() if process.poll() is not None else "")
        yield process, match[1]
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def send(url, path, body, headers=None):
    request = urllib.request.Request(url + path, body, headers or {})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        return answer.read()


def failed(*options):
    """Exit code and lines of a run that ends by itself."""
    done = subprocess.run(command(*options), cwd=PROJECT, capture_output=True, text=True, timeout=10, check=False)
    return done.returncode, done.stdout, done.stderr.splitlines()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_says_where_it_listens_answers_and_stops_when_told(stop):
    with running() as (process, url):
        assert send(url, "/internal/v1/extract", b"{}", {"Authorization": "Basic d2stMTo="}) == b"ok"
        process.send_signal(stop)
        out, errors = process.communicate(timeout=20)
    assert (process.returncode, out, errors) == (0, "", "")


@pytest.mark.parametrize("attempt", range(4))
def test_stops_in_the_middle_of_traffic(attempt):
    def keep_sending(url):
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
        with contextlib.suppress(OSError, http.client.HTTPException):
            while True:
                connection.request("POST", "/internal/v1/batch", b"[]")
                connection.getresponse().read()
        connection.close()

    with running() as (process, url), ThreadPoolExecutor(4) as callers:
        for _ in range(4):
            callers.submit(keep_sending, url)
        while json.loads(send(url, "/received/count", None))["calls"] < 100:
            pass
        process.send_signal(signal.SIGTERM)
        try:
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, "")


def test_stops_while_callers_are_connected_and_waiting():
    with running("--delay-ms", "60000") as (process, url):
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as idle, socket.create_connection(("127.0.0.1", port), timeout=10) as waiting:
            waiting.sendall(b"POST /internal/v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n[]")
            while not json.loads(send(url, "/received/count", None))["calls"]:
                pass
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=20)
            assert idle.fileno() > 0
    assert (process.returncode, errors) == (0, "")


def test_plays_the_sources_of_a_file(tmp_path):
    (tmp_path / "sources.json").write_text('[{"id": "mine", "write_key": "k", "original": "other"}]')
    with running("--sources", str(tmp_path / "sources.json")) as (_, url):
        assert send(url, "/internal/v1/replay", b'{"batch":[{"userId":"u"}]}', {"X-Rudder-Source-Id": "mine"}) == b"ok"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            send(url, "/internal/v1/replay", b'{"batch":[{"userId":"u"}]}', {"X-Rudder-Source-Id": "rep-1"})


def test_trusts_the_quick_check_where_told_to():
    with running("--quick") as (_, url):
        assert send(url, "/internal/v1/extract", b'{"a":1e400}', {"Authorization": "Basic d2stMTo="}) == b"ok"


def test_a_taken_port_is_said_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, errors = failed("--port", str(port))
    assert (code, out, len(errors)) == (1, "", 1)
    assert errors[0].startswith(f"CommandError: cannot listen on 127.0.0.1:{port}: ")
    assert "--port" in errors[0]


def test_a_wrong_file_of_sources_is_said_in_one_line(tmp_path):
    code, out, errors = failed("--port", "0", "--sources", str(tmp_path / "nothing.json"))
    assert (code, out, errors) == (1, "", [f"CommandError: {tmp_path}/nothing.json: No such file or directory"])


@pytest.mark.parametrize("options", [["--port", "70000"], ["--port", "-1"], ["--host", "256.0.0.1", "--port", "0"]])
def test_an_address_that_is_none_is_said_in_one_line(options):
    code, out, errors = failed(*options)
    assert (code, out, len(errors)) == (1, "", 1)
    assert errors[0].startswith("CommandError: cannot listen on ")
