"""The kernel's end of the outbox: events from the page to the store, and the store's word back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cacnb.errors import InputError
from cacnb.labels.events import LabelEvent
from cacnb.labels.session import ReadingSession

#: What the page says of an event; who reads and which study it is are never the page's to say.
SAID_BY_PAGE = (
    "session", "sequence", "action", "kind", "undoes", "undoes_session", "app", "app_version",
    "scan_sha256", "subject", "slice", "item", "value", "seconds", "role", "reading", "queue",
    "position", "assistant",
)  # fmt: skip


@dataclass(frozen=True)
class Receipt:
    """What became of events: ids on disk, ids that the store will never take, and what went wrong.

    Ids in neither stay in the page's outbox and come again.
    """

    saved: list[tuple[str, int]]
    refused: list[tuple[str, int]]
    message: str = ""


def record(
    session: ReadingSession, events: Sequence[Mapping[str, Any]], now: datetime | None = None
) -> Receipt:
    """Append a page's events to the store.

    The time of an event is the server's clock less the age that the page tells: a browser's clock
    may be wrong. An event that means nothing is refused by itself; the others are kept.

    Parameters
    ----------
    events
        As the page's outbox sends them.
    """
    now = now or datetime.now(UTC)
    good: list[LabelEvent] = []
    refused: list[tuple[str, int]] = []
    why = ""
    for event in events:
        try:
            good.append(_event(session, event, now))
        except (InputError, KeyError, TypeError, ValueError) as error:
            refused.append((str(event.get("session")), int(event.get("sequence") or 0)))
            why = error.message if isinstance(error, InputError) else "an event lacks a field"
    try:
        saved = session.store.append(good) if good else []
    except InputError as error:
        return Receipt([], refused, error.message)
    return Receipt(saved, refused, why)


def _event(session: ReadingSession, said: Mapping[str, Any], now: datetime) -> LabelEvent:
    known = {name: said[name] for name in SAID_BY_PAGE}
    given = now - timedelta(milliseconds=float(said["age_ms"]))
    scan = session.keys.get(str(said["scan"]))
    if scan is None:
        raise InputError("unknown_scan", "a label came for a scan that this study does not have")
    return LabelEvent(
        **known, scan=scan, study=session.study, reader=session.reader,
        given_at=given.isoformat(timespec="microseconds"),
    )  # fmt: skip
