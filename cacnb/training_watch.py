"""A training watched from outside: looks, pictures and failures, written beside its steps."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cacnb.files import or_cannot_write, write_atomically
from cacnb.learning.loop import Step
from cacnb.run_log import FAILURES as FAILURES_FILE
from cacnb.run_log import PICTURES, STEPS, VALIDATION, JsonLines, picture_name
from cacnb.training_failures import (
    FAILURES,
    LOOK_EVERY,
    LOOKS_IN_A_ROW,
    LOSS_STEPS,
    failures_now,
    not_finite,
)

#: Pictures that are kept of a run.
PICTURES_KEPT = 24


class View(Protocol):
    """What can be seen of one stage's networks; it changes none and draws no random number."""

    def numbers(self) -> dict[str, float]:
        """What the failures are told from, on a few validation slices."""
        ...

    def validation(self) -> dict[str, float]:
        """F1 and mean relative difference on more of them."""
        ...

    def picture(self) -> bytes:
        """A PNG that shows what the networks make of some of them."""
        ...


@dataclass(frozen=True)
class WatchPlan:
    """How many iterations lie between two looks, two validations and two pictures; 0 for never."""

    look_every: int = LOOK_EVERY
    validate_every: int = 500
    picture_every: int = 500


class TrainingWatch:
    """Writes `validation.jsonl`, `pictures/` and `failures.jsonl` into a run's folder.

    A failure is said once when it begins, and its end is written down too. Without a `view` only
    the losses are watched.

    Parameters
    ----------
    view
        Of the networks that are trained.
    plan
        When it looks.
    """

    def __init__(self, view: View | None = None, plan: WatchPlan | None = None) -> None:
        self.view, self.plan = view, plan or WatchPlan()
        self.folder = Path()
        self.holding: set[str] = set()
        self._first: list[dict[str, float]] = []
        self._last: deque[dict[str, float]] = deque(maxlen=LOSS_STEPS)
        self._looks: deque[dict[str, float]] = deque(maxlen=LOOKS_IN_A_ROW)
        self._clock = (time.monotonic(), time.process_time())

    def begin(self, folder: Path, reached: int) -> None:
        """Watch a run from the iteration after `reached`; what was seen later is dropped."""
        self.folder = folder
        for name in (VALIDATION, FAILURES_FILE):
            _cut(folder / name, reached)
        for path in (folder / PICTURES).glob("[0-9]*.png"):
            if int(path.stem) > reached:
                path.unlink()
        terms = [_losses(row) for row in _rows(folder / STEPS)]
        self._first = terms[:LOSS_STEPS]
        self._last.extend(terms[LOSS_STEPS:])
        self._looks.extend(_rows(folder / VALIDATION)[-LOOKS_IN_A_ROW:])
        for row in _rows(folder / FAILURES_FILE):
            (self.holding.discard if row.get("over") else self.holding.add)(str(row["failure"]))

    def look(self, step: Step) -> tuple[str, ...]:
        """Look at a step where the plan says so; the sentences of failures that begin with it."""
        (self._first if len(self._first) < LOSS_STEPS else self._last).append(step.losses)
        at = step.iteration
        finite = not not_finite(step.losses)
        looks = self._due(self.plan.look_every, at) or self._due(self.plan.validate_every, at)
        if looks and finite:
            self._look_at_slices(step)
        if self.view is not None and finite and self._due(self.plan.picture_every, at):
            write_atomically(self.view.picture(), self.folder / PICTURES / picture_name(at))
            self._thin_pictures()
        if finite and not looks:
            return ()
        now = set(failures_now(self._first, list(self._last), list(self._looks)))
        begun, over = sorted(now - self.holding), sorted(self.holding - now)
        self.holding = now
        for name in begun:
            self._write(FAILURES_FILE, {"iteration": at, "failure": name})
        for name in over:
            self._write(FAILURES_FILE, {"iteration": at, "failure": name, "over": True})
        return tuple(FAILURES[name].at(at) for name in begun)

    def _look_at_slices(self, step: Step) -> None:
        row: dict[str, float] = {"iteration": step.iteration, "seconds": round(step.seconds, 3)}
        if self.view is not None:
            row |= self.view.numbers()
            self._looks.append(row)
            if self._due(self.plan.validate_every, step.iteration):
                row |= self.view.validation()
        self._write(VALIDATION, row | self._machine())

    def _machine(self) -> dict[str, float]:
        """Processor cores that the training kept busy since the last look, and its memory."""
        now, used = time.monotonic(), time.process_time()
        then, used_then = self._clock
        self._clock = (now, used)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        per_mb = 1024 * (1024 if sys.platform == "darwin" else 1)
        return {
            "cores_busy": round((used - used_then) / max(now - then, 1e-9), 2),
            "memory_mb": round(peak / per_mb, 1),
        }

    def _due(self, every: int, iteration: int) -> bool:
        return every > 0 and iteration % every == 0

    def _write(self, name: str, row: dict[str, object] | dict[str, float]) -> None:
        path = self.folder / name
        with or_cannot_write(path), path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")

    def _thin_pictures(self) -> None:
        """Drop pictures where they stand closest, so that the whole course stays in sight."""
        paths = sorted((self.folder / PICTURES).glob("[0-9]*.png"))
        while len(paths) > PICTURES_KEPT:
            at = [int(path.stem) for path in paths]
            inner = range(1, len(at) - 1)
            paths.pop(min(inner, key=lambda i: (at[i + 1] - at[i - 1], i))).unlink()


def _rows(path: Path) -> list[dict[str, float]]:
    rows: list[dict[str, float]] = []
    file = JsonLines(path)
    while more := file.more()[1]:
        rows += more
    return rows


def _losses(row: dict[str, float]) -> dict[str, float]:
    return {k: v for k, v in row.items() if k not in ("iteration", "seconds", "samples")}


def _cut(path: Path, reached: int) -> None:
    """Drop what was seen after the checkpoint: it will be seen again."""
    if path.exists():
        kept = [row for row in _rows(path) if row["iteration"] <= reached]
        write_atomically("".join(json.dumps(row) + "\n" for row in kept), path)
