"""A reader at work: the queue, where they stopped, what they said; it knows no widget."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from cacnb.labels.history import History, read_history
from cacnb.labels.queue import Task
from cacnb.labels.store import LabelStore


@dataclass(frozen=True, eq=False)
class ReadingSession:
    """One reader, one app, one queue, and the store that keeps what they say.

    Parameters
    ----------
    store
        Where labels are kept.
    study, reader, app, role
        As they stand with each label.
    queue
        What is to be read, in order.
    """

    store: LabelStore
    study: str
    reader: str
    app: str
    role: str
    queue: tuple[Task, ...]
    scope: str = field(init=False)

    def __post_init__(self) -> None:
        # What a browser keeps belongs to one reader of one study, and says neither.
        words = "/".join((self.study, self.reader, self.app))
        object.__setattr__(self, "scope", hashlib.sha256(words.encode()).hexdigest()[:24])

    @cached_property
    def keys(self) -> dict[str, str]:
        """Scan names by the key that the page knows them under, which tells nothing of them."""
        return {scan_key(self.study, task.scan): task.scan for task in self.queue}

    def events(self, task: Task) -> pd.DataFrame:
        """All that this reader did with this app on this task, in order."""
        return self.store.events(
            study=self.study, reader=self.reader, app=self.app, role=self.role,
            scan=task.scan, reading=task.reading,
        )  # fmt: skip

    def history(self, task: Task) -> History:
        """What holds of a task, and what can be undone and done again."""
        return read_history(self.events(task))

    def resume(self) -> int:
        """Position of the first task that is not done; the last one where all are."""
        done = self.store.current(
            study=self.study, reader=self.reader, role=self.role, subject="done", item=self.app
        )
        given = done[done["value"].notna()]
        finished = set(zip(given["scan"], given["reading"], strict=True))
        for position, task in enumerate(self.queue):
            if (task.scan, task.reading) not in finished:
                return position
        return len(self.queue) - 1


def scan_key(study: str, scan: str) -> str:
    """What the page calls a scan: always the same, and no name.

    Example
    -------
    >>> len(scan_key("study", "scan01"))
    16
    """
    return hashlib.sha256(f"{study}/{scan}".encode()).hexdigest()[:16]
