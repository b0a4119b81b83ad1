"""A study's scans, scored until each has a result or a reason; it does not know where they run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cacnb.errors import InputError, UsageError
from cacnb.learning.weights import load_weights, weights_folder
from cacnb.results import named_scans
from cacnb.running.engines import Engine, Here
from cacnb.running.on_dask import run_on_dask
from cacnb.running.scan_files import (
    Outcome,
    find_failure,
    find_result,
    forget,
    sweep,
    write_failure,
)
from cacnb.running.scan_task import Halt, ScanTask, run_task
from cacnb.running.score_tables import write_tables


@dataclass(frozen=True)
class RunPlan:
    """What is there of a study's scores, and what is to be scored.

    Parameters
    ----------
    folder
        Where results and tables go: `scores` in the study.
    weights_sha256
        Of the weights that all results are to be made by.
    scans
        Names of the scans, in the order of `cohort.csv`.
    ended
        How the scans ended that need not be scored again.
    tasks
        The others.
    other_weights, damaged, retried
        Those among them that have a result or a failure, and why it does not stay.
    is_shard
        Whether the plan is of some of a study's scans: then no tables are written.
    """

    folder: Path
    weights_sha256: str
    scans: tuple[str, ...]
    ended: dict[str, Outcome]
    tasks: tuple[ScanTask, ...]
    other_weights: tuple[str, ...]
    damaged: tuple[str, ...]
    retried: tuple[str, ...]
    is_shard: bool


@dataclass(frozen=True)
class Step:
    """One scan more has ended; `is_new` where it was scored now."""

    done: int
    of: int
    outcome: Outcome
    is_new: bool


def shard_of(scans: list[Any], shard: str) -> list[Any]:
    """The i-th of n parts of a list, of a shard written as `i/n`: every n-th element.

    Raises
    ------
    UsageError
        Where it is not 1 ≤ i ≤ n.

    Example
    -------
    >>> shard_of(["a", "b", "c", "d", "e"], "2/3")
    ['b', 'e']
    """
    part, slash, of = shard.partition("/")
    if not (slash and part.isdecimal() and of.isdecimal() and 1 <= int(part) <= int(of)):
        raise UsageError(f"the shard is {shard!r}, i/n with i from 1 to n was wanted, such as 3/50")
    return scans[int(part) - 1 :: int(of)]


def plan_run(
    study: Path,
    *,
    weights: str = "demo",
    device: str = "cpu",
    retry: bool = False,
    shard: str | None = None,
) -> RunPlan:
    """Look at what is scored already; a whole result of the same weights stays. It writes nothing.

    Parameters
    ----------
    weights
        Packaged name or folder.
    retry
        Score refused and failed scans again.
    shard
        `i/n`: only every n-th scan, for the i-th of n processes.

    Raises
    ------
    InputError
        `no_study`, `doubled_scan`, or what the weights are refused for.
    UsageError
        Where the shard is none.
    """
    named = named_scans([], study.resolve())
    doubled = [name for name, times in Counter(name for name, _ in named).items() if times > 1]
    if doubled:
        raise InputError(
            "doubled_scan",
            f"{study / 'cohort.csv'} names {len(doubled)} scans more than once, such as "
            f"{doubled[0]!r}, and their results would replace each other: give each its own name",
        )
    if shard is not None:
        named = shard_of(named, shard)
    place, folder = weights_folder(weights).resolve(), study.resolve() / "scores"
    sha256 = load_weights(str(place)).sha256
    ended: dict[str, Outcome] = {}
    again: dict[str, list[str]] = {"other_weights": [], "damaged": [], "retried": []}
    tasks = []
    for name, path in named:
        found = find_result(folder, name, sha256)
        if found.state == "whole":
            ending: Outcome | None = found.outcome(name)
        else:
            ending = find_failure(folder, name, sha256)
        if ending is not None and (ending.is_scored or not retry):
            ended[name] = ending
            continue
        tasks.append(ScanTask(name, path, folder, str(place), sha256, device))
        if ending is not None:
            again["retried"].append(name)
        elif found.state != "none":
            again[found.state].append(name)
    return RunPlan(
        folder=folder,
        weights_sha256=sha256,
        scans=tuple(name for name, _ in named),
        ended=ended,
        tasks=tuple(tasks),
        is_shard=shard is not None,
        **{why: tuple(scans) for why, scans in again.items()},
    )


def run_study(
    plan: RunPlan,
    engine: Engine,
    announce: Callable[[str], None] = lambda _message: None,
) -> Iterator[Step]:
    r"""Score what a plan leaves to score, tell each scan that ended, then write the tables.

    A call that is stopped keeps what was finished: plan again and go on. With `Local` this starts
    processes, so a script needs its `if __name__ == "__main__":`.

    Parameters
    ----------
    engine
        Where the scans are scored.
    announce
        Is told what a person may want to know meanwhile, such as where the dashboard is.

    Raises
    ------
    InputError
        Where no scan can be scored: `no_device`, `cannot_write`, `weights_changed`, `no_workers` …

    Example
    -------
    >>> from cacnb.running.engines import Here
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = Path(folder)
    ...     _ = (study / "cohort.csv").write_text("scan,patient,pair,path\ns1,p1,,s1.nii.gz\n")
    ...     [step.outcome.code for step in run_study(plan_run(study), Here())]
    ['empty']
    """
    outcomes = dict(plan.ended)
    for done, earlier in enumerate(plan.ended.values(), start=1):
        yield Step(done, len(plan.scans), earlier, is_new=False)
    for scan in plan.retried:
        forget(plan.folder, scan)
    with closing(_outcomes(plan, engine, announce)) as ended:
        for outcome in ended:
            if isinstance(outcome, Halt):
                raise InputError(outcome.code, outcome.message)
            if outcome.ending == "failed":
                forget(plan.folder, outcome.scan)
                write_failure(plan.folder, outcome, plan.weights_sha256)
            outcomes[outcome.scan] = outcome
            yield Step(len(outcomes), len(plan.scans), outcome, is_new=True)
    if not plan.is_shard:
        write_tables(plan.folder, [outcomes[scan] for scan in plan.scans], plan.weights_sha256)


def _outcomes(
    plan: RunPlan, engine: Engine, announce: Callable[[str], None]
) -> Generator[Outcome | Halt, None, None]:
    """The outcomes of a plan's tasks as they come; in the end no part of a file is left."""
    tasks = [replace(task, threads=engine.threads) for task in plan.tasks]
    if not tasks:
        return
    try:
        if isinstance(engine, Here):
            yield from map(run_task, tasks)
        else:
            yield from run_on_dask(tasks, engine, plan.folder, announce)
    finally:
        sweep(plan.folder, (task.scan for task in tasks))
