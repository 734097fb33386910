"""No log, no sending: with the database stopped, frozen, locked, read-only or full, 64 callers at once get 503 in time, and nothing is sent."""

import json
import os
import sqlite3
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import requests

from tests.conftest import GOOD
from tests.processes import wait_for
from tests.tree import children

pytestmark = pytest.mark.alone

CALLERS = 64
SECONDS = 3.0
"""Within which a caller must have its 503."""
RECOVERY_SECONDS = 5.0
FILE_BYTES = 32 * 1024
"""More than the log lines of the processes, less than what the database's files have by then."""
WITHOUT_OUTCOME = """SELECT count(*) FROM audit_call WHERE headers NOT LIKE 'xxx%'
    AND NOT EXISTS (SELECT 1 FROM audit_outcome WHERE call_id = audit_call.id)"""
WITHOUT_ROOTS_RIGHTS = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
"""Root may write to what nobody may."""


class OnPostgreSQL:
    """A gateway on a database of its own, and what can happen to it."""

    def __init__(self, gateway_with, postgresql):
        self.cluster = postgresql
        self.address = postgresql.database()
        self.gateway = gateway_with(self.address)

    def rows(self, statement):
        with psycopg.connect(self.address) as connection:
            return connection.execute(statement).fetchall()

    @contextmanager
    def stopped(self):
        self.cluster.stop()
        try:
            yield
        finally:
            self.cluster.start()

    @contextmanager
    def frozen(self):
        self.cluster.freeze()
        try:
            yield
        finally:
            self.cluster.thaw()

    @contextmanager
    def locked(self):
        with psycopg.connect(self.address) as connection:
            connection.execute("LOCK TABLE audit_call, audit_outcome IN EXCLUSIVE MODE")
            yield

    @contextmanager
    def read_only(self):
        name = self.address.rpartition("/")[2]
        for on in ("on", "off"):
            for statement in (f"ALTER SYSTEM SET default_transaction_read_only = {on}", "SELECT pg_reload_conf()"):
                with psycopg.connect(self.address, autocommit=True, options="-c default_transaction_read_only=off") as connection:
                    connection.execute(statement)
            wait_for(lambda on=on: self.cluster.sql(name, "SHOW default_transaction_read_only") == on)
            if on == "on":
                yield

    @contextmanager
    def full(self):
        """The table of calls has over 1 MiB, no file may grow beyond that, and what room its pages had is used up."""
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute("ALTER TABLE audit_call ALTER headers SET STORAGE PLAIN")
            for _ in range(200):
                self.fill(connection, 7800)
        with no_file_over(1024 * 1024, [pid for pid in self.cluster.pids if self.serves(pid)], self.cluster.user):
            with psycopg.connect(self.address, autocommit=True) as connection, pytest.raises(psycopg.Error, match="could not extend file"):
                for _ in range(1000):
                    self.fill(connection, 3)
            yield

    def fill(self, connection, size):
        texts = ("client", "actor", "key_prefix", "address", "request_id", "source", "sha256")
        row = {"id": str(uuid.uuid4()), "headers": "x" * size, **dict.fromkeys(texts, "")}
        connection.execute("INSERT INTO audit_call SELECT (jsonb_populate_record(c, %s::jsonb)).* FROM audit_call c LIMIT 1", [json.dumps(row)])

    def serves(self, pid):
        """The postmaster and its client backends; not those that write out what is committed."""
        try:
            title = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
        return b"127.0.0.1(" in title or b"-D" in title


class OnSQLite:
    def __init__(self, gateway_with):
        self.gateway = gateway_with(None)
        self.path = self.gateway.folder / "var" / "gateway.sqlite3"

    def rows(self, statement):
        connection = sqlite3.connect(self.path, timeout=10)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()

    @contextmanager
    def locked(self):
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()

    @contextmanager
    def frozen(self):
        """Another process stands still with the lock in its hand."""
        code = f"import sqlite3, os, signal; c = sqlite3.connect({str(self.path)!r}, isolation_level=None); c.execute('BEGIN IMMEDIATE'); os.kill(os.getpid(), signal.SIGSTOP)"
        holder = subprocess.Popen([sys.executable, "-c", code])
        os.waitpid(holder.pid, os.WUNTRACED)
        try:
            yield
        finally:
            holder.kill()
            holder.wait()

    @contextmanager
    def full(self):
        with no_file_over(FILE_BYTES, [pid for process in self.gateway._processes for pid in (process.pid, *children(process.pid))]):
            yield


@contextmanager
def no_file_over(size, pids, user=None):
    """The kernel lets these processes write no file beyond `size`: to them the disk is full. As their own user, who may take it back."""
    limit_files(size, pids, user)
    try:
        yield
    finally:
        limit_files("unlimited", pids, user)


def limit_files(size, pids, user):
    for pid in pids:
        subprocess.run(["prlimit", f"--pid={pid}", f"--fsize={size}:"], user=user, cwd="/", check=False, stderr=subprocess.DEVNULL)


@pytest.fixture
def on(request, gateway_with):
    return OnSQLite(gateway_with) if request.param == "sqlite" else OnPostgreSQL(gateway_with, request.getfixturevalue("postgresql"))


def call_at_once(gateway, count=CALLERS):
    def send(_):
        started = time.monotonic()
        answer = gateway.send("replay", GOOD["replay"])
        return answer, time.monotonic() - started

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(send, range(count)))


WHAT_HAPPENS = [
    *(("sqlite", kind) for kind in ("locked", "frozen", "full")),
    *(("postgresql", kind) for kind in ("stopped", "frozen", "locked", "read_only", "full")),
]


@pytest.mark.parametrize(("on", "kind"), WHAT_HAPPENS, indirect=["on"])
def test_without_a_log_nothing_is_sent(on, kind, sandbox):
    gateway = on.gateway
    assert {answer.status_code for answer, _ in call_at_once(gateway, 20)} == {200}
    sent = sandbox.count()["calls"]
    with getattr(on, kind)():
        answers = call_at_once(gateway)
        ready = gateway.get("/readyz")
        assert (ready.status_code, ready.json()["log"]) == (503, "unavailable")
        # and once more, with whatever the first round left behind
        answers += call_at_once(gateway)
        assert sandbox.count()["calls"] == sent
    ended = time.monotonic()
    wait_for(lambda: gateway.send("replay", GOOD["replay"]).status_code == 200, RECOVERY_SECONDS)
    assert time.monotonic() - ended < RECOVERY_SECONDS
    wait_for(lambda: gateway.get("/readyz").status_code == 200, RECOVERY_SECONDS)
    assert {(answer.status_code, answer.json()["reason"]) for answer, _ in answers} == {(503, "log_unavailable")}
    assert max(took for _, took in answers) < SECONDS
    # What a frozen database took all the same is closed as what it is: not sent.
    wait_for(lambda: on.rows(WITHOUT_OUTCOME) == [(0,)], 10)
    answered = {uuid.UUID(answer.headers["X-Audit-Id"]) for answer, _ in answers if "X-Audit-Id" in answer.headers}
    late = on.rows("SELECT call_id, number, result, reason FROM audit_outcome WHERE result <> 'accepted'")
    assert {uuid.UUID(str(call)) for call, *_ in late} <= answered
    assert {tuple(what) for _, *what in late} <= {(1, "refused", "log_unavailable")}
    print(f"{type(on).__name__} {kind}: the longest of {len(answers)} took {max(took for _, took in answers):.2f} s, {len(late)} came late")


@pytest.mark.parametrize(
    ("on", "kind"), [("sqlite", "locked"), ("sqlite", "full"), ("postgresql", "stopped"), ("postgresql", "frozen")], indirect=["on"]
)
@pytest.mark.parametrize("restart", [False, True])
def test_an_outcome_that_cannot_be_written_is_kept_and_written_later(on, kind, restart, sandbox):
    gateway = on.gateway
    sandbox.trouble("delay", seconds=1.0, times=1)
    with ThreadPoolExecutor(1) as thread:
        sending = thread.submit(gateway.send, "replay", GOOD["replay"])
        wait_for(lambda: on.rows("SELECT count(*) FROM audit_call") == [(1,)])
        with getattr(on, kind)():
            answer = sending.result()
            assert (answer.status_code, answer.headers["X-Audit-State"]) == (200, "pending")
            refused = gateway.send("replay", GOOD["replay"])
            assert (refused.status_code, refused.json()["reason"]) == (503, "log_unavailable")
            assert gateway.get("/readyz").status_code == 503
            if restart:
                gateway.kill_web()
                assert len(list((gateway.folder / "var" / "pending").glob("*.outcome"))) == 1
        if restart:
            gateway.start_web()
    wait_for(lambda: gateway.send("replay", GOOD["replay"]).status_code == 200, RECOVERY_SECONDS)
    wait_for(lambda: not list((gateway.folder / "var" / "pending").glob("[!.]*.*")), 40)
    call = uuid.UUID(answer.headers["X-Audit-Id"])
    outcomes = [
        (number, result) for id_, number, result in on.rows("SELECT call_id, number, result FROM audit_outcome") if uuid.UUID(str(id_)) == call
    ]
    assert outcomes == [(1, "accepted")]
    assert sandbox.count()["calls"] == 2


def test_sqlite_that_can_only_be_read_refuses_until_it_can_be_written(gateway_with, sandbox):
    gateway = gateway_with(None, start=False)
    files = [gateway.folder / "var" / "gateway.sqlite3"]
    for path in files:
        path.chmod(0o444)
    gateway.start_web(*WITHOUT_ROOTS_RIGHTS)
    try:
        answers = call_at_once(gateway)
        assert {(answer.status_code, answer.json()["reason"]) for answer, _ in answers} == {(503, "log_unavailable")}
        assert max(took for _, took in answers) < SECONDS
        assert gateway.get("/readyz").status_code == 503
        assert sandbox.count()["calls"] == 0
    finally:
        for path in files:
            path.chmod(0o644)
    wait_for(lambda: gateway.send("replay", GOOD["replay"]).status_code == 200, RECOVERY_SECONDS)


def test_pages_of_a_frozen_database_keep_probes_from_nobody(gateway_with, postgresql, sandbox):
    on = OnPostgreSQL(gateway_with, postgresql)
    cookies = {"sessionid": "x" * 32}
    ask = lambda _: requests.get(f"{on.gateway.url}/admin/", cookies=cookies, timeout=30, proxies={"http": ""}).status_code  # noqa: E731
    with ThreadPoolExecutor(24) as threads:
        list(threads.map(ask, range(24)))
        with on.frozen():
            pages = [threads.submit(ask, number) for number in range(24)]
            for _ in range(5):
                started = time.monotonic()
                assert on.gateway.get("/healthz").status_code == 200
                assert on.gateway.get("/readyz").status_code == 503
                assert time.monotonic() - started < SECONDS
            assert {page.result() for page in pages[:8]} == {500}
