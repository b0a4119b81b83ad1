"""A region on one slice as run-length text, there and back; it does not know who drew it or why."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from cacnb.errors import InputError

_RUNS = re.compile(r"(?:\d{1,9}:\d{1,9}(?: \d{1,9}:\d{1,9})*)?", re.ASCII)


def encode_runs(mask: NDArray[np.bool_]) -> str:
    """A (y, x) mask as `start:length start:length …`, pixels counted row by row from 0.

    A run goes on over the end of a row; no two of them touch, so that equal masks are equal texts.
    The empty mask is the empty text.

    Example
    -------
    >>> encode_runs(np.array([[False, True, True], [True, False, True]]))
    '1:3 5:1'
    """
    flat = np.concatenate([[False], mask.ravel(), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return " ".join(
        f"{start}:{end - start}" for start, end in zip(edges[::2], edges[1::2], strict=True)
    )


def decode_runs(text: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The (y, x) mask that a run-length text describes.

    Raises
    ------
    InputError
        `bad_runs` where the text is malformed, a run is empty, lies before the end of the one
        before it, or reaches past the last pixel.

    Example
    -------
    >>> decode_runs("1:3 5:1", (2, 3)).astype(int).tolist()
    [[0, 1, 1], [1, 0, 1]]
    """
    if _RUNS.fullmatch(text) is None:
        raise InputError(
            "bad_runs",
            "a region is no run-length text, `start:length start:length …` was wanted: "
            "take it from the label store again",
        )
    runs = np.array([run.split(":") for run in text.split()], dtype=np.int64).reshape(-1, 2)
    starts, ends = runs[:, 0], runs.sum(axis=1)
    height, width = shape
    if (ends <= starts).any() or (starts[1:] < ends[:-1]).any() or (ends > height * width).any():
        raise InputError(
            "bad_runs",
            f"a region's runs are empty, overlap or end at pixel {int(ends.max())}, rising ones "
            f"within the {height} × {width} pixels of a slice were wanted: check that the labels "
            "belong to this scan",
        )
    change = np.zeros(height * width + 1, dtype=np.int8)
    change[starts] = 1
    change[ends] -= 1  # 0 where the next run begins at once
    return np.cumsum(change[:-1], dtype=np.int8).astype(np.bool_).reshape(shape)
