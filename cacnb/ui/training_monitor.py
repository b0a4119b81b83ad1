"""Training runs as they go, read from their folders; it never touches a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from cacnb import RESEARCH_ONLY
from cacnb.errors import UsageError
from cacnb.run_log import STEPS, RunLog, Series, thinned
from cacnb.training_failures import FAILURES
from cacnb.ui.javascript import module, style

#: More runs in one chart could not be told apart by colour.
MOST_RUNS = 6

#: Of a step's row, what is no loss; of a look's, what is shown in words.
_NOT_LOSSES = ("seconds", "samples")
_IN_WORDS = (
    "seconds", "cores_busy", "memory_mb", "gpu_memory_mb", "gpu_busy", "slices",
    "simulated_slices", "pairs", "f1_mass_hu_mm3",
)  # fmt: skip

#: What validation is judged by (Figure 5), shown first.
_FIGURE_5 = ("f1", "relative_difference")


class TrainingMonitor(anywidget.AnyWidget):
    """Shows one run or compares several; the page asks every few seconds what is new.

    Nothing runs while no page is open, and a training knows nothing of its pages. A run may live in
    another process or on another machine that writes to the same file system, may have ended, or
    may not have begun.

    Parameters
    ----------
    folders
        Of the runs, as `cacnb train --out` made them or will make them; at most six.

    Raises
    ------
    UsageError
        For no folder, or more than six.

    Example
    -------
    >>> monitor = TrainingMonitor("runs/not-there-yet")
    >>> monitor.news()["runs"][0]["state"]
    'waiting'
    """

    _esm = module("training_monitor")
    _css = style()
    title = traitlets.Unicode("Training").tag(sync=True)
    notice = traitlets.Unicode(RESEARCH_ONLY).tag(sync=True)

    def __init__(self, *folders: str | Path, **traits: Any) -> None:
        if not 1 <= len(folders) <= MOST_RUNS:
            raise UsageError(f"{len(folders)} run folders came: give 1 to {MOST_RUNS}")
        super().__init__(**traits)
        self.logs = [RunLog(Path(folder)) for folder in folders]
        self.on_msg(lambda _widget, content, buffers: self.hear(content, buffers))

    def hear(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        """Answer the page: `ask` for what is new, `picture` for one picture."""
        del buffers
        if content.get("type") == "ask":
            new = [log.read() for log in self.logs]
            self.send(self.news(whole=any(new) or bool(content.get("anew"))))
        elif content.get("type") == "picture":
            self._send_picture(content)

    def news(self, *, whole: bool = True) -> dict[str, Any]:
        """What the page shows; without `whole` only what a clock changes."""
        return {"type": "news", "runs": [_told(log, whole=whole) for log in self.logs]}

    def _send_picture(self, content: dict[str, Any]) -> None:
        run, iteration = content.get("run"), content.get("iteration")
        if not isinstance(run, int) or not 0 <= run < len(self.logs):
            return
        if isinstance(iteration, int) and (png := self.logs[run].picture(iteration)) is not None:
            self.send({"type": "picture", "run": run, "iteration": iteration}, [png])


def _told(log: RunLog, *, whole: bool) -> dict[str, Any]:
    """A run's words and, where `whole`, its curves and failures."""
    told: dict[str, Any] = {
        "state": log.state(), "quiet_s": log.quiet_s(), "iteration": log.iteration,
        "of": log.planned, "samples_per_s": log.samples_per_s(), "left_s": log.seconds_left(),
    }  # fmt: skip
    if not whole:
        return told
    losses = [name for name in log.steps.values if name not in _NOT_LOSSES]
    numbers = [n for n in log.looks.values if n not in (*_IN_WORDS, *_FIGURE_5)]
    return told | {
        "name": log.folder.resolve().name,
        "file": str(log.folder / STEPS),
        "stage": log.recipe.get("stage", ""),
        "recipe": log.recipe.get("name", ""),
        "method": log.recipe.get("method", ""),
        "seconds": log.steps.last("seconds"),
        "words": {name: log.looks.last(name) for name in _IN_WORDS},
        "failing": [_said(row) for row in log.failing()],
        "past": [_said(row) for row in log.failures if not row.get("over")],
        "losses": _curves(log.steps, losses),
        "figure_5": _curves(log.looks, [n for n in _FIGURE_5 if n in log.looks.values]),
        "numbers": _curves(log.looks, numbers),
        "pictures": log.pictures,
    }


def _said(row: dict[str, Any]) -> dict[str, Any]:
    known = FAILURES.get(row["failure"])
    return {
        "name": row["failure"], "iteration": row["iteration"],
        "means": known.means if known else "", "advice": known.advice if known else "",
    }  # fmt: skip


def _curves(series: Series, names: list[str]) -> dict[str, dict[str, list[float]]]:
    curves: dict[str, dict[str, list[float]]] = {}
    for name in names:
        at, values = series.get(name)
        if np.any(values) or len(at) < 2:  # a term that the recipe leaves out is 0 throughout
            curves[name] = thinned(at, values)
    return curves
