"""The environment, read once into one typed place. A wrong value stops the start with one line that names it."""

import ipaddress
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import environ

BASE_DIR: Final = Path(__file__).resolve().parent.parent
INSECURE_KEY: Final = "insecure-default-key-that-only-make-run-and-tests-may-use"
_SHORTEST_SECRET: Final = 32
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingError(Exception):
    """A setting is wrong: its name, what is wrong with it and what to write instead, in one line and without its value."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Every setting, under the lower-case form of its name. `.env.example` tells what each is for."""

    rudderstack_base_url: str
    rudderstack_user: str
    rudderstack_pass: str
    rudderstack_source_id: str
    rudderstack_replay_source_id: str
    rudderstack_write_keys: dict[str, str]
    django_secret_key: str
    django_debug: bool
    django_allowed_hosts: list[str]
    django_csrf_trusted_origins: list[str]
    database: dict[str, Any]
    celery_broker_url: str
    gateway_var: Path
    gateway_host: str
    gateway_port: int
    gateway_mcp_port: int
    gateway_sandbox_port: int
    gateway_trusted_proxies: list[Network]
    gateway_validation: str
    gateway_max_body_bytes: int
    gateway_buffer_bytes: int
    gateway_connect_seconds: float
    gateway_read_seconds: float
    gateway_deadline_seconds: float
    gateway_ca_bundle: str
    gateway_breaker_failures: int
    gateway_breaker_seconds: float
    gateway_api_key: str
    gateway_mcp_processes: int
    gateway_mcp_origins: list[str]
    gateway_max_upload_bytes: int
    gateway_lease_seconds: float
    gateway_segment_days: float
    gateway_jobs_storage: str
    gateway_webhook_secret: list[str]
    gateway_webhook_networks: list[Network]
    gateway_web_processes: int
    gateway_web_threads: int
    gateway_body_seconds: float
    gateway_log_level: str


class _Reader:
    """Typed readers over django-environ. A secret may also stand in a file: NAME_FILE, or secrets/NAME under GATEWAY_VAR."""

    def __init__(self) -> None:
        environ.Env.read_env(os.environ.get("GATEWAY_ENV_FILE") or BASE_DIR / ".env")
        self.var = (BASE_DIR / self.text("GATEWAY_VAR", "var")).resolve()

    def text(self, name: str, default: str = "") -> str:
        """The value, stripped of outer white space."""
        return os.environ.get(name, default).strip()

    def secret(self, name: str, default: str = "") -> str:
        """The value of NAME, else the content of the file named by NAME_FILE, else what `make run` made and kept."""
        path = self.text(f"{name}_FILE")
        if path and self.text(name):
            raise SettingError(f"{name} and {name}_FILE are both set: keep one of them")
        made = self.var / "secrets" / name
        if not path and self.text(name):
            return self.text(name)
        try:
            if not path and not made.exists():
                return default
            return Path(path or made).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"{name}_FILE names a file that cannot be read ({type(error).__name__}): {path or made}") from None

    def boolean(self, name: str, default: bool) -> bool:
        """yes/no in the usual spellings."""
        value = self.text(name).lower()
        if value not in ("", "1", "true", "yes", "on", "0", "false", "no", "off"):
            raise SettingError(f"{name} must be true or false")
        return default if not value else value in ("1", "true", "yes", "on")

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number within bounds."""
        try:
            value = int(self.text(name) or default)
        except ValueError:
            raise SettingError(f"{name} must be a whole number") from None
        if not low <= value <= high:
            raise SettingError(f"{name} must be between {low:,} and {high:,}")
        return value

    def seconds(self, name: str, default: float, high: float) -> float:
        """A positive number of seconds."""
        try:
            value = float(self.text(name) or default)
        except ValueError:
            raise SettingError(f"{name} must be a number of seconds") from None
        if not 0 < value <= high:
            raise SettingError(f"{name} must be more than 0 and at most {high:g} seconds")
        return value

    def days(self, name: str, default: float, high: float) -> float:
        """A number of days, perhaps none."""
        try:
            value = float(self.text(name) or default)
        except ValueError:
            raise SettingError(f"{name} must be a number of days") from None
        if not 0 <= value <= high:
            raise SettingError(f"{name} must be between 0 and {high:g} days")
        return value

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """One of some words."""
        value = self.text(name, default) or default
        if value not in choices:
            raise SettingError(f"{name} must be one of {', '.join(choices)}")
        return value

    def words(self, name: str, default: str = "") -> list[str]:
        """A comma-separated list."""
        return [word.strip() for word in self.text(name, default).split(",") if word.strip()]

    def file(self, name: str) -> str:
        """The path of a file that is there; "" for none."""
        path = self.text(name)
        if path and not Path(path).is_file():
            raise SettingError(f"{name} names no file")
        return path

    def url(self, name: str) -> str:
        """An http or https address without credentials, query or fragment; no slash at the end."""
        value = self.text(name).rstrip("/")
        try:
            parts = urlsplit(value)
            good = not value or (parts.scheme in ("http", "https") and parts.hostname and parts.port != 0)
        except ValueError:
            good = False
        if not good or not value.isascii() or any(c in value for c in " ?#"):
            raise SettingError(f"{name} must be an address such as http://rudderstack:8080")
        if "@" in value:
            raise SettingError(f"{name} must not hold a user or password: use RUDDERSTACK_USER and RUDDERSTACK_PASS")
        return value

    def bucket(self, name: str) -> str:
        """A place in S3, s3://bucket or s3://bucket/prefix; "" for none."""
        value = self.text(name).rstrip("/")
        if value and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{2,62}(/[^/?#]+)*", value):
            raise SettingError(f"{name} must be a bucket such as s3://bucket/prefix, or empty for GATEWAY_VAR/jobs")
        return value

    def networks(self, name: str) -> list[Network]:
        """Addresses or networks such as 10.0.0.0/8."""
        try:
            return [ipaddress.ip_network(word, strict=False) for word in self.words(name)]
        except ValueError:
            raise SettingError(f"{name} must be a list of addresses or networks such as 10.0.0.0/8,192.0.2.7") from None

    def database(self) -> dict[str, Any]:
        """DATABASE_URL as Django has it; SQLite or PostgreSQL."""
        url = self.secret("DATABASE_URL", f"sqlite:///{self.var / 'gateway.sqlite3'}")
        try:
            with warnings.catch_warnings(action="ignore"):
                database = dict(environ.Env.db_url_config(url))
        except Exception:  # environ raises whatever its parsing ran into
            database = {}
        if database.get("ENGINE") not in ("django.db.backends.sqlite3", "django.db.backends.postgresql"):
            raise SettingError("DATABASE_URL must be sqlite:///PATH or postgres://USER:PASSWORD@HOST:PORT/NAME")
        if not database.get("NAME") or database["NAME"] == ":memory:":
            raise SettingError("DATABASE_URL must name a database; one in memory would lose the log")
        return database

    def webhook_secrets(self) -> list[str]:
        """GATEWAY_WEBHOOK_SECRET: the current one first."""
        secrets = [word.strip() for word in self.secret("GATEWAY_WEBHOOK_SECRET").split(",") if word.strip()]
        if any(len(secret) < _SHORTEST_SECRET for secret in secrets):
            raise SettingError(f"GATEWAY_WEBHOOK_SECRET must have {_SHORTEST_SECRET} characters or more, random ones; of several, each")
        return secrets

    def broker(self) -> str:
        """CELERY_BROKER_URL; "" for the broker made of files."""
        url = self.secret("CELERY_BROKER_URL")
        if url and url.partition("://")[0] not in ("redis", "rediss", "amqp", "amqps"):
            raise SettingError("CELERY_BROKER_URL must be redis://HOST:PORT/NUMBER or amqp://USER:PASSWORD@HOST:PORT/VHOST, or empty")
        return url

    def write_keys(self) -> dict[str, str]:
        """RUDDERSTACK_WRITE_KEYS, and RUDDERSTACK_API_KEY for RUDDERSTACK_SOURCE_ID: source → write key."""
        keys: dict[str, str] = {}
        for word in self.secret("RUDDERSTACK_WRITE_KEYS").split(","):
            source, equals, key = (part.strip() for part in word.strip().partition("="))
            if word.strip() and not (source and equals and key):
                raise SettingError("RUDDERSTACK_WRITE_KEYS must be source=key,source=key")
            if source:
                keys[source] = key
        if key := self.secret("RUDDERSTACK_API_KEY"):
            if not (source := self.text("RUDDERSTACK_SOURCE_ID")):
                raise SettingError("RUDDERSTACK_API_KEY is set but RUDDERSTACK_SOURCE_ID is not: name the source it is the write key of")
            keys.setdefault(source, key)
        if any(":" in key or not key.isascii() for key in keys.values()):
            raise SettingError("a write key in RUDDERSTACK_WRITE_KEYS or RUDDERSTACK_API_KEY has a colon or a letter that is not ASCII")
        return keys


def read() -> Environment:
    """The environment, checked. Raises SettingError."""
    reader = _Reader()
    user, password = reader.secret("RUDDERSTACK_USER"), reader.secret("RUDDERSTACK_PASS")
    if password and not user:
        raise SettingError("RUDDERSTACK_PASS is set but RUDDERSTACK_USER is not: set both or none")
    if ":" in user:
        raise SettingError("RUDDERSTACK_USER must not have a colon: HTTP Basic cannot carry it")
    secret_key = reader.secret("DJANGO_SECRET_KEY", INSECURE_KEY)
    deadline = reader.seconds("GATEWAY_DEADLINE_SECONDS", 15, 120)
    _make_folders(reader.var)
    return Environment(
        rudderstack_base_url=reader.url("RUDDERSTACK_BASE_URL"),
        rudderstack_user=user,
        rudderstack_pass=password,
        rudderstack_source_id=reader.text("RUDDERSTACK_SOURCE_ID"),
        rudderstack_replay_source_id=reader.text("RUDDERSTACK_REPLAY_SOURCE_ID"),
        rudderstack_write_keys=reader.write_keys(),
        django_secret_key=secret_key,
        django_debug=reader.boolean("DJANGO_DEBUG", False),
        django_allowed_hosts=reader.words("DJANGO_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]"),
        django_csrf_trusted_origins=reader.words("DJANGO_CSRF_TRUSTED_ORIGINS"),
        database=reader.database(),
        celery_broker_url=reader.broker(),
        gateway_var=reader.var,
        gateway_host=reader.text("GATEWAY_HOST", "127.0.0.1"),
        gateway_port=reader.integer("GATEWAY_PORT", 8080, 1, 65535),
        gateway_mcp_port=reader.integer("GATEWAY_MCP_PORT", 9090, 1, 65535),
        gateway_sandbox_port=reader.integer("GATEWAY_SANDBOX_PORT", 8090, 1, 65535),
        gateway_trusted_proxies=reader.networks("GATEWAY_TRUSTED_PROXIES"),
        gateway_validation=reader.choice("GATEWAY_VALIDATION", "strict", ("strict", "observe")),
        gateway_max_body_bytes=reader.integer("GATEWAY_MAX_BODY_BYTES", 16 * 1024 * 1024, 1024, 1024 * 1024 * 1024),
        gateway_buffer_bytes=reader.integer("GATEWAY_BUFFER_BYTES", 256 * 1024 * 1024, 1024 * 1024, 64 * 1024**3),
        gateway_connect_seconds=reader.seconds("GATEWAY_CONNECT_SECONDS", min(3, deadline), deadline),
        gateway_read_seconds=reader.seconds("GATEWAY_READ_SECONDS", min(12, deadline), deadline),
        gateway_deadline_seconds=deadline,
        gateway_ca_bundle=reader.file("GATEWAY_CA_BUNDLE"),
        gateway_breaker_failures=reader.integer("GATEWAY_BREAKER_FAILURES", 10, 1, 10_000),
        gateway_breaker_seconds=reader.seconds("GATEWAY_BREAKER_SECONDS", 5, 3600),
        gateway_api_key=reader.secret("GATEWAY_API_KEY"),
        gateway_mcp_processes=reader.integer("GATEWAY_MCP_PROCESSES", 1, 1, 64),
        gateway_mcp_origins=reader.words("GATEWAY_MCP_ORIGINS", "http://localhost,http://127.0.0.1,http://[::1]"),
        gateway_max_upload_bytes=reader.integer("GATEWAY_MAX_UPLOAD_BYTES", 10 * 1024**3, 1024, 1024**5),
        gateway_lease_seconds=reader.seconds("GATEWAY_LEASE_SECONDS", 20, 600),
        gateway_segment_days=reader.days("GATEWAY_SEGMENT_DAYS", 7, 365),
        gateway_jobs_storage=reader.bucket("GATEWAY_JOBS_STORAGE"),
        gateway_webhook_secret=reader.webhook_secrets(),
        gateway_webhook_networks=reader.networks("GATEWAY_WEBHOOK_NETWORKS"),
        gateway_web_processes=reader.integer("GATEWAY_WEB_PROCESSES", 1, 1, 64),
        gateway_web_threads=reader.integer("GATEWAY_WEB_THREADS", 64, 1, 1024),
        gateway_body_seconds=reader.seconds("GATEWAY_BODY_SECONDS", 30, 3600),
        gateway_log_level=reader.choice("GATEWAY_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
    )


def _make_folders(var: Path) -> None:
    try:
        var.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("static", "broker", "broker/messages", "broker/control"):
            (var / name).mkdir(exist_ok=True)
    except OSError as error:
        raise SettingError(f"GATEWAY_VAR cannot be used ({error.strerror}): {var}") from None
