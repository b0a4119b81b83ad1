"""The one training loop: it yields steps, logs them, and saves what it needs to go on.

It does not know what is trained: a learner brings its networks, optimisers and step.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from cacnb.errors import InputError
from cacnb.files import or_cannot_write, write_atomically
from cacnb.learning.recipes import Recipe

#: Name of the checkpoint in a run's folder; there is one, always whole.
CHECKPOINT = "last.safetensors"

#: Seconds after which a logged step is on disk at the latest, for whoever watches.
FLUSH_AFTER_S = 1.0


class Sampler(Protocol):
    """Anything that draws batches from one random generator."""

    rng: np.random.Generator

    def draw(self) -> tuple[Tensor, Tensor]:
        """The next batch."""
        ...


class Learner(ABC):
    """Networks, their optimisers and one step; what is saved is what `state` names."""

    stage: str

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.networks: dict[str, nn.Module] = {}
        self.optimisers: dict[str, torch.optim.Adam] = {}

    @abstractmethod
    def step(self, first: Tensor, second: Tensor, iteration: int) -> dict[str, float]:
        """Train on one batch; returns the loss terms."""

    @abstractmethod
    def trained(self) -> nn.Module:
        """The network that the pipeline uses, as it stands now."""


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


@dataclass
class Run:
    """A folder that a training lives in: `recipe.json`, `steps.jsonl`, `last.safetensors`."""

    folder: Path
    resume: bool = False


def train(
    learner: Learner, sampler: Sampler, run: Run, watch: Watch | None = None
) -> Iterator[Step]:
    """Train to the recipe's last iteration, yielding every step.

    With `resume`, goes on from the checkpoint exactly: weights, optimisers, random states. On a CPU
    the losses are those of an unbroken run, watched or not.

    Raises
    ------
    InputError
        `run_exists` where the folder holds a run and `resume` was not asked for; `other_recipe`
        where it was made with another recipe; `not_finite` where a loss is no number.
    """
    recipe = learner.recipe
    done = _begin(learner, sampler, run)
    log = run.folder / "steps.jsonl"
    start = time.monotonic() - _logged_seconds(log)
    flushed = start
    if watch is not None:
        watch.begin(run.folder, done)
    for network in learner.networks.values():
        network.train()
    with log.open("a", encoding="utf-8") as lines:
        for iteration in range(done + 1, recipe.iterations + 1):
            losses = learner.step(*sampler.draw(), iteration)
            now = time.monotonic()
            step = Step(iteration, recipe.iterations, losses, now - start, iteration * recipe.batch)
            bad = [name for name, value in losses.items() if not np.isfinite(value)]
            if not bad:
                lines.write(_line(step))
            if bad or now - flushed > FLUSH_AFTER_S:
                flushed = now
                with or_cannot_write(log):
                    lines.flush()
            failures = watch.look(step) if watch is not None else ()
            if bad:
                raise InputError(
                    "not_finite",
                    f"the loss term {bad[0]} is no number at iteration {iteration}: "
                    "resume from the last checkpoint with a smaller learning rate",
                )
            if iteration % recipe.save_every == 0 or iteration == recipe.iterations:
                lines.flush()
                save_checkpoint(learner, sampler, iteration, run.folder / CHECKPOINT)
            yield replace(step, failures=failures)


def _line(step: Step) -> str:
    """A step as the log keeps it."""
    row = {"iteration": step.iteration, **step.losses}
    return json.dumps({**row, "seconds": round(step.seconds, 3), "samples": step.samples}) + "\n"


def _logged_seconds(log: Path) -> float:
    """Seconds of training that the last logged step came after; 0 for a new run or an old log."""
    if not log.exists():
        return 0.0
    with log.open("rb") as lines:
        lines.seek(max(0, log.stat().st_size - 4096))
        last = lines.read().splitlines()[-1:]
    return float(json.loads(last[0]).get("seconds", 0.0)) if last else 0.0


def _begin(learner: Learner, sampler: Sampler, run: Run) -> int:
    """Open the run's folder; returns the iteration that it has reached."""
    recipe_file, checkpoint = run.folder / "recipe.json", run.folder / CHECKPOINT
    text = json.dumps({"stage": learner.stage, **learner.recipe.as_dict()}, indent=2)
    if recipe_file.exists():
        if not run.resume:
            raise InputError(
                "run_exists", f"{run.folder} holds a run: add --resume, or choose another --out"
            )
        try:
            kept = json.loads(recipe_file.read_text(encoding="utf-8"))
            same = kept.pop("stage", None) == learner.stage
            same = same and type(learner.recipe).from_dict(kept) == learner.recipe
        except (ValueError, TypeError, AttributeError):
            same = False
        if not same:
            raise InputError(
                "other_recipe",
                f"{run.folder} was trained with another recipe: choose another --out",
            )
        if checkpoint.exists():
            reached = load_checkpoint(learner, sampler, checkpoint)
            _cut_log(run.folder / "steps.jsonl", reached)
            return reached
        _cut_log(run.folder / "steps.jsonl", 0)
        return 0
    write_atomically(text, recipe_file)
    return 0


def _cut_log(path: Path, reached: int) -> None:
    """Drop the steps after the checkpoint: they will be trained again."""
    if path.exists():
        kept = path.read_text(encoding="utf-8").splitlines()[:reached]
        write_atomically("".join(f"{line}\n" for line in kept), path)


def save_checkpoint(learner: Learner, sampler: Sampler, iteration: int, path: Path) -> None:
    """Write weights, optimisers and random states to one safetensors file, whole or not at all."""
    tensors: dict[str, Tensor] = {"random.torch": learner.generator.get_state()}
    for name, network in learner.networks.items():
        for key, value in network.state_dict().items():
            tensors[f"network.{name}.{key}"] = value
    for name, optimiser in learner.optimisers.items():
        for index, state in optimiser.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"optimiser.{name}.{index}.{key}"] = value
    metadata = {
        "stage": learner.stage,
        "iteration": str(iteration),
        "recipe": json.dumps(learner.recipe.as_dict()),
        "sampler": json.dumps(sampler.rng.bit_generator.state),
    }
    contiguous = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
    write_atomically(save(contiguous, metadata), path)


def load_checkpoint(learner: Learner, sampler: Sampler, path: Path) -> int:
    """Put a checkpoint's state back; returns its iteration. Nothing is unpickled.

    Raises
    ------
    InputError
        `bad_checkpoint` where the file is damaged, or is no checkpoint of this learner.
    """
    try:
        return _put_back(learner, sampler, load_file(path), read_metadata(path))
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise InputError(
            "bad_checkpoint", f"{path} cannot be opened as a checkpoint: delete it to start anew"
        ) from error


def _put_back(
    learner: Learner, sampler: Sampler, tensors: dict[str, Tensor], metadata: dict[str, str]
) -> int:
    learner.generator.set_state(tensors["random.torch"])
    for name, network in learner.networks.items():
        prefix = f"network.{name}."
        network.load_state_dict(
            {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        )
    for name, optimiser in learner.optimisers.items():
        prefix = f"optimiser.{name}."
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith(prefix):
                index, what = key.removeprefix(prefix).split(".", 1)
                state.setdefault(int(index), {})[what] = value
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": state, "param_groups": groups})
    sampler.rng.bit_generator.state = json.loads(metadata["sampler"])
    return int(metadata["iteration"])


def read_metadata(path: Path) -> dict[str, str]:
    """The text that stands at the head of a safetensors file."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})
