"""Which networks of a run are worth keeping, and which one validation chooses; no training."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cacnb.errors import InputError
from cacnb.files import write_atomically
from cacnb.learning.checkpoint import save_network
from cacnb.learning.learner import Learner
from cacnb.run_log import VALIDATION, JsonLines

#: Folder of a run with the networks that are kept, and the file that says which one is chosen.
KEPT, CHOICE = "kept", "choice.json"

#: Networks whose F1 differs by less are as good as each other.
F1_SLACK = 0.02

RULE = (
    f"F1 of validation slices within {F1_SLACK} of the best, then the smallest relative difference "
    "of scan and rescan, then the higher F1, then the later iteration"
)


@dataclass(frozen=True)
class Candidate:
    """A network as validation saw it: `relative_difference` is None without a pair to tell it."""

    iteration: int
    f1: float
    relative_difference: float | None = None
    slices: int = 0
    simulated_slices: int = 0

    @property
    def difference(self) -> float:
        """The relative difference; where there is none, worse than any."""
        return math.inf if self.relative_difference is None else self.relative_difference


def chosen(candidates: Sequence[Candidate]) -> Candidate:
    """The candidate to take, by `RULE`.

    Example
    -------
    >>> told = [Candidate(1, 0.80, 0.2), Candidate(2, 0.90, 0.5), Candidate(3, 0.89, 0.4)]
    >>> chosen(told).iteration
    3
    """
    best = max(candidate.f1 for candidate in candidates)
    good = [candidate for candidate in candidates if candidate.f1 >= best - F1_SLACK]
    return min(good, key=lambda c: (c.difference, -c.f1, -c.iteration))


def worth_keeping(candidates: Sequence[Candidate], most: int) -> list[Candidate]:
    """At most so many candidates: the newest, those that may yet be chosen, then the next best.

    The best F1 can only rise, so one below its slack is never chosen again, nor one that another
    beats in both figures.

    Example
    -------
    >>> told = [Candidate(1, 0.90, 0.5), Candidate(2, 0.80, 0.1), Candidate(3, 0.91, 0.6),
    ...         Candidate(4, 0.70, 0.7)]
    >>> [c.iteration for c in worth_keeping(told, 3)]
    [1, 3, 4]
    """
    left, ranked = list(candidates), []
    while left:
        ranked.append(chosen(left))
        left.remove(ranked[-1])
    best = max(candidate.f1 for candidate in ranked)
    hopeful = [
        c for c in ranked if c.f1 >= best - F1_SLACK and not any(_beats(o, c) for o in ranked)
    ]
    newest = max(ranked, key=lambda c: c.iteration)
    kept = list(dict.fromkeys([newest, *hopeful, *ranked]))[:most]
    return sorted(kept, key=lambda c: c.iteration)


def _beats(one: Candidate, other: Candidate) -> bool:
    """Whether one is at least as good in both figures and better in one of them."""
    return (one.f1 >= other.f1 and one.difference <= other.difference) and (
        one.f1 > other.f1 or one.difference < other.difference
    )


def kept_file(run: Path, iteration: int) -> Path:
    """Where a run keeps its network of an iteration; names sort by iteration."""
    return run / KEPT / f"{iteration:08d}.safetensors"


def keep_network(learner: Learner, iteration: int, run: Path, most: int) -> None:
    """Keep the trained network of an iteration that was validated; of all at most so many.

    An iteration without an F1 in `validation.jsonl` is not kept.
    """
    if not any(candidate.iteration == iteration for candidate in candidates_of(run)):
        return
    save_network(learner, iteration, kept_file(run, iteration))
    choose_kept(run, most)


def forget_after(reached: int, run: Path) -> None:
    """Drop the networks kept after a checkpoint: they will be trained again."""
    for path in (run / KEPT).glob("[0-9]*.safetensors"):
        if int(path.stem) > reached:
            path.unlink()


def choose_kept(run: Path, most: int) -> Candidate | None:
    """Drop all but the networks worth keeping and write the choice down; None without any."""
    held = {int(path.stem): path for path in (run / KEPT).glob("[0-9]*.safetensors")}
    validated = candidates_of(run)
    candidates = [candidate for candidate in validated if candidate.iteration in held]
    if not candidates:
        return None
    kept = worth_keeping(candidates, most)
    taken = chosen(kept)
    rows = [{**asdict(c), "kept": c in kept} for c in validated]
    choice = {**asdict(taken), "rule": RULE, "candidates": rows}
    write_atomically(json.dumps(choice, indent=2, allow_nan=False) + "\n", run / CHOICE)
    for iteration in held.keys() - {candidate.iteration for candidate in kept}:
        held[iteration].unlink()
    return taken


def candidates_of(run: Path) -> list[Candidate]:
    """Every iteration that a run's `validation.jsonl` tells an F1 of, in order."""
    file, rows = JsonLines(run / VALIDATION), []
    while more := file.more()[1]:
        rows += more
    return [
        Candidate(
            row["iteration"], row["f1"], row.get("relative_difference"),
            int(row.get("slices", 0)), int(row.get("simulated_slices", 0)),
        )
        for row in rows if isinstance(row.get("f1"), int | float)
    ]  # fmt: skip


def chosen_file(run: Path) -> Path:
    """The network that validation chose in a run.

    Raises
    ------
    InputError
        `no_choice` where the run keeps none.
    """
    try:
        path = kept_file(run, int(json.loads((run / CHOICE).read_text("utf-8"))["iteration"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "no_choice",
            f"{run} holds no {CHOICE}: only a decomposition trained with validation chooses; take "
            "its last checkpoint",
        ) from error
    if not path.is_file():
        raise InputError("no_choice", f"{path} is not there: take the last checkpoint")
    return path
