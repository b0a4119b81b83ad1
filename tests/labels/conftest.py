"""Label events, and stores to keep them in: each test runs on SQLite and on PostgreSQL."""

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from cacnb.labels.events import LabelEvent
from cacnb.labels.store import LabelStore

FIRST = {
    "session": "5e551011", "sequence": 1, "action": 1, "kind": "give", "undoes": None,
    "undoes_session": None, "given_at": "2026-01-31T08:15:00.000000+00:00", "reader": "A",
    "app": "label", "app_version": "0.1.0", "study": "demo", "scan": "scan01",
    "scan_sha256": "0" * 64, "subject": "slice", "slice": 0, "item": "", "value": "cac",
    "seconds": 1.25, "role": "first", "reading": 1, "queue": "random, seed 7", "position": 0,
    "assistant": False,
}  # fmt: skip


@pytest.fixture
def event() -> Callable[..., LabelEvent]:
    """Makes a label event; what is not said is as in the first of a session."""

    def make(sequence: int = 1, /, **said: object) -> LabelEvent:
        at = f"2026-01-31T08:{15 + sequence // 60:02d}:{sequence % 60:02d}.000000+00:00"
        return LabelEvent(
            **{**FIRST, "sequence": sequence, "action": sequence, "given_at": at, **said}
        )

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def any_place(request, tmp_path) -> str:
    """Where an empty store may be made."""
    if request.param == "sqlite":
        return str(tmp_path / "labels.sqlite")
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def any_store(any_place) -> Iterator[LabelStore]:
    with LabelStore.open(any_place) as store:
        yield store


@pytest.fixture
def eight_at_once():
    """Eight processes that wait for one another, then run; what each says on standard error."""

    def run(code, place):
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", code, place],
                stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for _ in range(8)
        ]  # fmt: skip
        for process in processes:
            process.stdin.write("x")
            process.stdin.flush()
        return [process.communicate(timeout=120)[1] for process in processes]

    return run
