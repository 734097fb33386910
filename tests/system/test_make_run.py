"""`make run`: sets up, starts everything, says how to use it; a second time keeps the data; Ctrl-C stops all."""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest
import requests

from tests.processes import ROOT, free_port, wait_for


class Run:
    def __init__(self, folder, **settings):
        self.folder = folder
        self.output = folder / "output.log"
        self.ports = {"GATEWAY_PORT": str(free_port()), "GATEWAY_MCP_PORT": str(free_port()), "GATEWAY_SANDBOX_PORT": str(free_port())}
        env = {name: value for name, value in os.environ.items() if not name.startswith(("RUDDERSTACK_", "DJANGO_SECRET", "DATABASE_", "CELERY_"))}
        self.env = {**env, "GATEWAY_VAR": str(folder / "var"), **self.ports, **settings}

    def start(self):
        with self.output.open("w") as output:
            command = [sys.executable, "-m", "rudderproxy.development"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.env, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        return self

    def ready(self):
        wait_for(lambda: "Ctrl-C stops everything" in self.text or self.process.poll() is not None, 60)
        assert self.process.poll() is None, self.text
        return self

    @property
    def text(self):
        return self.output.read_text()

    def stop(self):
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(30)


@pytest.fixture
def run(tmp_path):
    made = []

    def make(**settings):
        made.append(Run(tmp_path, **settings))
        return made[-1]

    yield make
    for one in made:
        if hasattr(one, "process") and one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGKILL)
            one.process.wait()


def listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


def test_it_starts_prints_a_call_that_works_and_keeps_the_data(run, tmp_path):
    first = run().start().ready()
    # The very line it prints, as a shell runs it.
    curl = re.search(r"curl .*\\\n.*'", first.text)[0]
    done = subprocess.run(["bash", "-c", f"{curl} -s --noproxy '*'"], capture_output=True, text=True)
    assert done.stdout == '{"result": "ok"}', done.stderr
    key, password = re.search(r"API key (\S+)", first.text)[1], re.search(r"password (\S+)", first.text)[1]
    url = f"http://127.0.0.1:{first.ports['GATEWAY_PORT']}"
    browser = requests.Session()
    browser.trust_env = False
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)', browser.get(f"{url}/admin/login/").text)[1]
    login = {"username": "admin", "password": password, "csrfmiddlewaretoken": token}
    assert "Order" not in browser.post(f"{url}/admin/login/?next=/admin/audit/call/", data=login, headers={"Referer": url}).text
    assert "make-run" in browser.get(f"{url}/admin/audit/call/").text
    browser.close()
    secrets = list((tmp_path / "var" / "secrets").iterdir())
    assert "GATEWAY_WEBHOOK_SECRET" in {path.name for path in secrets}
    for path in secrets:
        assert path.stat().st_mode & 0o777 == 0o600
    assert first.stop() == 0
    wait_for(lambda: not any(listening(port) for port in first.ports.values()), 15)

    second = run().start().ready()
    assert key in second.text
    assert password in second.text
    calls = requests.get(
        f"http://127.0.0.1:{second.ports['GATEWAY_PORT']}/v1/calls", headers={"Authorization": f"Bearer {key}"}, proxies={"http": ""}, timeout=10
    )
    assert len(calls.json()["results"]) == 1
    second.stop()


def test_with_another_database_the_key_that_it_prints_works_too(run, tmp_path):
    first = run().start().ready()
    key = re.search(r"API key (\S+)", first.text)[1]
    first.stop()
    second = run(DATABASE_URL=f"sqlite:///{tmp_path}/other.sqlite3", http_proxy="http://127.0.0.1:9").start().ready()
    other = re.search(r"API key (\S+)", second.text)[1]
    calls = f"http://127.0.0.1:{second.ports['GATEWAY_PORT']}/v1/calls"
    asked = [requests.get(calls, headers={"Authorization": f"Bearer {k}"}, proxies={"http": ""}, timeout=10).status_code for k in (key, other)]
    assert asked == [401, 200]
    second.stop()


@pytest.mark.parametrize("name", ["sandbox", "web", "mcp", "worker"])
def test_the_kill_of_any_process_by_the_pid_that_is_printed_ends_all(run, name):
    one = run().start().ready()
    os.kill(int(re.search(rf"{name} started \(pid=(\d+)\)", one.text)[1]), signal.SIGKILL)
    assert one.process.wait(30) != 0
    wait_for(lambda: not any(listening(port) for port in one.ports.values()), 15)


@pytest.mark.parametrize("name", ["GATEWAY_PORT", "GATEWAY_SANDBOX_PORT"])
def test_a_port_in_use_is_told_in_one_line(run, name):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        one = run(**{name: str(taken.getsockname()[1])}).start()
        assert one.process.wait(30) == 1
    assert len(one.text.strip().splitlines()) == 1
    assert name in one.text


def test_a_broken_database_is_told_in_one_line(run, tmp_path):
    (tmp_path / "broken.sqlite3").write_bytes(b"this is no database" * 1000)
    one = run(DATABASE_URL=f"sqlite:///{tmp_path}/broken.sqlite3").start()
    assert one.process.wait(30) == 1
    assert len(one.text.strip().splitlines()) == 1, one.text
    assert "database" in one.text


def test_a_wrong_setting_is_told_in_one_line(run):
    one = run(GATEWAY_VALIDATION="lax").start()
    assert one.process.wait(30) == 1
    assert one.text == "settings: GATEWAY_VALIDATION must be one of strict, observe\n"


def test_with_an_upstream_of_ones_own_no_sandbox_is_started(run, sandbox):
    one = run(RUDDERSTACK_BASE_URL=sandbox.url, RUDDERSTACK_REPLAY_SOURCE_ID="rep-1").start().ready()
    assert f"sends to {sandbox.url}" in one.text
    assert not listening(one.ports["GATEWAY_SANDBOX_PORT"])
    one.stop()
