from datetime import UTC, datetime

import pytest

from cacnb.labels.store import LabelStore
from cacnb.ui.reading_room import ReadingRoom


@pytest.fixture(autouse=True)
def done_at_once(monkeypatch):
    """Slow work is done at once, also where other tests keep a browser's loop running."""
    monkeypatch.setattr(ReadingRoom, "_soon", lambda _, work, then: then(work()))


class Kernel:
    """A widget whose page is the test: what it says is kept, what it hears is told."""

    def __init__(self, widget) -> None:
        self.widget, self.said = widget, []
        widget.send = lambda content, buffers=None: self.said.append((content, buffers or []))

    def hear(self, **content):
        self.widget.hear(content, [])

    def of(self, kind: str) -> list[dict]:
        return [content for content, _ in self.said if content["type"] == kind]

    def open(self, **more) -> dict:
        self.hear(type="ready")
        self.hear(type="open", have=[], **more)
        return self.of("scan")[-1]


class Page:
    """What a page would send of one open scan."""

    def __init__(self, scan: dict) -> None:
        self.context, self.sequence = scan["context"], 0

    def event(self, **said) -> dict:
        self.sequence += 1
        now = datetime.now(UTC).timestamp() * 1000
        return {
            "session": "page", "sequence": self.sequence, "action": self.sequence, "kind": "give",
            "undoes": None, "undoes_session": None, "subject": "slice", "slice": 5, "item": "",
            "value": "cac", "seconds": 1.0, "given_ms": now, "age_ms": 0, **self.context, **said,
        }  # fmt: skip


@pytest.fixture
def kernel():
    return Kernel


@pytest.fixture
def page():
    return Page


@pytest.fixture
def store(tmp_path):
    with LabelStore.open(tmp_path / "labels.sqlite") as opened:
        yield opened
