"""A canvas on which a reader says something of each scan of a queue; it knows not what they say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from cacnb import RESEARCH_ONLY, __version__
from cacnb.errors import CacnbError, UsageError
from cacnb.labels.history import read_history
from cacnb.labels.place import open_labels
from cacnb.labels.queue import QueuePlan, Task, queue_of
from cacnb.labels.session import ReadingSession, scan_key
from cacnb.labels.store import LabelStore
from cacnb.ui.javascript import module
from cacnb.ui.picture import Picture, heart_box
from cacnb.ui.reading_study import OPEN_SCANS, OpenScan, ReadingStudy
from cacnb.ui.recorder import record
from cacnb.ui.slice_canvas import SliceCanvas

#: Shown around the heart, in mm.
HEART_MARGIN_MM = 15.0

Role = Literal["first", "second", "adjudication"]
Made = TypeVar("Made")


@dataclass(frozen=True)
class ReadingPlan:
    """How a study is read.

    Parameters
    ----------
    queue
        Order, repeats, and whether the classifier chooses.
    role
        A first or second reader, or the one who decides where two differ.
    blind
        Whether scans are shown without their names.
    """

    queue: QueuePlan = field(default_factory=QueuePlan)
    role: Role = "first"
    blind: bool = True


class ReadingRoom(SliceCanvas):
    """The scans of a study one after the other; what is said of them goes to its label store.

    Parameters
    ----------
    study
        A study folder.
    reader
        Who reads, or what tells it once a page is there; empty where the page is to ask.
    plan
        Order, role, blindness.
    store
        Another label store than the study's.

    Raises
    ------
    InputError
        `no_study`, and as `open_labels`.
    """

    _esm = module("reading_room")
    #: How events of this app are marked.
    app = ""

    def __init__(
        self,
        study: str | Path,
        reader: str | Callable[[], str] = "",
        plan: ReadingPlan | None = None,
        store: LabelStore | None = None,
        **traits: Any,
    ) -> None:
        super().__init__(**traits)
        self.study = ReadingStudy(Path(study))
        if self.study.simulated:
            self.notice = f"Simulated scans. {RESEARCH_ONLY}"
        self.plan = plan or ReadingPlan()
        self.store = store or open_labels(self.study.folder)
        self.whole = False
        self._pictures: dict[str, Picture] = {}
        self._running: set[asyncio.Task[None]] = set()
        self.session: ReadingSession | None = None
        self._reader: Callable[[], str] = reader if callable(reader) else lambda: ""
        if isinstance(reader, str) and reader:
            self.begin(reader)

    # ---- the session

    def begin(self, reader: str) -> ReadingSession:
        """Begin to read as somebody: their queue, where they stopped."""
        self.session = ReadingSession(
            self.store, self.study.key, reader, self.app, self.plan.role, self.queue_for(reader)
        )
        return self.session

    def queue_for(self, reader: str) -> tuple[Task, ...]:
        """What a reader is to read; an adjudicator's app gives another queue."""
        plan = self.plan.queue
        uncertainty = self.study.uncertainty() if plan.least_sure_first else None
        return queue_of(self.study.scans, reader, plan, uncertainty)

    # ---- messages

    def hear(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        """Answer the page: "ready", "reader", "events", "open", "ahead", "ping"."""
        del buffers
        kind = content.get("type")
        try:
            if kind == "ready":
                self._welcome(self._reader())
            elif kind == "reader" and not self._reader():
                self._welcome(str(content.get("name", "")).strip()[:60])
            elif kind == "ping":
                self.send({"type": "pong"})
            elif self.session is not None:
                self.hear_reader(self.session, str(kind), content)
        except CacnbError as error:
            self.send({"type": "trouble", "message": str(error)})

    def hear_reader(self, session: ReadingSession, kind: str, content: dict[str, Any]) -> None:
        """Answer what a reader's page says; an app adds its own words."""
        if kind == "events":
            receipt = record(session, content["events"])
            if receipt.saved:
                self.send({"type": "ack", "ids": receipt.saved})
            if receipt.refused:
                self.send({"type": "refused", "ids": receipt.refused, "message": receipt.message})
            elif receipt.message:
                self.send({"type": "trouble", "message": receipt.message})
            self.after_events(session)
        elif kind == "open":
            self._open(session, content)
        elif kind == "ahead":
            self._ahead(session, int(content["position"]))

    def after_events(self, session: ReadingSession) -> None:
        """Take in what was just recorded, or a scan just shown; an app that scores does so here."""

    def _welcome(self, reader: str) -> None:
        """Begin for the reader that is known by now, or ask who it is."""
        if self.session is None and reader:
            self.begin(reader)
        if self.session is None:
            self.send({"type": "who"})
        else:
            self.send({"type": "welcome", "scope": self.session.scope})

    # ---- scans

    def _open(self, session: ReadingSession, content: dict[str, Any]) -> None:
        asked = content.get("position")
        position = session.resume() if asked is None else int(asked)
        if not 0 <= position < len(session.queue):
            raise UsageError(
                f"the queue has no place {position + 1}: it holds {len(session.queue)}"
            )
        self.whole = bool(content.get("whole", self.whole))
        task = session.queue[position]
        key = self._picture_key(task)
        have = key in content.get("have", [])
        at = content.get("slice")

        def work() -> tuple[OpenScan, Picture]:
            scan = self.study.open(task.scan)
            return scan, self._picture(task, scan)

        def show(made: tuple[OpenScan, Picture]) -> None:
            scan, picture = made
            self.on_scan(session, task, scan)
            events = session.events(task)
            history = read_history(events)
            slices = self.slices_to_read(task, scan)
            first = next((z for z in slices if ("slice", z, "") not in history.state), slices[0])
            message, data = picture.message() if not have else (None, [])
            self.send(
                {
                    "type": "scan",
                    "key": key,
                    "position": position,
                    "of": len(session.queue),
                    "name": "Scan" if self.plan.blind else task.scan,
                    "whole": self.whole,
                    "slices": slices,
                    "slice": first if at is None else at,
                    "seconds": float(events["seconds"].sum()),
                    "reading": history.as_message(),
                    "told": self.told(session, task),
                    "context": {
                        "scan": scan_key(session.study, task.scan),
                        "scan_sha256": scan.sha256,
                        "reading": task.reading,
                        "role": self.plan.role,
                        "queue": str(self.plan.queue),
                        "position": position,
                        "assistant": self.plan.queue.least_sure_first,
                        "app": self.app,
                        "app_version": __version__,
                    },
                    "picture": message,
                },
                data,
            )
            self.after_events(session)

        self._soon(work, show)

    def _ahead(self, session: ReadingSession, position: int) -> None:
        """Send the next scan before it is asked for."""
        if not 0 <= position < len(session.queue):
            return
        task = session.queue[position]

        def send(picture: Picture) -> None:
            message, data = picture.message()
            self.send({"type": "ahead", "key": self._picture_key(task), "picture": message}, data)

        self._soon(lambda: self._picture(task, self.study.open(task.scan)), send)

    def _picture_key(self, task: Task) -> str:
        name = scan_key(self.study.key, task.scan)
        return f"{name}/{task.reading}/{'whole' if self.whole else 'heart'}"

    def _picture(self, task: Task, scan: OpenScan) -> Picture:
        """The picture of a task, kept while it is among the last two."""
        key = self._picture_key(task)
        if key not in self._pictures:
            self._pictures[key] = self.picture_of(task, scan)
            while len(self._pictures) > OPEN_SCANS:
                self._pictures.pop(next(iter(self._pictures)))
        return self._pictures[key]

    def _soon(self, work: Callable[[], Made], then: Callable[[Made], None]) -> None:
        """Do slow work beside the kernel, so that labels are still saved meanwhile, then go on."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel around: a script or a test
            then(work())
            return

        async def both() -> None:
            try:
                then(await loop.run_in_executor(None, work))
            except CacnbError as error:
                self.send({"type": "trouble", "message": str(error)})

        task = loop.create_task(both())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    # ---- what an app decides

    def picture_of(self, task: Task, scan: OpenScan) -> Picture:
        """What is shown of a scan; called beside the kernel's thread."""
        raise NotImplementedError

    def on_scan(self, session: ReadingSession, task: Task, scan: OpenScan) -> None:
        """Take in that a scan is about to be shown."""

    def told(self, session: ReadingSession, task: Task) -> dict[str, Any]:
        """What the page is told of a scan beside its picture."""
        del session, task
        return {}

    def slices_to_read(self, task: Task, scan: OpenScan) -> list[int]:
        """Slices of the scan's own grid that the reader is asked about, from the head down.

        Those of the heart, or all where the study has no heart mask.
        """
        del task
        if scan.heart is None:
            return list(range(scan.volume.shape[0]))[::-1]
        return [int(z) for z in np.flatnonzero(scan.heart.array.any(axis=(1, 2)))][::-1]

    def box_of(self, scan: OpenScan) -> tuple[slice, slice, slice] | None:
        """The part of a scan that is sent: around the heart, unless all of it is wanted."""
        if self.whole or scan.heart is None:
            return None
        return heart_box(scan.heart.array, scan.volume.spacing_mm, HEART_MARGIN_MM)


def plan_from(options: dict[str, Any]) -> ReadingPlan:
    """A plan from the options of `cacnb serve`.

    Example
    -------
    >>> plan_from({"seed": 3, "role": "second"}).queue.seed
    3
    """
    plan = ReadingPlan()
    queue = replace(
        plan.queue,
        seed=int(options.get("seed", 0)),
        repeats=float(options.get("repeats", 0.0)),
        least_sure_first=bool(options.get("assistant", False)),
    )
    return replace(
        plan, queue=queue, role=options.get("role", "first"), blind=bool(options.get("blind", True))
    )
