"""A training's folder as it grows: steps, looks, failures, pictures; no network, no screen."""

from __future__ import annotations

import json
import math
import time
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

#: Files of a run's folder that are read here.
STEPS, VALIDATION, FAILURES, RECIPE, PICTURES = (
    "steps.jsonl", "validation.jsonl", "failures.jsonl", "recipe.json", "pictures",
)  # fmt: skip

#: Bytes read from a log at most at a time, so that a long run opens in parts and not in minutes.
MOST_BYTES = 16_000_000

#: Points of a series that are sent to a screen.
MOST_POINTS = 400

#: Steps over which samples a second are counted.
RATE_STEPS = 200

#: A training may have stopped after this many seconds, and this many of its steps, without a step.
QUIET_S, QUIET_STEPS = 60.0, 20.0

State = Literal["waiting", "running", "quiet", "finished", "stopped"]


@dataclass
class JsonLines:
    """A file of JSON lines that is read on where the last reading ended.

    A half-written last line waits until it is whole. A file that was cut or written anew by a
    resumed training is read from its start.
    """

    path: Path
    offset: int = 0
    inode: int = 0

    def more(self) -> tuple[bool, list[dict[str, Any]]]:
        """Whether the file is another one than before, and its new rows."""
        try:
            with self.path.open("rb") as file:
                return self._read_on(file)
        except FileNotFoundError:
            anew, self.offset = self.offset > 0, 0
            return anew, []

    def _read_on(self, file: Any) -> tuple[bool, list[dict[str, Any]]]:
        size, inode = file.seek(0, 2), self.path.stat().st_ino
        anew = self.offset > 0 and (inode != self.inode or size < self.offset)
        self.inode, self.offset = inode, 0 if anew else self.offset
        file.seek(self.offset)
        data = file.read(MOST_BYTES)
        whole = data[: data.rfind(b"\n") + 1]
        self.offset += len(whole)
        rows = [row for row in map(_row, whole.splitlines()) if row is not None]
        return anew, rows


def _row(line: bytes) -> dict[str, Any] | None:
    """A line's row, None for one that a crash of the machine left damaged."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("iteration"), int) else None


@dataclass
class Series:
    """Numbers by name, each at its own iterations; only numbers are kept."""

    at: dict[str, array[float]] = field(default_factory=dict)
    values: dict[str, array[float]] = field(default_factory=dict)

    def add(self, row: dict[str, Any]) -> None:
        """Add one row; rows from its iteration on that were there before are of a cut run."""
        iteration = row["iteration"]
        for name, value in row.items():
            if (
                name == "iteration"
                or not isinstance(value, int | float)
                or not math.isfinite(value)
            ):
                continue
            at = self.at.setdefault(name, array("d"))
            values = self.values.setdefault(name, array("d"))
            while at and at[-1] >= iteration:
                at.pop()
                values.pop()
            at.append(iteration)
            values.append(value)

    def last(self, name: str) -> float | None:
        """The latest value of a name."""
        return self.values[name][-1] if self.values.get(name) else None

    def get(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Iterations and values of a name, (n,) each."""
        empty = array("d")
        return np.array(self.at.get(name, empty)), np.array(self.values.get(name, empty))


def thinned(
    at: NDArray[np.float64], values: NDArray[np.float64], points: int = MOST_POINTS
) -> dict[str, list[float]]:
    """A series as a screen can draw it: means of equal parts, and what they range over.

    Example
    -------
    >>> thinned(np.arange(1.0, 5.0), np.array([1.0, 3.0, 2.0, 2.0]), points=2)
    {'at': [1.5, 3.5], 'mean': [2.0, 2.0], 'low': [1.0, 2.0], 'high': [3.0, 2.0]}
    """
    edges = np.unique(np.linspace(0, len(at), min(points, len(at)) + 1).astype(int))[:-1]
    if not len(edges):
        return {"at": [], "mean": [], "low": [], "high": []}
    size = np.diff([*edges, len(at)])
    return {
        "at": [float(f"{x:.8g}") for x in np.add.reduceat(at, edges) / size],
        "mean": [float(f"{x:.5g}") for x in np.add.reduceat(values, edges) / size],
        "low": [float(f"{x:.5g}") for x in np.minimum.reduceat(values, edges)],
        "high": [float(f"{x:.5g}") for x in np.maximum.reduceat(values, edges)],
    }


class RunLog:
    """A run's folder, read on at each call of `read`; it writes nothing into it.

    The run may live in another process or on another machine, may have ended, or may not be there
    yet.

    Example
    -------
    >>> log = RunLog(Path("runs/not-there-yet"))
    >>> log.read(), log.state()
    (False, 'waiting')
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.steps, self.looks = Series(), Series()
        self.failures: list[dict[str, Any]] = []
        self.recipe: dict[str, Any] = {}
        self.pictures: list[int] = []
        self._files = {name: JsonLines(folder / name) for name in (STEPS, VALIDATION, FAILURES)}
        self._recipe_time = 0.0

    def read(self) -> bool:
        """Read what is new; whether anything was."""
        found = self._read_recipe()
        for name, file in self._files.items():
            anew, rows = file.more()
            found = found or anew or bool(rows)
            if anew:
                self._forget(name)
            for row in rows:
                self._take(name, row)
        pictures = sorted(int(p.stem) for p in (self.folder / PICTURES).glob("[0-9]*.png"))
        found, self.pictures = found or pictures != self.pictures, pictures
        return found

    def picture(self, iteration: int) -> bytes | None:
        """The PNG made at an iteration; None where it has gone."""
        try:
            return (self.folder / PICTURES / picture_name(iteration)).read_bytes()
        except FileNotFoundError:
            return None

    @property
    def iteration(self) -> int:
        """The latest iteration, 0 before the first."""
        return max((int(at[-1]) for at in self.steps.at.values() if at), default=0)

    @property
    def planned(self) -> int:
        """How many iterations the recipe has, 0 where there is none yet."""
        return int(self.recipe.get("iterations", 0))

    def samples_per_s(self) -> float | None:
        """Samples a second over the last `RATE_STEPS` steps; None for a log without seconds."""
        recent = self._recent()
        return None if recent is None else recent[1] / recent[0]

    def seconds_left(self) -> float | None:
        """Seconds to the last iteration at the latest speed; None where it is not known."""
        recent = self._recent()
        if recent is None or not self.planned:
            return None
        return max(0, self.planned - self.iteration) * recent[0] / recent[2]

    def _recent(self) -> tuple[float, float, float] | None:
        """Seconds, samples and iterations of the latest steps."""
        at, seconds = self.steps.at.get("seconds"), self.steps.values.get("seconds")
        samples = self.steps.values.get("samples")
        if not at or not seconds or not samples or len(at) < 2:
            return None
        first = max(0, len(at) - 1 - RATE_STEPS)
        took = seconds[-1] - seconds[first]
        if took <= 0:
            return None
        return took, samples[-1] - samples[first], at[-1] - at[first]

    def quiet_s(self, now: float | None = None) -> float | None:
        """Seconds since the log last grew; None where there is none."""
        try:
            changed = (self.folder / STEPS).stat().st_mtime
        except FileNotFoundError:
            return None
        return max(0.0, (time.time() if now is None else now) - changed)

    def failing(self) -> list[dict[str, Any]]:
        """The failures that hold now: name and the iteration from which on."""
        open_ones: dict[str, dict[str, Any]] = {}
        for row in self.failures:
            if row.get("over"):
                open_ones.pop(row["failure"], None)
            else:
                open_ones[row["failure"]] = row
        return list(open_ones.values())

    def state(self, now: float | None = None) -> State:
        """What can be said of the training from its files alone."""
        quiet = self.quiet_s(now)
        if quiet is None:
            return "waiting"
        if any(row["failure"] == "not_finite" for row in self.failing()):
            return "stopped"
        if self.planned and self.iteration >= self.planned:
            return "finished"
        recent = self._recent()
        step_s = recent[0] / recent[2] if recent else 0.0
        return "quiet" if quiet > max(QUIET_S, QUIET_STEPS * step_s) else "running"

    def _read_recipe(self) -> bool:
        path = self.folder / RECIPE
        try:
            changed = path.stat().st_mtime
            if changed == self._recipe_time:
                return False
            found = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return False
        self._recipe_time, self.recipe = changed, found if isinstance(found, dict) else {}
        return True

    def _forget(self, name: str) -> None:
        if name == STEPS:
            self.steps = Series()
        elif name == VALIDATION:
            self.looks = Series()
        else:
            self.failures = []

    def _take(self, name: str, row: dict[str, Any]) -> None:
        if name == STEPS:
            self.steps.add(row)
        elif name == VALIDATION:
            self.looks.add(row)
        elif isinstance(row.get("failure"), str):
            self.failures.append(row)


def picture_name(iteration: int) -> str:
    """File name of the picture made at an iteration; names sort by iteration.

    Example
    -------
    >>> picture_name(500)
    '00000500.png'
    """
    return f"{iteration:08d}.png"
