"""A job while workers are killed with -9, and its database and broker are stopped, all at random: every event arrives, in order where that
was asked for, nothing is doubled that is not counted, and it ends without anybody's help.
"""

from collections import Counter
from random import Random, randrange
from time import monotonic, sleep

import pytest

from tests.jobs.making import ids
from tests.system.jobs import arrived, ended, lines, without_repeats
from tests.tree import kill_tree
from tests.waiting import wait_for

CHUNK = 100
LEASE = 2.0
ORDERED, UNORDERED = True, False
SHORT = [("sqlite", "embedded", ORDERED), ("postgresql", "redis", UNORDERED), ("postgresql", "rabbitmq", ORDERED)]
LONG = [*SHORT, ("sqlite", "embedded", UNORDERED), ("postgresql", "redis", ORDERED), ("postgresql", "rabbitmq", UNORDERED)]


@pytest.fixture
def burn(request, gateway_with, database, broker, sandbox, tmp_path):
    """Does a job under fire; prints and returns nothing that is not as it should be."""

    def run(events, kills, stops, ordered):
        seed = randrange(10**6)
        print(f"seed {seed}")
        random = Random(seed)
        gateway = gateway_with(database, start=False, GATEWAY_LEASE_SECONDS=str(LEASE), **(broker.settings if broker else {}))
        servers = [server for server in (request.getfixturevalue("postgresql") if database else None, broker) if server]
        sandbox.trouble("delay", seconds=0.04)
        (tmp_path / "events.ndjson").write_bytes(lines(events))
        options = ["--chunk-events", str(CHUNK), *([] if ordered else ["--unordered", "--rate", "4000"])]
        workers = [gateway.start_worker(), gateway.start_worker(beat=False)]
        began = monotonic()
        job = gateway.manage("submit_job", str(tmp_path / "events.ndjson"), "--operation", "replay", *options).split()[-1]
        blows = [None] * kills + servers * stops
        random.shuffle(blows)
        killed = 0
        for number, server in enumerate(blows):
            at = number * events // (len(blows) + 1) + random.randrange(events // (len(blows) + 1))
            wait_for(lambda at=at: sandbox.count()["events"] >= at, 120)
            sleep(random.uniform(0, 0.1))
            assert [worker.poll() for worker in workers] == [None, None], gateway.log[-5000:]
            if server:
                random.choice([server.stop, getattr(server, "kill", server.stop)])()
                sleep(random.uniform(0, 3))
            # What is away now and then has a worker come up without it.
            if not server or random.random() < 0.3:
                which = random.randrange(2)
                kill_tree(workers[which].pid)
                workers[which].wait()
                workers[which] = gateway.start_worker(beat=which == 0)
                killed += 1
            if server:
                server.start()
        row = ended(gateway, job)
        seconds = monotonic() - began
        assert [worker.poll() for worker in workers] == [None, None], gateway.log[-5000:]
        batches = arrived(sandbox)
        seen = Counter(one for batch in batches for one in batch)
        doubled, blown = seen.total() - events, killed + stops * len(servers)
        print(
            f"{request.node.callspec.params['database']}, {request.node.callspec.params['broker']}, {'ordered' if ordered else 'unordered'}: "
            f"{events:,} events, {killed} kills, {stops * len(servers)} stops, {seconds:.0f} s, duplicates {doubled:,} seen, {row['possible_duplicates']:,} reported"
        )
        assert seen.keys() == set(ids(events))
        assert (row["state"], row["accepted"], row["failed"]) == ("succeeded", events, 0)
        assert doubled <= row["possible_duplicates"] <= CHUNK * (1 if ordered else 16) * blown
        if ordered:
            assert without_repeats(batches) == ids(events)

    return run


@pytest.mark.parametrize(("database", "broker", "ordered"), SHORT, indirect=["database", "broker"])
def test_nothing_is_lost_and_what_may_be_doubled_is_counted(burn, ordered):
    burn(20_000, kills=3, stops=1, ordered=ordered)


@pytest.mark.chaos
@pytest.mark.parametrize(("database", "broker", "ordered"), LONG, indirect=["database", "broker"])
def test_the_same_at_length(burn, ordered):
    burn(100_000, kills=20, stops=5, ordered=ordered)
