"""In which order scans are read: seeded, with hidden repeats; it knows no reader's answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cacnb.errors import UsageError


@dataclass(frozen=True)
class Task:
    """One scan to read; `reading` is 2 and up where the same reader meets it again."""

    scan: str
    reading: int = 1


@dataclass(frozen=True)
class QueuePlan:
    """How a queue is ordered; said with each label, because order biases.

    Parameters
    ----------
    seed
        Of the random order; another reader gets another order of the same seed.
    repeats
        Share (0 to 0.5) of the scans that come back once, unannounced, for intra-reader κ.
    least_sure_first
        Whether the classifier's least sure scans come first. It biases: off by default.
    """

    seed: int = 0
    repeats: float = 0.0
    least_sure_first: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.repeats <= 0.5:
            raise UsageError(f"the share of repeats is {self.repeats}: ask for 0 to 0.5")

    def __str__(self) -> str:
        order = "least sure first" if self.least_sure_first else "random"
        return f"{order}, seed {self.seed}, repeats {self.repeats:g}"


def queue_of(
    scans: Sequence[str],
    reader: str,
    plan: QueuePlan,
    uncertainty: Mapping[str, float] | None = None,
) -> tuple[Task, ...]:
    """The tasks of one reader, the same for the same scans, reader and plan.

    What is repeated comes from the first half of the queue, and again at least half the queue
    later, so that it is not remembered.

    Parameters
    ----------
    scans
        Names of the scans to read.
    uncertainty
        How unsure the classifier is of each scan, 0 to 1; needed by `least_sure_first`, and a scan
        without a number comes last.

    Raises
    ------
    UsageError
        Where the least sure scans were asked for and no scan has a number.

    Example
    -------
    >>> queue = queue_of(["a", "b", "c", "d"], "reader 1", QueuePlan(seed=7, repeats=0.25))
    >>> len(queue), sorted(task.scan for task in queue if task.reading == 1)
    (5, ['a', 'b', 'c', 'd'])
    """
    words = f"{plan.seed}/{reader}".encode()
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(words).digest()[:8], "big"))
    order = [sorted(scans)[i] for i in rng.permutation(len(scans))]
    if plan.least_sure_first:
        if not uncertainty:
            raise UsageError(
                "the least sure scans were to come first and no scan is scored: "
                "run `cacnb run --study DIR` first"
            )
        order.sort(key=lambda scan: -uncertainty.get(scan, -1.0))
    queue = [Task(scan) for scan in order]
    half = len(order) // 2
    for place in rng.choice(half, min(half, round(plan.repeats * len(order))), replace=False):
        earliest = queue.index(Task(order[place])) + 1 + half
        queue.insert(int(rng.integers(earliest, len(queue) + 1)), Task(order[place], 2))
    return tuple(queue)
