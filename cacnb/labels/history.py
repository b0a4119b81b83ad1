"""What a reader can undo and give again, read back from events; it changes no label."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

#: Where a value stands within a scan: subject, slice (None where it is of the scan), item.
Place = tuple[str, int | None, str]


@dataclass(frozen=True)
class Change:
    """One value that an action changed; None stands for nothing said."""

    subject: str
    slice: int | None
    item: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Action:
    """What one key did, and what undo takes back: a fill of thirty slices is one action."""

    session: str
    action: int
    changes: tuple[Change, ...]


@dataclass
class History:
    """The values that hold, and the actions to undo and to redo, the newest last."""

    state: dict[Place, str] = field(default_factory=dict)
    done: list[Action] = field(default_factory=list)
    undone: list[Action] = field(default_factory=list)

    def as_message(self) -> dict[str, Any]:
        """The history as the browser takes it."""
        return {
            "state": [
                {"subject": subject, "slice": z, "item": item, "value": value}
                for (subject, z, item), value in self.state.items()
            ],
            "done": [_as_message(action) for action in self.done],
            "undone": [_as_message(action) for action in self.undone],
        }


def read_history(events: pd.DataFrame) -> History:
    """Replay the events of one reader on one scan.

    Parameters
    ----------
    events
        Rows of the label store in the order that they were given, columns as `LabelEvent`.
    """
    history = History()
    by_id: dict[tuple[str, int], Action] = {}
    for _, rows in events.groupby(["session", "action"], sort=False):
        first = rows.iloc[0]
        before = dict(history.state)
        changes = []
        for row in rows.itertuples():
            place = (str(row.subject), _index(row.slice), str(row.item))
            after = _text(row.value)
            changes.append(Change(*place, before.get(place), after))
            if after is None:
                history.state.pop(place, None)
            else:
                history.state[place] = after
        if first["kind"] == "give":
            action = Action(str(first["session"]), int(first["action"]), tuple(changes))
            by_id[action.session, action.action] = action
            history.done.append(action)
            history.undone.clear()
            continue
        meant = by_id.get((str(first["undoes_session"]), int(first["undoes"])))
        source, target = history.done, history.undone
        if first["kind"] == "redo":
            source, target = target, source
        if meant is not None and meant in source:
            source.remove(meant)
            target.append(meant)
    return history


def _index(value: Any) -> int | None:
    return None if pd.isna(value) else int(value)


def _text(value: Any) -> str | None:
    return None if pd.isna(value) else str(value)


def _as_message(action: Action) -> dict[str, Any]:
    return {
        "session": action.session,
        "action": action.action,
        "changes": [vars(change) for change in action.changes],
    }
