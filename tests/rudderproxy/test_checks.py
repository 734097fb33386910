"""System checks with stable ids, and that the web process does not start while one of them speaks."""

import os
import socket
import sqlite3
import subprocess
import sys

import pytest
from django.db import connection

from rudderproxy.checks import check_settings, check_sqlite
from rudderproxy.environment import INSECURE_KEY
from tests.processes import free_port


def ids(found):
    return [message.id for message in found]


@pytest.fixture(autouse=True)
def _upstream(settings):
    settings.RUDDERSTACK_BASE_URL = "http://rudderstack:8080"


def test_a_good_setup_is_silent(db):
    assert ids(check_settings(None)) == ids(check_sqlite(None, databases=["default"])) == []


@pytest.mark.parametrize(
    ("setting", "value", "check"),
    [
        ("RUDDERSTACK_BASE_URL", "", "gateway.W001"),
        ("SECRET_KEY", INSECURE_KEY, "gateway.W003"),
        ("GATEWAY_WEB_PROCESSES", 2, "gateway.E004"),
        ("GATEWAY_MCP_PROCESSES", 2, "gateway.E007"),
    ],
)
def test_each_fault_has_its_id(settings, setting, value, check):
    setattr(settings, setting, value)
    assert ids(check_settings(None)) == [check]
    assert all(message.hint for message in check_settings(None))


def test_debug_is_for_local_hosts_only(settings):
    settings.DEBUG, settings.ALLOWED_HOSTS = True, ["localhost"]
    assert ids(check_settings(None)) == []
    settings.ALLOWED_HOSTS = ["gateway.example.com"]
    assert ids(check_settings(None)) == ["gateway.E002"]


def test_sqlite_must_run_with_wal_and_full(db, settings):
    with connection.cursor() as cursor:
        mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
        synchronous = cursor.execute("PRAGMA synchronous").fetchone()[0]
    assert (mode, synchronous) == ("wal", 2)


@pytest.mark.django_db(transaction=True)
def test_sqlite_that_does_not_wait_for_the_disk_is_told(settings):
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=OFF")
        try:
            assert ids(check_sqlite(None, databases=["default"])) == ["gateway.E005"]
        finally:
            cursor.execute("PRAGMA synchronous=FULL")


def run_web(tmp_path, command="run_web", **settings):
    ports = {"GATEWAY_PORT": str(free_port()), "GATEWAY_MCP_PORT": str(free_port())}
    env = {**os.environ, "GATEWAY_VAR": str(tmp_path), **ports, "RUDDERSTACK_BASE_URL": "http://127.0.0.1:9", **settings}
    return subprocess.run([sys.executable, "manage.py", command], env=env, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize(
    ("wrong", "check"),
    [
        ({"RUDDERSTACK_BASE_URL": ""}, "gateway.W001"),
        ({"DJANGO_DEBUG": "true", "DJANGO_ALLOWED_HOSTS": "*"}, "gateway.E002"),
        ({"DJANGO_SECRET_KEY": INSECURE_KEY}, "gateway.W003"),
        ({"GATEWAY_WEB_PROCESSES": "2"}, "gateway.E004"),
        ({"DATABASE_URL": "sqlite:////proc/nope/x.sqlite3"}, "gateway.E006"),
    ],
)
def test_the_web_process_stops_with_one_line(tmp_path, wrong, check):
    done = run_web(tmp_path, **wrong)
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert check in lines[0]


def test_the_mcp_process_stops_with_one_line(tmp_path):
    done = run_web(tmp_path, "run_mcp", GATEWAY_MCP_PROCESSES="2")
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert "gateway.E007" in lines[0]
    assert "GATEWAY_MCP_PROCESSES" in lines[0]


def test_a_database_that_cannot_do_wal_is_told(tmp_path):
    # A database on a read-only file system cannot change its mode; here: one that another holds in another mode.
    path = tmp_path / "gateway.sqlite3"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TABLE t (a)")
    other.execute("BEGIN EXCLUSIVE")
    done = run_web(tmp_path)
    other.close()
    assert done.returncode == 1
    assert "gateway.E00" in done.stderr


def test_a_port_in_use_is_told_in_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run_web(tmp_path, GATEWAY_PORT=str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "cannot listen on 127.0.0.1" in done.stderr.strip().splitlines()[0]
