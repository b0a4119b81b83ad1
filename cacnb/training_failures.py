"""Trainings that go wrong, each by its name, from the numbers of a run; no network, no file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

#: A step's loss terms, or what a look at the validation slices gave, by name.
Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Failure:
    """One way to go wrong: what it means and what to try, each as half a sentence."""

    name: str
    means: str
    advice: str

    def at(self, iteration: int) -> str:
        """The failure as a sentence for people.

        Example
        -------
        >>> FAILURES["empty_map"].at(400)[:37]
        'empty map at iteration 400: the map o'
        """
        return (
            f"{self.name.replace('_', ' ')} at iteration {iteration}: {self.means}; {self.advice}"
        )


FAILURES = {
    failure.name: failure
    for failure in (
        Failure(
            "not_finite", "a loss term is no number, the training stops",
            "resume from the last checkpoint with a smaller learning rate",
        ),
        Failure(
            "empty_map", "the map of slices with CAC is empty, nothing would be found",
            "lower sparsity_weight (β) and identity_weight (α), or check that the slices with "
            "label CAC show any",
        ),
        Failure(
            "copied_map", "the map copies the image, what is left of the slice is black",
            "raise sparsity_weight (β) and identity_weight (α), or check that the slices without "
            "CAC show hearts and that calcium/ holds calcium alone",
        ),
        Failure(
            "full_map", "the map covers nearly every voxel of the slice",
            "raise sparsity_weight (β), lower the learning rate, or start from an almost empty map "
            "(map_start)",
        ),
        Failure(
            "critic_won", "a critic tells every synthetic slice, the generators learn nothing more",
            "lower critic_rate, or choose adversarial = least_squares",
        ),
        Failure(
            "unmoved_loss", "no loss term has moved since the start",
            "raise the learning rate if it is tiny, lower it if it is large",
        ),
    )
}  # fmt: skip

#: A failure of the map or the critics is one when this many looks in a row show it: a GAN may lose
#: its balance for a moment and find it again, and a map may fade before its first lesions.
LOOKS_IN_A_ROW = 6

#: Iterations from one look at the validation slices to the next.
LOOK_EVERY = 50

#: Less of the voxels of slices with CAC than this above `MAP_HU` is an empty map: a lesion of four
#: voxels in twenty slices of the paper's size is 4e-6.
EMPTY_SHARE = 2e-6
MAP_HU = 10.0

#: More of them is a map that covers the slice; all lesions of a heart cover less than 2 %.
FULL_SHARE = 0.9

#: A copy: correlated with the image at least so, and at least this part of the image's grey.
COPY_CORRELATION = 0.7
COPY_AMOUNT = 0.4

#: A critic's output for a real image minus that for a synthetic one, 0 … 1, when it has won.
WON_BY = 0.8

#: More than this of the map of `LOOKS_IN_A_ROW` looks ago is a map that does not shrink, as the
#: paper's has to, which starts at 500 HU everywhere.
SHRUNK_TO = 0.8

#: Steps at the start and at the end of which the losses are compared, and where a run learns fast;
#: how many standard deviations of the rank sum lie between terms that have moved.
LOSS_STEPS = 100
FIRST_STEPS = 20
MOVED_BY = 4.0


def not_finite(losses: Numbers) -> bool:
    """Whether a step has a loss term that is no number.

    Example
    -------
    >>> not_finite({"cycle": 0.1}), not_finite({"cycle": float("nan")})
    (False, True)
    """
    return not all(math.isfinite(value) for value in losses.values())


def empty_map(look: Numbers) -> bool:
    """Whether the map of slices with CAC shows nothing."""
    return look["map_share"] < EMPTY_SHARE


def full_map(look: Numbers) -> bool:
    """Whether the map covers slices with CAC from edge to edge, with something else than them."""
    return look["map_share"] > FULL_SHARE and not copied_map(look)


def copied_map(look: Numbers) -> bool:
    """Whether the map is the image over again, or a good part of it."""
    return look["map_of_image"] > COPY_AMOUNT and look["map_correlation"] > COPY_CORRELATION


def critic_won(look: Numbers) -> bool:
    """Whether one of the critics that there are is sure of every image."""
    return any(
        look[f"critic_{domain}_real"] - look[f"critic_{domain}_synthetic"] > WON_BY
        for domain in ("cac", "no_cac")
        if f"critic_{domain}_real" in look
    )


def unmoved_loss(first: Sequence[Numbers], last: Sequence[Numbers]) -> bool:
    """Whether no loss term has moved from the first `LOSS_STEPS` steps to the last ones.

    False until there are `LOSS_STEPS` of both. Slices are drawn anew for each step, so that a term
    varies where nothing is learned: its values are compared by the rank-sum test of Mann and
    Whitney, which the large losses of the first steps do not upset.

    Example
    -------
    >>> steps = [{"cycle": 0.1 + 0.01 * (i % 7)} for i in range(300)]
    >>> unmoved_loss(steps[:100], steps[-100:])
    True
    >>> unmoved_loss(steps[:100], [{"cycle": 0.5 * step["cycle"]} for step in steps[-100:]])
    False
    """
    if min(len(first), len(last)) < LOSS_STEPS:
        return False
    names = set(first[0]) & set(last[-1])
    return bool(names) and not any(
        _moved([step[name] for step in early if name in step], [s[name] for s in last if name in s])
        for name in names
        for early in (first[:FIRST_STEPS], first)
    )


def _moved(first: Sequence[float], last: Sequence[float]) -> bool:
    """Whether the rank sums of two samples lie further apart than by chance."""
    n, m = len(first), len(last)
    above = np.subtract.outer(np.asarray(first, float), np.asarray(last, float))
    apart = abs(float(np.sign(above).sum())) / 2
    return apart > MOVED_BY * math.sqrt(n * m * (n + m + 1) / 12)


#: What a look at the validation slices can show.
OF_A_LOOK = {
    "empty_map": empty_map, "copied_map": copied_map, "full_map": full_map,
    "critic_won": critic_won,
}  # fmt: skip


def failures_now(
    first: Sequence[Numbers], last: Sequence[Numbers], looks: Sequence[Numbers]
) -> tuple[str, ...]:
    """Names of the failures that hold at a run's latest step.

    Parameters
    ----------
    first, last
        Loss terms of the run's first `LOSS_STEPS` steps, and of as many of the latest after them.
    looks
        Numbers of the latest looks at the validation slices; empty where a stage has none.
    """
    latest = last or first
    if latest and not_finite(latest[-1]):
        return ("not_finite",)
    recent = looks[-LOOKS_IN_A_ROW:]
    found = [
        name
        for name, shows in OF_A_LOOK.items()
        if len(recent) == LOOKS_IN_A_ROW and all(map(shows, recent))
    ]
    if "full_map" in found and recent[-1]["map_mean_hu"] < SHRUNK_TO * recent[0]["map_mean_hu"]:
        found.remove("full_map")
    if unmoved_loss(first, last):
        found.append("unmoved_loss")
    return tuple(found)
