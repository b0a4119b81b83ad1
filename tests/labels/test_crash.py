"""Writers, and servers, that die in the middle: every acknowledged label is there, none twice."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cacnb.labels.store import LabelStore

pytestmark = pytest.mark.slow

WRITER = Path(__file__).with_name("writer.py")
WRITERS = 8
SQLITE_ROUNDS, POSTGRESQL_ROUNDS = 50, 5

#: Forks writers that have imported everything: a round takes a moment rather than seconds.
NURSERY = """
import contextlib, os, sys
with contextlib.suppress(ImportError):
    import sqlalchemy.dialects.postgresql.psycopg, psycopg
sys.path.insert(0, sys.argv[1])
import writer
for line in sys.stdin:
    place, acks, *sessions = line.split("\\t")
    children = []
    for session in sessions:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), 1)
            try:
                writer.main(place, session.strip())
            except BaseException as error:
                os.write(2, f"{error}\\n".encode())
            os._exit(1)
        children.append(child)
    print(*children, flush=True)
    for child in children:
        os.waitpid(child, 0)
    print("gone", flush=True)
"""


@contextmanager
def nursery() -> Iterator[subprocess.Popen]:
    call = [sys.executable, "-c", NURSERY, str(WRITER.parent)]
    with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
        yield one
        one.stdin.close()


def acknowledged(acks: Path) -> set[tuple[str, int]]:
    """Whole lines only: what was cut off was not heard."""
    lines = acks.read_text().split("\n")[:-1] if acks.exists() else []
    told = [line.split() for line in lines if line.startswith("acknowledged ")]
    return {(session, int(sequence)) for _, session, sequence in told}


def kill_writers_in_the_middle(place: str, folder: Path, rounds: int) -> int:
    """The labels that were acknowledged in all; whatever is wrong is asserted on the way."""
    rng = random.Random(5)  # noqa: S311 (which moment, not a secret)
    heard: set[tuple[str, int]] = set()
    with nursery() as parent:
        for number in range(rounds):
            acks = folder / f"acks{number}"
            sessions = [f"r{number}w{writer}" for writer in range(WRITERS)]
            parent.stdin.write("\t".join([place, str(acks), *sessions]) + "\n")
            parent.stdin.flush()
            children = [int(child) for child in parent.stdout.readline().split()]
            assert len(children) == WRITERS
            time.sleep(rng.uniform(0.05, 0.8))
            for child in children:
                os.kill(child, signal.SIGKILL)
            assert parent.stdout.readline() == "gone\n"
            heard |= acknowledged(acks)
            with LabelStore.open(place) as store:
                store.check()
                kept = store.events()
            found = list(zip(kept["session"], kept["sequence"], strict=True))
            assert len(found) == len(set(found))
            assert heard <= set(found)
            # A writer is at most one label ahead of what it heard of.
            assert len(found) - len(heard) <= WRITERS * (number + 1)
    return len(heard)


def test_eight_writers_killed_at_once_fifty_times_lose_no_acknowledged_label(tmp_path) -> None:
    heard = kill_writers_in_the_middle(str(tmp_path / "labels.sqlite"), tmp_path, SQLITE_ROUNDS)
    assert heard > 10 * SQLITE_ROUNDS


def test_eight_clients_of_postgresql_killed_at_once_lose_no_acknowledged_label(
    postgres_url, tmp_path
) -> None:
    heard = kill_writers_in_the_middle(postgres_url, tmp_path, POSTGRESQL_ROUNDS)
    assert heard > 10 * POSTGRESQL_ROUNDS


def test_a_postgresql_server_that_crashes_keeps_every_acknowledged_label(
    postgres_server, postgres_url, tmp_path
) -> None:
    acks = tmp_path / "acks"
    with acks.open("wb") as out, (tmp_path / "said").open("wb") as said:
        writers = [
            subprocess.Popen(
                [sys.executable, str(WRITER), postgres_url, f"w{n}"], stdout=out, stderr=said
            )
            for n in range(4)
        ]
        deadline = time.monotonic() + 60
        while len(acknowledged(acks)) < 100 and time.monotonic() < deadline:
            time.sleep(0.05)
        postgres_server.stop("immediate")
        for writer in writers:
            assert writer.wait(60) == 1
    postgres_server.start()
    heard = acknowledged(acks)
    assert len(heard) >= 100
    assert postgres_server.password not in (tmp_path / "said").read_text()
    with LabelStore.open(postgres_url) as store:
        kept = store.events()
    assert heard <= set(zip(kept["session"], kept["sequence"], strict=True))
