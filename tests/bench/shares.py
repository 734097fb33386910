"""Where a call's time goes, by py-spy's samples of a running server."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.servers import BENCH_BIN, SERVERS, Place

_RATE: Final = 100
STAGES: Final = (
    ("upstream", "post (gateway/upstream/client.py"),
    ("intent", "intend (gateway/audit/log.py"),
    ("outcome", "close (gateway/audit/log.py"),
    ("check", "_check (gateway/forwarding/admission.py"),
    ("access", "principal_of (gateway/api/authentication.py"),
    ("access", "_authorise (gateway/forwarding/admission.py"),
    ("rest of the gateway", "post (gateway/api/operation.py"),
    ("Django and DRF", "_answer (gateway/api/front.py"),
)
"""A sample is of the first stage that its stack has a frame of; of the web server's when of none."""
WEB_SERVER: Final = "web server"


@dataclass(frozen=True)
class Shares:
    """`stages` in parts of 1; `functions` are the busiest by themselves, in parts of 1."""

    server: str
    kind: str
    samples: int
    stages: dict[str, float]
    functions: list[tuple[str, float]]


def all_shares(names: list[str], place: Place, body: Path, seconds: float) -> list[Shares]:
    """Of one process on each database: the wall's clock with one caller, and the processor's under load."""
    found = []
    for name in ("audited-postgresql", "audited-sqlite"):
        if name in names:
            server = SERVERS[name](name, place)
            try:
                assert server.process
                server.run(body, 32, 1.0)
                for kind, connections, option in (("wall clock, 1 caller", 1, "--idle"), ("processor, 32 callers", 32, "--gil")):
                    stacks = _record(server.process.pid, option, place.new_folder("shares") / "stacks", seconds)
                    server.run(body, connections, seconds + 1.5)
                    if lines := stacks():
                        found.append(shares(name, kind, lines, calls_only=option == "--idle"))
                    else:
                        print("py-spy may not look into other processes: run as root for where time goes", file=sys.stderr)
            finally:
                server.stop()
    return found


def _record(pid: int, option: str, output: Path, seconds: float) -> "Recording":
    command = [str(BENCH_BIN / "py-spy"), "record", "--pid", str(pid), "--subprocesses", "--function", "--full-filenames"]
    command += ["--format", "raw", "--rate", str(_RATE), "--duration", str(int(seconds)), "--output", str(output), option]
    return Recording(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), output)


@dataclass(frozen=True)
class Recording:
    process: "subprocess.Popen[bytes]"
    output: Path

    def __call__(self) -> list[str]:
        """The stacks; none where py-spy may not look into other processes."""
        self.process.wait(60)
        return self.output.read_text().splitlines() if self.output.exists() else []


def shares(server: str, kind: str, lines: Iterable[str], *, calls_only: bool) -> Shares:
    """Of collapsed stacks: frames from the outermost to the innermost, then how often that was seen. `calls_only`: not of threads that rest."""
    stages: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frames = [_short(frame) for frame in stack.split(";")]
        stage = _stage(frames)
        if stage == WEB_SERVER and calls_only:
            continue
        stages[stage] += int(count)
        functions[frames[-1]] += int(count)
    total = sum(stages.values()) or 1
    order = dict.fromkeys([WEB_SERVER, *(name for name, _ in reversed(STAGES))])
    return Shares(
        server,
        kind,
        total,
        {stage: stages[stage] / total for stage in order},
        [(name, count / total) for name, count in functions.most_common(12)],
    )


def _stage(frames: list[str]) -> str:
    return next((name for name, sign in STAGES if any(sign in frame for frame in frames)), WEB_SERVER)


def _short(frame: str) -> str:
    """Without the folders above the project or the package, and without the process's own name."""
    if frame.startswith("process "):
        return "no Python"
    for folder in ("site-packages/", "/gateway/", "/rudderproxy/"):
        if folder in frame:
            name, _, path = frame.partition(" (")
            kept = path.partition(folder)[2]
            return f"{name} ({'' if folder.startswith('site') else folder.strip('/') + '/'}{kept}"
    return frame
