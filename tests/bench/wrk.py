"""One run of wrk: what it measured, and what went wrong."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_SCRIPT: Final = Path(__file__).parent / "post.lua"


class NoResultError(Exception):
    """wrk said nothing that can be read."""


@dataclass(frozen=True)
class Run:
    """`answered` counts whole answers, good and bad. Errors by kind, without those that did not occur."""

    answered: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds


def parse(output: str) -> Run:
    """What `post.lua` printed among wrk's own lines. Raises NoResultError."""
    line = next((line for line in output.splitlines() if line.startswith('{"answered"')), None)
    if line is None:
        raise NoResultError(output.strip() or "no output")
    said = json.loads(line)
    errors = {kind: count for kind, count in said["errors"].items() if count}
    return Run(said["answered"], said["microseconds"] / 1e6, said["p50"] / 1000, said["p99"] / 1000, errors)


def run(
    url: str, body: Path, headers: Mapping[str, str], connections: int, seconds: float, at_end: Callable[[], object] = lambda: None, sign: str = ""
) -> Run:
    """POST the body for so long. `at_end` is done while the load still goes on. Answers without the `sign` are errors."""
    pairs = [f"{name}: {value}" for name, value in {"Content-Type": "application/json", **headers}.items()]
    # wrk itself takes whole seconds; a signal ends it at any time, and it tells what it has.
    command = ["wrk", "-t1", f"-c{connections}", f"-d{int(seconds) + 60}s", "--timeout", "30s", "-s", str(_SCRIPT), url]
    command += ["--", str(body), sign, *pairs]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        time.sleep(seconds)
        at_end()
        process.send_signal(signal.SIGINT)
        return parse(process.communicate(timeout=40)[0])
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
