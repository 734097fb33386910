"""`make run`: sets up what is missing, starts every process on one machine and prints how to use it. Ctrl-C stops all."""

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from honcho.manager import Manager

from rudderproxy import environment

_SANDBOX: Final = {
    "RUDDERSTACK_SOURCE_ID": "src-1",
    "RUDDERSTACK_REPLAY_SOURCE_ID": "rep-1",
    "RUDDERSTACK_WRITE_KEYS": "src-1=wk-1,rep-1=wk-rep-1",
}
"""What fits the sandbox's own sources."""


def main() -> None:
    """Start everything, or say in one line why not."""
    try:
        settings = environment.read()
    except environment.SettingError as error:
        sys.exit(f"settings: {error}")
    kept = _Kept(settings.gateway_var / "secrets")
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with_sandbox = not settings.rudderstack_base_url
    ports = {"GATEWAY_PORT": settings.gateway_port, "GATEWAY_MCP_PORT": settings.gateway_mcp_port}
    if with_sandbox:
        ports["GATEWAY_SANDBOX_PORT"] = settings.gateway_sandbox_port
        env |= _SANDBOX | {"RUDDERSTACK_BASE_URL": f"http://127.0.0.1:{settings.gateway_sandbox_port}"}
    for name, port in ports.items():
        _check_free(name, port, settings.gateway_host)
    if settings.django_secret_key == environment.INSECURE_KEY:
        kept.get("DJANGO_SECRET_KEY", lambda: secrets.token_urlsafe(50))
    if not settings.gateway_webhook_secret:
        kept.get("GATEWAY_WEBHOOK_SECRET", lambda: secrets.token_urlsafe(50))
    _manage(env, "migrate", "--verbosity", "0", fails="the database cannot be set up; check DATABASE_URL")
    password = kept.get("ADMIN_PASSWORD", lambda: secrets.token_urlsafe(12))
    if "admin" not in _manage(env, "shell", "--verbosity", "0", "-c", _NAMES, fails="the database cannot be read").splitlines():
        made = {**env, "DJANGO_SUPERUSER_PASSWORD": password}
        _manage(made, "createsuperuser", "--noinput", "--username", "admin", "--email", "admin@localhost", fails="no admin user could be made")
    key = kept.get("API_KEY", lambda: _new_key(env))
    if _manage({**env, "KEPT_KEY": key}, "shell", "--verbosity", "0", "-c", _VERIFY, fails="the database cannot be read") != "True":
        key = kept.get("API_KEY", lambda: _new_key(env), anew=True)  # another database than last time, or it was revoked
    manager = Manager()
    # honcho starts a shell, whose place the process takes: the pid that is printed is its own.
    python = f"exec {sys.executable} manage.py"
    if with_sandbox:
        manager.add_process("sandbox", f"{python} run_sandbox", env=env, cwd=str(environment.BASE_DIR))
    manager.add_process("web", f"{python} run_web", env=env, cwd=str(environment.BASE_DIR))
    manager.add_process("mcp", f"{python} run_mcp", env=env, cwd=str(environment.BASE_DIR))
    # Celery warns of root at length, and says so much else at its start that the address would be out of sight.
    worker = (
        "-W ignore::UserWarning:celery.platforms -m celery -A rudderproxy --quiet worker --beat --pool threads --concurrency 3 --loglevel WARNING"
    )
    worker += " --without-gossip --without-mingle"
    manager.add_process("worker", f"exec {sys.executable} {worker}", env=env, cwd=str(environment.BASE_DIR))
    web = f"http://localhost:{settings.gateway_port}"
    upstream = env.get("RUDDERSTACK_BASE_URL") or settings.rudderstack_base_url
    mcp = f"http://localhost:{settings.gateway_mcp_port}"
    banner = _BANNER.format(
        web=web,
        mcp=f"{mcp}/mcp",
        mcp_http=_client({"type": "http", "url": f"{mcp}/mcp", "headers": {"Authorization": f"Bearer {key}"}}),
        mcp_stdio=_client(_stdio(key, env, settings.gateway_var)),
        upstream=f"{upstream}{' (sandbox)' if with_sandbox else ''}",
        key=key,
        password=password,
        var=settings.gateway_var,
    )
    threading.Thread(target=_announce, args=((f"{web}/readyz", f"{mcp}/healthz"), banner), daemon=True).start()
    manager.loop()
    sys.exit(0 if manager.returncode == _CTRL_C else manager.returncode)


class _Kept:
    """Secrets that are made once and kept, readable by their owner alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def get(self, name: str, make: Callable[[], str], *, anew: bool = False) -> str:
        """The secret of this name."""
        path = self._folder / name
        if anew or not path.exists():
            value = make()
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(f"{value}\n")
        return path.read_text().strip()


_VERIFY: Final = "import os; from gateway.access import keys; print(keys.verify(os.environ['KEPT_KEY']) is not None)"
_CTRL_C: Final = 130
_NAMES: Final = "from django.contrib.auth.models import User; print(*User.objects.values_list('username', flat=True), sep=chr(10))"
_BANNER: Final = """
  ready

  REST    {web}     documentation {web}/docs
  MCP     {mcp}
  admin   {web}/admin/     login admin, password {password}
  API key {key}
  sends to {upstream}; data and secrets are kept in {var}

  curl {web}/v1/internal/v1/replay -H "Authorization: Bearer {key}" \\
       -d '{{"batch": [{{"type": "track", "event": "Order Completed", "userId": "u-1", "messageId": "m-1"}}]}}'

  for an MCP client, over HTTP or started by it:
  {mcp_http}
  {mcp_stdio}

  Ctrl-C stops everything.
"""


def _client(server: dict[str, Any]) -> str:
    return json.dumps({"mcpServers": {"rudder-gateway": server}})


def _stdio(key: str, env: dict[str, str], var: Path) -> dict[str, Any]:
    """How a client starts a server of its own, with what this run has beside .env; no secret but the key."""
    given = {name: env[name] for name in ("RUDDERSTACK_BASE_URL", *_SANDBOX) if name in env}
    manage = str(environment.BASE_DIR / "manage.py")
    return {
        "command": sys.executable,
        "args": [manage, "run_mcp", "--transport", "stdio"],
        "env": {"GATEWAY_API_KEY": key, "GATEWAY_VAR": str(var), **given},
    }


def _check_free(name: str, port: int, host: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            sys.exit(f"make run: port {port} cannot be used ({error.strerror}): stop what runs there, or set {name} to another")


def _new_key(env: dict[str, str]) -> str:
    """Of one machine's only user: it may see everything."""
    return _manage(env, "create_api_key", "make-run", "--scopes", "audit", fails="no API key could be made").split()[-1]


def _manage(env: dict[str, str], *arguments: str, fails: str) -> str:
    done = subprocess.run([sys.executable, "manage.py", *arguments], env=env, cwd=environment.BASE_DIR, capture_output=True, text=True)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        sys.exit(f"make run: {fails}: {why}")
    return done.stdout.strip()


def _announce(urls: tuple[str, ...], banner: str) -> None:
    """Print the banner once these answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(300):
        try:
            for url in urls:
                opener.open(url, timeout=2).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            print(banner, flush=True)
            return


if __name__ == "__main__":
    main()
