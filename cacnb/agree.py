"""Agreement of any two columns of paired scores in a CSV file; it scores nothing itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cacnb.errors import InputError, UsageError
from cacnb.scoring.risk import RISK_CATEGORIES, risk_category
from cacnb.study.agreement import (
    bootstrap_interval,
    icc,
    icc_value,
    relative_difference,
    relative_difference_interval,
    weighted_kappa,
)
from cacnb.study.bland_altman import LEAST_PAIRS, bland_altman


def agree(table: Path, first: str, second: str) -> dict[str, Any]:
    """The object that `cacnb agree --json` prints, from two columns of a CSV file.

    Rows in which either score is missing are left out and counted. A statistic that these scores do
    not have (no spread, no pair with calcium) is None.

    Raises
    ------
    UsageError
        Where the file or a column is not there.
    InputError
        `not_a_table`, `not_a_score` for a score that is negative or no number, `too_few` below
        three pairs.
    """
    one, two, missing = _read_pairs(table, first, second)
    found = relative_difference(one, two)
    limits = bland_altman(one, two)
    ratings = np.stack([one, two], axis=1)
    return {
        "first": first,
        "second": second,
        "n_pairs": found.n_pairs,
        "n_missing": missing,
        "n_both_positive": found.n_both_positive,
        "n_discordant": found.n_discordant,
        "relative_difference": {
            "any_positive": found.any_positive,
            "any_positive_ci95": _difference_interval(one, two, both=False),
            "both_positive": found.both_positive,
            "both_positive_ci95": _difference_interval(one, two, both=True),
        },
        "icc": _icc(ratings),
        "bland_altman": {
            "bias": limits.bias,
            "sd": limits.sd,
            "limits": list(limits.limits),
            "regression": {"intercept": limits.intercept, "slope": limits.slope},
        },
        "risk_category": _risk(one, two),
    }


def _read_pairs(
    path: Path, first: str, second: str
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], int]:
    if not path.is_file():
        raise UsageError(f"no file {path}: give a CSV file with one row a patient")
    try:
        table = pd.read_csv(path, dtype=str)
    except (ValueError, OSError) as error:  # what pandas raises for an empty or binary file
        raise InputError(
            "not_a_table", f"{path} is no CSV table: save it as CSV in UTF-8"
        ) from error
    for column in (first, second):
        if column not in table.columns:
            known = ", ".join(str(name) for name in table.columns)
            raise UsageError(f"{path} has no column {column!r}: it has {known}")
    given = table[[first, second]].dropna()
    numbers = given.apply(pd.to_numeric, errors="coerce")
    wrong = numbers.isna() | (numbers < 0) | ~np.isfinite(numbers)
    if wrong.to_numpy().any():
        row = int(np.flatnonzero(wrong.any(axis=1))[0])
        column = first if bool(wrong.iloc[row][first]) else second
        raise InputError(
            "not_a_score",
            f"row {int(given.index[row]) + 2} of {path}, column {column!r}: a number of 0 or more "
            f"was wanted; correct it or leave it empty ({int(wrong.to_numpy().sum())} such)",
        )
    if len(numbers) < LEAST_PAIRS:
        raise InputError(
            "too_few",
            f"{path} has {len(numbers)} complete pairs, {LEAST_PAIRS} or more are needed",
        )
    missing = len(table) - len(numbers)
    return numbers[first].to_numpy(float), numbers[second].to_numpy(float), missing


def _difference_interval(
    one: np.ndarray[Any, Any], two: np.ndarray[Any, Any], *, both: bool
) -> list[float] | None:
    counts = (one > 0) & (two > 0) if both else (one > 0) | (two > 0)
    if counts.sum() < LEAST_PAIRS:
        return None
    return list(relative_difference_interval(one, two, both_positive=both))


def _icc(ratings: np.ndarray[Any, Any]) -> dict[str, Any]:
    """ICC(A,1) with the bootstrap interval over patients, and the F-based one beside it."""
    if np.ptp(ratings) == 0:
        return {"value": None, "ci95": None, "ci95_f": None, "value_log1p": None}
    found = icc(ratings)
    return {
        "value": found.value,
        "ci95": list(bootstrap_interval(icc_value, ratings)),
        "ci95_f": list(found.ci95),
        "value_log1p": icc_value(np.log1p(ratings)),
    }


def _risk(one: np.ndarray[Any, Any], two: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Risk categories, with the scores taken as Agatston scores."""
    first, second = ([risk_category(score) for score in scores] for scores in (one, two))
    if len({*first, *second}) == 1:
        return {"kappa_linear": None, "ci95": None, "accuracy": 1.0}
    found = weighted_kappa(first, second, RISK_CATEGORIES)
    return {
        "kappa_linear": found.value, "ci95": list(found.ci95), "accuracy": found.accuracy,
    }  # fmt: skip
