"""Real brokers for tests, on free ports and in folders of their own: Redis and RabbitMQ."""

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path

from kombu import Connection

from tests.processes import free_port, missing
from tests.tree import kill
from tests.waiting import wait_for


class _Server:
    url: str
    _process: "subprocess.Popen[bytes]"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def settings(self) -> dict[str, str]:
        """What a gateway uses it by."""
        return {"CELERY_BROKER_URL": self.url}

    def stop(self) -> None:
        """In an orderly way."""
        self._process.terminate()
        self._process.wait(60)

    def kill(self) -> None:
        """As a crash does."""
        kill(self.pid)
        self._process.wait()

    def empty(self) -> None:
        """Take away the queue that gateways use."""
        with Connection(self.url) as connection:
            connection.default_channel.queue_delete("celery")

    def close(self) -> None:
        """Stop it for good."""
        if self._process.poll() is None:
            self.stop()


class Redis(_Server):
    """A server that keeps nothing on disk: what was in its queues is gone with it."""

    def __init__(self, folder: Path) -> None:
        self._program = shutil.which("redis-server")
        if not self._program:
            missing("redis-server", "Redis")
        self._folder = folder
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.start()

    def start(self) -> None:
        command = [str(self._program), "--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(lambda: _greets(self._port, b"PING\r\n", b"+PONG"))


class RabbitMQ(_Server):
    """A node with a port mapper of its own; an installed service is neither needed nor touched."""

    def __init__(self, folder: Path) -> None:
        self._program = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one in /usr/sbin insists on the service's folders
        epmd = shutil.which("epmd")
        if not epmd or not self._program.exists():
            missing("rabbitmq-server", "RabbitMQ")
        self._folder = folder
        self._user = _unprivileged()
        if self._user:
            shutil.chown(folder, self._user)
        self._port, mapper = free_port(), free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}//"
        (folder / "plugins").write_text("[].\n")
        self._env = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "NOTIFY_"))} | {
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(mapper),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"gateway{self._port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RUNNING_UNDER_SYSTEMD": "1",  # the Erlang machine in the script's place, so that signals reach it
        }
        self._mapper = self._run(epmd)
        try:
            self.start()
        except BaseException:
            kill(self.pid, self._mapper.pid)
            raise

    def _run(self, *command: str | Path) -> "subprocess.Popen[bytes]":
        with (self._folder / "output").open("ab") as log:
            return subprocess.Popen(command, env=self._env, cwd=self._folder, user=self._user, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start(self) -> None:
        self._process = self._run(self._program)
        wait_for(lambda: _greets(self._port, b"bad\r\n\r\n\r\n", b"AMQP") or self._process.poll() is not None, 60)
        assert self._process.poll() is None, (self._folder / "output").read_text()

    def close(self) -> None:
        """With its port mapper."""
        super().close()
        kill(self._mapper.pid)
        self._mapper.wait()


Broker = Redis | RabbitMQ


def _unprivileged() -> str | None:
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "rabbitmq" if "rabbitmq" in names else "nobody"


def _greets(port: int, word: bytes, answer: bytes) -> bool:
    """Whether the server answers this with that."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as probe:
            probe.settimeout(2)
            probe.sendall(word)
            return probe.recv(64).startswith(answer)
    except OSError:
        return False
