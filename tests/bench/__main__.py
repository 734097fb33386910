"""`make bench`: measures everything in one run, writes what was found to the screen, to docs/performance.md, and raw to var/bench."""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import tests.environment  # noqa: F401 - sets the environment
from tests.bench import checks, loads, losses, machine, measure, report, session, shares
from tests.bench.bodies import all_bodies
from tests.bench.servers import BENCH_BIN, SERVERS, Place, Sandbox, lacking
from tests.processes import ROOT, PostgreSQL

DOCUMENT: Final = ROOT / "docs" / "performance.md"
ROUNDS, SECONDS, WARM_UP = 3, 2.0, 1.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("words", nargs="*", help="servers, bodies, connections, delays or parts to measure; all without")
    parser.add_argument("--quick", action="store_true", help="one round of a second each; for a look, not for figures")
    options = parser.parse_args()
    try:
        selection = loads.select(options.words)
    except loads.UnknownWordError as error:
        sys.exit(f"bench: {error}")
    if packages := lacking(selection.servers):
        sys.exit(f"bench: needs what is not there: apt-get install {' '.join(packages)}")
    if not (BENCH_BIN / "py-spy").exists():
        sys.exit("bench: the baseline is not installed; `make bench` does it")
    rounds, seconds = (1, 1.0) if options.quick else (ROUNDS, SECONDS)
    started = time.monotonic()
    results = report.Results()
    try:
        with session.folder() as folder:
            _measure(results, selection, folder, rounds, seconds)
    finally:
        session.keep(results)
    results.conditions = (
        f"{time.strftime('%Y-%m-%d')}; medians of {rounds} runs of {seconds:g} s each, taken in turns, after {WARM_UP:g} s to warm up; "
        f"the whole took {(time.monotonic() - started) / 60:.0f} minutes."
    )
    content = report.markdown(results)
    print(f"\n{content}")
    if not options.words and not options.quick:
        DOCUMENT.write_text(report.into(DOCUMENT.read_text(), content))
        print(f"\nwritten to {DOCUMENT.relative_to(ROOT)}")


def _measure(results: report.Results, selection: loads.Selection, folder: Path, rounds: int, seconds: float) -> None:
    """Fills the results part by part, so that what was found is kept whatever happens later."""
    files = {name: folder / f"{name}.json" for name in all_bodies()}
    for name, content in all_bodies().items():
        files[name].write_bytes(content)
    wanted = any("postgresql" in name for name in selection.servers)
    # Its connections suffice for all servers at once.
    with session.postgresql(folder / "postgresql", wanted, max_connections="500") as postgresql:
        results.machine = machine.card(folder, postgresql)
        if "checks" in selection.parts:
            session.say("checks")
            results.checks = checks.all_checks()
        for delay in sorted({load.delay_ms for load in selection.loads}):
            with _upstream(folder, delay, postgresql) as place:
                results.figures += _figures(selection, place, delay, files, rounds, seconds)
        with _upstream(folder, 0, postgresql) as place:
            if "losses" in selection.parts:
                session.say("losses")
                results.losses = losses.all_losses(selection.servers, place, files["small"], seconds)
            if "shares" in selection.parts:
                session.say("shares")
                results.shares = shares.all_shares(selection.servers, place, files["small"], 8 if rounds > 1 else 3)


def _figures(selection: loads.Selection, place: Place, delay: int, files: dict[str, Path], rounds: int, seconds: float) -> Iterator[measure.Figure]:
    """All servers run all the while and take turns, so that what else the machine does falls on all alike."""
    wanted = [load for load in selection.loads if load.delay_ms == delay]
    names = [name for name in selection.servers if any(load.suits(name) for load in wanted)]
    session.say(f"starting {', '.join(names)}")
    servers = []
    try:
        for name in names:
            servers.append(SERVERS[name](name, place))
        for load in wanted:
            suited = [server for server in servers if load.suits(server.name)]
            for server in suited:
                server.run(files[load.body], load.connections, WARM_UP)
                measure.settled(server, place.sandbox)
            samples = [[measure.sample(server, place.sandbox, load, files[load.body], seconds) for server in suited] for _ in range(rounds)]
            for server, of_server in zip(suited, zip(*samples, strict=True), strict=True):
                figure = measure.figure(server.name, load, list(of_server))
                session.say(f"{figure.server}, {load}: {figure.per_second:,.0f}/s {'; '.join(figure.flaws)}")
                yield figure
    finally:
        for server in servers:
            server.stop()


@contextmanager
def _upstream(folder: Path, delay_ms: int, postgresql: PostgreSQL | None) -> Iterator[Place]:
    own = Path(tempfile.mkdtemp(dir=folder))
    sandbox = Sandbox(own, delay_ms)
    try:
        yield Place(own, sandbox, postgresql)
    finally:
        sandbox.stop()


if __name__ == "__main__":
    main()
