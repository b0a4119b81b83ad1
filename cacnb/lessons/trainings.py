"""A training that a lesson starts: a process of its own, which outlives the notebook.

It does not know what is trained: `cacnb train` does, and leaves in the run's folder what is seen.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cacnb.errors import InputError
from cacnb.lessons.own_process import is_running, number_of, start_once
from cacnb.run_log import RunLog

if TYPE_CHECKING:
    from cacnb.lessons.missing import Missing
    from cacnb.lessons.training_view import LessonMonitor
    from cacnb.studies import Study

#: Where lessons keep what they make, under the current folder.
LESSONS = Path("out") / "lessons"

#: In a run's folder: what the training says, and the file that it holds locked while it runs, with
#: its process's number.
LOG, LOCK = "training.log", "training.lock"

#: A short training is looked at so many times, a long one every so many iterations.
LOOKS, VALIDATE_EVERY = 3, 500

#: Seconds between two looks at a process.
POLL_S = 0.1


@dataclass(frozen=True, eq=False)
class Training:
    """A training by the folder that it lives in; the process may be this notebook's, or another's.

    Parameters
    ----------
    stage, recipe
        What is trained and how.
    folder
        Of the run, as `cacnb train --out` makes it.
    problem
        Why nothing was started; empty where something was.
    """

    stage: str
    recipe: str
    folder: Path
    problem: str = ""

    @property
    def running(self) -> bool:
        """Whether its process goes on, whoever started it."""
        return is_running(self.folder / LOCK)

    @property
    def state(self) -> str:
        """One of `not started`, `running`, `finished`, `stopped`, `failed`."""
        if self.problem:
            return "not started"
        if self.running:
            return "running"
        log = self._read()
        if log.state() == "finished":
            return "finished"
        return "stopped" if "stopped by" in self.said else "failed"

    @property
    def said(self) -> str:
        """The last sentence of its log: why it ended, where it did not finish."""
        if self.problem:
            return self.problem
        try:
            text = (self.folder / LOG).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            text = ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if lines:
            return lines[-1].removeprefix("cacnb: ")
        return f"it ended without a word, see {self.folder}: run the cell again to go on"

    def wait(self, seconds: float) -> Training:
        """Wait until it has ended, at most so long; a notebook shows what comes back."""
        until = time.monotonic() + seconds
        while self.running and time.monotonic() < until:
            time.sleep(POLL_S)
        return self

    def stop(self, seconds: float = 30.0) -> Training:
        """Ask it to save its last step and to end, and wait for that; the same cell goes on later.

        Before the first step, while a study is prepared, it ends at once.
        """
        number = number_of(self.folder / LOCK)
        if not self.running or number is None:
            return self
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(number, signal.SIGTERM)
        ended = self.wait(seconds)
        if not ended.running and not self._read().iteration:  # nobody else tells why
            with (self.folder / LOG).open("a", encoding="utf-8") as log:
                log.write("stopped by you before the first step: run the cell again to go on\n")
        return ended

    def monitor(self) -> LessonMonitor | Missing:
        """Its losses and pictures, live; a sentence where it could not begin."""
        from cacnb.lessons.missing import Missing
        from cacnb.lessons.training_view import LessonMonitor

        if self.problem or (self.state == "failed" and not self._read().iteration):
            return Missing(repr(self))
        return LessonMonitor(self)

    def _read(self) -> RunLog:
        log = RunLog(self.folder)
        log.read()
        return log

    def __repr__(self) -> str:
        what, state = f"{self.stage}, recipe {self.recipe}", self.state
        if state == "not started":
            return f"{what}: not started: {self.problem}"
        log = self._read()
        reached = f"iteration {log.iteration:,} of {log.planned:,}" if log.planned else "preparing"
        if state in ("failed", "stopped"):
            return f"{what}: {state}: {self.said}"
        return f"{what}: {state}, {reached}; in {self.folder}"


def start_training(
    stage: str,
    study: Study,
    recipe: str = "demo",
    iterations: int | None = None,
    *,
    method: str | None = None,
    device: str = "auto",
    seed: int | None = None,
    validate_every: int | None = None,
) -> Training:
    """Train one network of a study in a process of its own, or join the training that does so.

    The process runs `cacnb train`. It goes on when the notebook is closed and when its kernel is
    started anew. Its folder is named by study, stage and the arguments, so that the same cell finds
    it again: one that runs is joined, one that has finished is shown, one that has stopped goes on.

    Parameters
    ----------
    stage
        `heart`, `slices`, `decomposition` or `clinical`.
    study
        Its scans for training are learned from; slices or patches are cut first, into `prepared/`
        of its folder.
    recipe
        As `cacnb train` takes it: `demo`, `paper`, `fast`, `packaged`.
    iterations
        Fewer than the recipe's; None for the recipe's own.
    method
        Of the decomposition: `cyclegan`, `one_sided`, `inserted`, `both`, `bridge`; the recipe's
        own if None.
    device
        `auto` takes a GPU where there is one.
    seed
        The recipe's own if None.
    validate_every
        Iterations between two validations, with a picture each.

    Raises
    ------
    UsageError
        For an unknown stage, recipe or method, or less than one iteration.
    InputError
        `cannot_write` where the current folder takes no `out/lessons`.
    """
    options = {"recipe": recipe, "method": method, "iterations": iterations, "seed": seed}
    name = "_".join([stage, *(f"{given}" for given in options.values() if given is not None)])
    folder = lesson_folder(study) / name
    training = Training(stage, recipe, folder, _problem(stage, study, recipe, iterations, method))
    if training.problem:
        return training
    every = validate_every or (max(1, iterations // LOOKS) if iterations else VALIDATE_EVERY)
    options |= {"device": _device(device, stage), "validate-every": every}
    told = [(f"--{key}", str(value)) for key, value in options.items() if value is not None]
    where = os.path.relpath(study.folder)
    command = [
        sys.executable, "-m", "cacnb.cli", "train", stage, "--study", where, "--out", str(folder),
        "--resume", *(word for option in told for word in option),
    ]  # fmt: skip
    start_once(command, folder / LOCK, folder / LOG, lambda: training._read().state() != "finished")
    return training


def lesson_folder(study: Study) -> Path:
    """Where lessons keep what they make of a study: by its name and place, under `out/lessons`."""
    place = hashlib.sha256(str(study.folder.resolve()).encode()).hexdigest()[:6]
    return LESSONS / f"{re.sub(r'[^A-Za-z0-9.-]+', '_', study.name)}-{place}"


def _problem(
    stage: str, study: Study, recipe: str, iterations: int | None, method: str | None
) -> str:
    """What `cacnb train` would refuse after its start, said at once; empty for nothing."""
    from cacnb.learning.decompositions import by_method
    from cacnb.learning.recipes import DecompositionRecipe, SliceRecipe
    from cacnb.learning.recipes import recipe as find_recipe
    from cacnb.training_scans import learned_from

    plan = find_recipe(stage, recipe)
    if iterations is not None:
        plan = plan.of_length(iterations)
    if method is not None and isinstance(plan, DecompositionRecipe):
        plan = by_method(plan, method)
    try:
        learned_from(study.folder, "heart" if stage == "heart" else "cac")
    except InputError as error:
        return error.message.replace(str(study.folder), "this study")
    if stage in ("slices", "decomposition") and study.labels.empty:
        return "no slice of this study has a settled label: label some first, see notebook 02"
    knows = isinstance(plan, SliceRecipe) and plan.twins
    knows = knows or (isinstance(plan, DecompositionRecipe) and bool(plan.inserted_weight))
    if knows and not (study.folder / "calcium").is_dir():
        return (
            f"the recipe {recipe!r} learns from known calcium, and this study has no folder "
            'calcium: take recipe "paper", or insert calcium with `cacnb insert`'
        )
    return ""


def _device(name: str, stage: str) -> str:
    """A device by name; for `auto` a GPU where there is one and the stage trains on it."""
    if name != "auto":
        return name
    from torch import cuda

    return "cuda" if stage != "clinical" and cuda.is_available() else "cpu"
