"""How much each reader gave and how long it took; it does not know how much is left."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class ReaderProgress:
    """What one reader said of one subject.

    Parameters
    ----------
    reader, role, subject
        Who, in which role, of what.
    scans
        On how many scans.
    events
        Rows of the store, each undo and redo with them.
    labels
        Labels that hold: what was taken back is not counted.
    hours
        Time spent, pauses left out.
    last_at
        When the last was given, UTC.
    """

    reader: str
    role: str
    subject: str
    scans: int
    events: int
    labels: int
    hours: float
    last_at: str


def reader_progress(events: pd.DataFrame, current: pd.DataFrame) -> list[ReaderProgress]:
    """One row a reader, role and subject, sorted.

    Parameters
    ----------
    events, current
        As `LabelStore.events` and `LabelStore.current` give them.
    """
    keys = ["reader", "role", "subject"]
    holds = current[current["value"].notna()].groupby(keys).size()
    return [
        ReaderProgress(
            reader=str(key[0]), role=str(key[1]), subject=str(key[2]),
            scans=int(rows["scan"].nunique()), events=len(rows),
            labels=int(holds.get(key, 0)), hours=float(rows["seconds"].sum()) / 3600,
            last_at=str(rows["given_at"].max()),
        )
        for key, rows in events.groupby(keys)
    ]  # fmt: skip
