"""Label events, and stores to keep them in: each test runs on SQLite and on PostgreSQL."""

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
