"""Settings: a wrong value stops the start with one line that names it and quotes nothing."""

import os
import subprocess
import sys

import pytest

from rudderproxy import environment
from rudderproxy.environment import SettingError

WRONG = [
    ("RUDDERSTACK_BASE_URL", "rudderstack:8080"),
    ("RUDDERSTACK_BASE_URL", "ftp://rudderstack"),
    ("RUDDERSTACK_BASE_URL", "http://"),
    ("RUDDERSTACK_BASE_URL", "http://h:99999"),
    ("RUDDERSTACK_BASE_URL", "http://user:pw-s3cret@h"),
    ("RUDDERSTACK_BASE_URL", "http://h/?a=b"),
    ("RUDDERSTACK_WRITE_KEYS", "s3cret"),
    ("RUDDERSTACK_WRITE_KEYS", "src-1=s3cret,=x"),
    ("RUDDERSTACK_WRITE_KEYS", "src-1=s3:cret"),
    ("RUDDERSTACK_PASS", "s3cret"),
    ("RUDDERSTACK_USER", "a:s3cret"),
    ("DJANGO_DEBUG", "maybe"),
    ("DATABASE_URL", "mysql://u:s3cret@h/n"),
    ("DATABASE_URL", "s3cret"),
    ("CELERY_BROKER_URL", "rabbitmq://u:s3cret@h/"),
    ("CELERY_BROKER_URL", "s3cret"),
    ("DATABASE_URL", "sqlite://:memory:"),
    ("GATEWAY_PORT", "eighty"),
    ("GATEWAY_PORT", "0"),
    ("GATEWAY_PORT", "65536"),
    ("GATEWAY_TRUSTED_PROXIES", "10.0.0.0/8,nope"),
    ("GATEWAY_WEBHOOK_NETWORKS", "10.0.0.0/8,example.com"),
    ("GATEWAY_WEBHOOK_SECRET", "s3cret"),
    ("GATEWAY_WEBHOOK_SECRET", "a-secret-that-is-long-enough-0123456789,s3cret"),
    ("GATEWAY_VALIDATION", "lax"),
    ("GATEWAY_MAX_BODY_BYTES", "16MB"),
    ("GATEWAY_MAX_BODY_BYTES", "1"),
    ("GATEWAY_DEADLINE_SECONDS", "0"),
    ("GATEWAY_DEADLINE_SECONDS", "soon"),
    ("GATEWAY_CONNECT_SECONDS", "16"),
    ("GATEWAY_WEB_THREADS", "0"),
    ("GATEWAY_LOG_LEVEL", "LOUD"),
    ("GATEWAY_CA_BUNDLE", "/does/not/exist"),
    ("GATEWAY_VAR", "/dev/null/x"),
    ("GATEWAY_JOBS_STORAGE", "bucket"),
    ("GATEWAY_JOBS_STORAGE", "s3://B"),
    ("GATEWAY_JOBS_STORAGE", "s3://bucket?key=s3cret"),
    ("DJANGO_SECRET_KEY_FILE", "/does/not/exist"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_named_and_not_quoted(monkeypatch, name, value):
    monkeypatch.delenv("DJANGO_SECRET_KEY")
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingError) as caught:
        environment.read()
    assert name in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_write_key_without_its_source_is_told(monkeypatch):
    monkeypatch.setenv("RUDDERSTACK_API_KEY", "wk")
    monkeypatch.delenv("RUDDERSTACK_SOURCE_ID")
    with pytest.raises(SettingError, match="RUDDERSTACK_SOURCE_ID"):
        environment.read()


def test_any_command_stops_with_the_one_line():
    env = {**os.environ, "GATEWAY_PORT": "eighty"}
    done = subprocess.run([sys.executable, "manage.py", "check"], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "settings: GATEWAY_PORT must be a whole number\n")


def test_defaults_are_the_stated_ones(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith(("RUDDERSTACK_", "GATEWAY_", "DJANGO_SECRET"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GATEWAY_ENV_FILE", os.devnull)
    monkeypatch.setenv("GATEWAY_VAR", str(tmp_path))
    read = environment.read()
    assert (read.gateway_port, read.gateway_mcp_port, read.gateway_sandbox_port) == (8080, 9090, 8090)
    assert (read.gateway_connect_seconds, read.gateway_read_seconds, read.gateway_deadline_seconds) == (3, 12, 15)
    assert (read.gateway_max_body_bytes, read.gateway_validation, read.gateway_web_threads) == (16 * 1024 * 1024, "strict", 64)
    assert read.database["NAME"] == str(tmp_path / "gateway.sqlite3")
    assert read.django_debug is False


@pytest.mark.parametrize(
    "name", ["DJANGO_SECRET_KEY", "RUDDERSTACK_PASS", "RUDDERSTACK_USER", "RUDDERSTACK_WRITE_KEYS", "DATABASE_URL", "GATEWAY_WEBHOOK_SECRET"]
)
def test_every_secret_can_be_read_from_a_file(monkeypatch, tmp_path, name):
    values = {"RUDDERSTACK_WRITE_KEYS": "src-9=wk-9", "DATABASE_URL": "postgres://u:p@h/n", "GATEWAY_WEBHOOK_SECRET": f"{'n' * 32}, {'o' * 32}"}
    monkeypatch.setenv("RUDDERSTACK_USER", "someone")
    monkeypatch.delenv(name, raising=False)
    (tmp_path / "secret").write_text(f"{values.get(name, 'from-a-file')}\n")
    monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "secret"))
    read = environment.read()
    assert {
        "DJANGO_SECRET_KEY": read.django_secret_key == "from-a-file",
        "RUDDERSTACK_PASS": read.rudderstack_pass == "from-a-file",
        "RUDDERSTACK_USER": read.rudderstack_user == "from-a-file",
        "RUDDERSTACK_WRITE_KEYS": read.rudderstack_write_keys == {"src-9": "wk-9"},
        "DATABASE_URL": read.database["PASSWORD"] == "p",
        "GATEWAY_WEBHOOK_SECRET": read.gateway_webhook_secret == ["n" * 32, "o" * 32],
    }[name]


def test_a_value_and_a_file_together_are_refused(monkeypatch, tmp_path):
    (tmp_path / "secret").write_text("x")
    monkeypatch.setenv("DJANGO_SECRET_KEY_FILE", str(tmp_path / "secret"))
    with pytest.raises(SettingError, match="both set"):
        environment.read()


def test_the_example_lists_every_setting():
    example = (environment.BASE_DIR / ".env.example").read_text()
    fields = {name.upper() for name in environment.Environment.__dataclass_fields__} - {"DATABASE"} | {"DATABASE_URL", "RUDDERSTACK_API_KEY"}
    assert [name for name in sorted(fields) if f"{name}=" not in example] == []


def test_the_example_is_taken_as_it_is(tmp_path):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("RUDDERSTACK_", "GATEWAY_", "DJANGO_"))}
    env |= {"GATEWAY_ENV_FILE": str(environment.BASE_DIR / ".env.example"), "GATEWAY_VAR": str(tmp_path)}
    done = subprocess.run([sys.executable, "manage.py", "check"], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_dollar_in_a_secret_is_a_dollar(monkeypatch):
    monkeypatch.setenv("RUDDERSTACK_USER", "someone")
    monkeypatch.setenv("RUDDERSTACK_PASS", "$HOME-and-$PATH")
    assert environment.read().rudderstack_pass == "$HOME-and-$PATH"


def test_a_short_deadline_needs_no_other_setting(monkeypatch):
    monkeypatch.setenv("GATEWAY_DEADLINE_SECONDS", "2")
    assert (environment.read().gateway_connect_seconds, environment.read().gateway_read_seconds) == (2, 2)


def test_networks_of_webhooks_are_read_as_such(monkeypatch):
    monkeypatch.setenv("GATEWAY_WEBHOOK_NETWORKS", "10.0.0.0/8, fd00::/8,192.0.2.7")
    assert [str(network) for network in environment.read().gateway_webhook_networks] == ["10.0.0.0/8", "fd00::/8", "192.0.2.7/32"]
