"""The one training loop: it yields steps, logs them, and saves what it needs to go on.

It does not know what is trained: a learner brings its networks, optimisers and step.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from cacnb.errors import InputError
from cacnb.files import write_atomically
from cacnb.learning.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from cacnb.learning.kept import forget_after, keep_network
from cacnb.learning.learner import Learner, Sampler
from cacnb.learning.step_log import StepLog
from cacnb.learning.stopping import StoppedError, heard

#: Where `recipe.json` says which studies a run learns from.
LEARNED_FROM = "learned_from"


@dataclass(frozen=True)
class Step:
    """One iteration: its number from 1, how many there will be, its losses, seconds of training.

    `seconds` and `samples` go on where a resumed run's log stood. `failures` says what was found to
    go wrong at this step, a sentence each.
    """

    iteration: int
    of: int
    losses: dict[str, float]
    seconds: float
    samples: int = 0
    failures: tuple[str, ...] = ()


class Watch(Protocol):
    """What looks at a training from outside: it changes no network and draws no random number."""

    def begin(self, folder: Path, reached: int) -> None:
        """Watch the run in a folder, which goes on after the iteration that it has reached."""
        ...

    def look(self, step: Step) -> tuple[str, ...]:
        """Look at a step; says what is found to go wrong, a sentence each."""
        ...


@dataclass(frozen=True)
class Run:
    """A folder that a training lives in: `recipe.json`, `steps.jsonl`, `last.safetensors`.

    With `keep_every`, the trained network is kept in `kept/` whenever the watch validated at such
    an iteration, at most `keep` of them. With `stop_on_signals`, SIGTERM and SIGUSR1 let a step end
    and save it. `learned_from` says in words which studies are learned from, for the weights' card.
    `until` ends it after that iteration, saved, as if it had been stopped there.
    """

    folder: Path
    resume: bool = False
    keep_every: int = 0
    keep: int = 8
    stop_on_signals: bool = False
    learned_from: tuple[str, ...] = ()
    until: int | None = None


def train(
    learner: Learner, sampler: Sampler, run: Run, watch: Watch | None = None
) -> Iterator[Step]:
    """Train to the recipe's last iteration, yielding every step.

    With `resume`, goes on from the checkpoint exactly: weights, optimisers, random states. On a CPU
    the losses are those of an unbroken run, watched or not. Of several processes all take part and
    the first writes; `watch` looks from there alone.

    Raises
    ------
    InputError
        `run_exists` where the folder holds a run and `resume` was not asked for; `other_recipe`,
        `other_studies` where it was made with others; `not_finite` where a loss is no number;
        `process_gone` where another process has ended.
    StoppedError
        Where a signal asked to stop; the last step is saved.
    """
    recipe, processes = learner.recipe, learner.processes
    checkpoint = run.folder / CHECKPOINT
    last = recipe.iterations if run.until is None else min(run.until, recipe.iterations)
    log = StepLog(run.folder / "steps.jsonl", writes=processes.first)
    done = processes.after_first(lambda: _begin(learner, sampler, run, log))
    watch = watch if processes.first else None
    start = time.monotonic() - log.seconds()
    if watch is not None:
        watch.begin(run.folder, done)
    for network in learner.networks.values():
        network.train()
    with heard(run.stop_on_signals) as asked:
        try:
            for iteration in range(done + 1, last + 1):
                with processes.or_one_is_gone():
                    losses = learner.step(*sampler.draw(), iteration)
                    losses, stop = processes.tell(losses, stop=asked.by is not None)
                seconds = time.monotonic() - start
                step = Step(iteration, recipe.iterations, losses, seconds, iteration * recipe.batch)
                bad = [name for name, value in losses.items() if not np.isfinite(value)]
                if not bad:
                    log.add(iteration, losses, step.seconds, step.samples)
                failures = watch.look(step) if watch is not None else ()
                if bad:
                    raise processes.once(_not_finite(bad[0], iteration))
                if processes.first:
                    if run.keep_every and iteration % run.keep_every == 0:
                        keep_network(learner, iteration, run.folder, run.keep)
                    if stop or iteration % recipe.save_every == 0 or iteration == last:
                        log.flush()
                        save_checkpoint(learner, sampler, iteration, checkpoint)
                yield replace(step, failures=failures)
                if stop and iteration < last:
                    by = asked.by.name if asked.by is not None else "another process"
                    raise processes.once(
                        StoppedError(
                            f"stopped by {by}: iteration {iteration} of {recipe.iterations} is "
                            f"saved in {run.folder}, --resume goes on"
                        )
                    )
        finally:
            log.flush()


def _not_finite(term: str, iteration: int) -> InputError:
    return InputError(
        "not_finite",
        f"the loss term {term} is no number at iteration {iteration}: "
        "resume from the last checkpoint with a smaller learning rate",
    )


def _begin(learner: Learner, sampler: Sampler, run: Run, log: StepLog) -> int:
    """Open the run's folder, or what the first process made of it; the iteration it has reached."""
    if learner.processes.first:
        _open_folder(learner, run)
    checkpoint = run.folder / CHECKPOINT
    on = run.resume and checkpoint.exists()
    reached = load_checkpoint(learner, sampler, checkpoint) if on else 0
    if learner.processes.first:
        log.cut(reached)
        forget_after(reached, run.folder)
    return reached


def _open_folder(learner: Learner, run: Run) -> None:
    """Write the recipe into a new run's folder, or hold it against that of the run in it."""
    recipe_file = run.folder / "recipe.json"
    if not recipe_file.exists():
        told = {"stage": learner.stage, LEARNED_FROM: run.learned_from}
        write_atomically(json.dumps({**told, **learner.recipe.as_dict()}, indent=2), recipe_file)
        return
    if not run.resume:
        raise InputError(
            "run_exists", f"{run.folder} holds a run: add --resume, or choose another --out"
        )
    try:
        kept = json.loads(recipe_file.read_text(encoding="utf-8"))
        same = kept.pop("stage", None) == learner.stage
        others = kept.pop(LEARNED_FROM, None) or []
        same = same and type(learner.recipe).from_dict(kept) == learner.recipe
    except (ValueError, TypeError, AttributeError):
        same = False
    if not same:
        raise InputError(
            "other_recipe",
            f"{run.folder} was trained with another recipe: choose another --out",
        )
    if others and run.learned_from and list(run.learned_from) != others:
        raise InputError(
            "other_studies",
            f"{run.folder} learned from {', '.join(others)}, "
            f"{', '.join(run.learned_from)} came: give the same --study, or another --out",
        )
    for part in run.folder.glob(".*.part"):  # of a process that was killed while it wrote
        part.unlink(missing_ok=True)
