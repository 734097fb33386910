"""docker/ is checked as far as that goes without an engine: its files parse, and name what is there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import yaml
from django.core.management import get_commands

COMPOSE = yaml.safe_load(Path("docker/compose.yml").read_text())
DOCKERFILE = Path("docker/Dockerfile").read_text()


def test_compose_has_the_stated_services_and_volumes():
    assert {"web", "mcp", "worker", "postgres", "redis"} <= set(COMPOSE["services"])
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in COMPOSE["volumes"]
        for secret in service.get("secrets", []):
            assert secret in COMPOSE["secrets"]
        for other in service.get("depends_on", {}):
            assert other in COMPOSE["services"]


def test_every_command_is_one_that_exists():
    commands = [COMPOSE["services"][name]["command"] for name in ("migrate", "web", "mcp", "worker")]
    commands.append(eval(re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.M)[-1]))
    for command in commands:
        if command[1] == "manage.py":
            assert command[2] in get_commands()
        else:
            done = subprocess.run([sys.executable, "-m", *command, "--help"], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr


def test_the_image_copies_all_that_runs():
    copied = {word for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.M) for word in shlex.split(line)[:-1]}
    assert copied == {"requirements.txt", "manage.py", "rudderproxy", "gateway", "templates"}
    assert all(Path(name).exists() for name in copied)


def test_every_setting_that_docker_sets_is_one():
    example = Path(".env.example").read_text()
    names = set(COMPOSE["services"]["web"]["environment"]) | set(re.findall(r"\b(?:GATEWAY|DJANGO|DATABASE|CELERY|RUDDERSTACK)_[A-Z_]+", DOCKERFILE))
    assert [name for name in names if f"{name.removesuffix('_FILE')}=" not in example] == []


def test_the_broker_is_a_service_unless_the_environment_names_another():
    urls = {COMPOSE["services"][name]["environment"]["CELERY_BROKER_URL"] for name in ("web", "mcp", "worker")}
    [(host, port)] = [re.fullmatch(r"\$\{CELERY_BROKER_URL:-redis://([a-z]+):([0-9]+)/0\}", url).groups() for url in urls]
    assert (host in COMPOSE["services"], port) == (True, "6379")


def test_what_takes_uploads_and_what_works_on_them_share_their_files():
    for name in ("web", "mcp", "worker"):
        assert "gateway-jobs:/var/lib/gateway/jobs" in COMPOSE["services"][name]["volumes"]
    assert "/var/lib/gateway/jobs" in DOCKERFILE
