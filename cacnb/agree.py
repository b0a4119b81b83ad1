"""Agreement of any two columns of paired scores in a CSV file; it scores nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from cacnb.errors import InputError, UsageError
from cacnb.scoring.risk import RISK_CATEGORIES, risk_category
from cacnb.study.bland_altman import LEAST_PAIRS, bland_altman
from cacnb.study.concordance import concordance, concordance_interval
from cacnb.study.detection import wilson_interval
from cacnb.study.intraclass import icc, icc_interval, icc_log1p, log1p
from cacnb.study.kappa import category_cells, weighted_kappa
from cacnb.study.relative_difference import relative_difference, relative_difference_interval
from cacnb.study.repeatability import repeatability
from cacnb.study.resampling import Floats, Kind

Found = TypeVar("Found")

#: More pairs than this get the plain percentile interval of ICC and CCC: to calibrate it takes
#: twenty times as long, and minutes there.
CALIBRATED_PAIRS = 10_000

#: What may stand between the cells of a table; a semicolon comes with decimal commas.
SEPARATORS = (",", ";", "\t")


def agree(table: Path, first: str, second: str) -> dict[str, Any]:
    """The object that `cacnb agree --json` prints, from two columns of a CSV file.

    Rows in which either score is missing are left out and counted. A statistic that these scores do
    not have (no spread, too few pairs with calcium) is None. Intervals named `ci95` are the ones to
    trust: bootstrapped over patients for skewed scores, `ci95_f` and `ci95_z` as others print them.

    Parameters
    ----------
    table
        CSV file with a header and one row a patient; semicolons or tabs will do, too.
    first, second
        Its two columns of scores ≥ 0, in one unit.

    Raises
    ------
    UsageError
        Where the file or a column is not there, or one column is named twice.
    InputError
        `not_a_table`, `not_a_score` for a score that is negative or no number, `too_few` below
        three pairs.
    """
    one, two, missing = read_pairs(table, first, second)
    return {"first": first, "second": second, "n_missing": missing, **agreement(one, two)}


def agreement(one: Floats, two: Floats) -> dict[str, Any]:
    """Every agreement statistic of paired scores as one plain object, as in `agree`.

    Parameters
    ----------
    one, two
        (n,) scores ≥ 0 of the same patients, in one unit; as risk categories they are taken for
        Agatston scores.

    Raises
    ------
    InputError
        `unequal_length`, `not_a_score`, `too_few` below three pairs.

    Example
    -------
    >>> found = agreement(np.array([0, 10, 0, 120]), np.array([0, 30, 5, 90]))
    >>> found["n_pairs"], found["n_both_positive"], found["n_discordant"]
    (4, 2, 1)
    >>> found["calls"]
    {'both': 2, 'first_only': 0, 'second_only': 1, 'neither': 1}
    """
    limits, repeated = bland_altman(one, two), repeatability(one, two)
    kind: Kind = "calibrated" if one.size <= CALIBRATED_PAIRS else "percentile"
    differences = relative_difference(one, two)
    first_only = int(((one > 0) & (two == 0)).sum())
    return {
        "n_pairs": differences.n_pairs,
        "n_any_positive": differences.n_any_positive,
        "n_both_positive": differences.n_both_positive,
        "n_discordant": differences.n_discordant,
        "calls": {
            "both": differences.n_both_positive,
            "first_only": first_only,
            "second_only": differences.n_discordant - first_only,
            "neither": differences.n_pairs - differences.n_any_positive,
        },
        "relative_difference": {
            "all_pairs": differences.all_pairs,
            "any_positive": differences.any_positive,
            "any_positive_ci95": _known(lambda: relative_difference_interval(one, two)),
            "both_positive": differences.both_positive,
            "both_positive_ci95": _known(
                lambda: relative_difference_interval(one, two, both_positive=True)
            ),
        },
        "icc": _icc(np.stack([one, two], axis=1), kind),
        "ccc": _ccc(one, two, kind),
        "bland_altman": {
            "bias": limits.bias,
            "bias_ci95": limits.bias_ci95,
            "sd": limits.sd,
            "limits": limits.limits,
            "limits_ci95": limits.limits_ci95,
            "model": limits.model,
            "regression": {"intercept": limits.intercept, "slope": limits.slope},
        },
        "repeatability": {
            "coefficient": repeated.coefficient,
            "ci95": repeated.coefficient_ci95,
            "within_sd": repeated.within_sd,
            "within_cv": repeated.within_cv,
        },
        "risk_category": _risk(one, two),
    }


def read_pairs(path: Path, first: str, second: str) -> tuple[Floats, Floats, int]:
    """Both columns' scores in the rows that have both, and how many rows have not.

    Raises
    ------
    UsageError, InputError
        As `agree`.
    """
    if first == second:
        raise UsageError(f"column {first!r} was named twice: name two columns to compare")
    table, decimal = _read_table(path)
    for column in (first, second):
        if column not in table.columns:
            known = ", ".join(str(name) for name in table.columns)
            raise UsageError(f"{path} has no column {column!r}: it has {known}")
    given = table[[first, second]].dropna()
    plain = given.apply(lambda column: column.str.strip().str.replace(decimal, ".", regex=False))
    numbers = plain.apply(pd.to_numeric, errors="coerce")
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


def _read_table(path: Path) -> tuple[pd.DataFrame, str]:
    """The table as text, and its decimal sign."""
    if not path.is_file():
        raise UsageError(f"no file {path}: give a CSV file with one row a patient")
    try:
        with path.open(encoding="utf-8-sig") as lines:
            header = lines.readline()
        separator = max(SEPARATORS, key=header.count)
        table = pd.read_csv(
            path, sep=separator, dtype=str, encoding="utf-8-sig", skip_blank_lines=False
        )
    except (ValueError, OSError) as error:  # what pandas raises for an empty or binary file
        raise InputError(
            "not_a_table", f"{path} is no CSV table: save it as CSV in UTF-8"
        ) from error
    return table.dropna(how="all"), "," if separator == ";" else "."


def _known(statistic: Callable[[], Found]) -> Found | None:
    """A statistic, or None where these scores do not have it: too few that differ."""
    try:
        return statistic()
    except InputError as refusal:
        if refusal.code not in ("too_few", "no_spread"):
            raise
        return None


def _icc(ratings: Floats, kind: Kind) -> dict[str, Any]:
    """ICC(A,1) with the bootstrap interval over patients, and the F-based one beside it."""
    found = _known(lambda: icc(ratings))
    logs = log1p(ratings)
    return {
        "value": found and found.single,
        "ci95": _known(lambda: icc_interval(ratings, kind=kind)),
        "bootstrap": kind,
        "ci95_f": found and found.ci95_f,
        "average": found and found.average,
        "average_ci95_f": found and found.ci95_f_average,
        "log1p": {
            "value": icc_log1p(ratings),
            "ci95": _known(lambda: icc_interval(logs, kind=kind)),
        },
    }


def _ccc(one: Floats, two: Floats, kind: Kind) -> dict[str, Any]:
    """Lin's concordance with the bootstrap interval over patients, and his own beside it."""
    found = _known(lambda: concordance(one, two))
    return {
        "value": found and found.value,
        "ci95": _known(lambda: concordance_interval(one, two, kind=kind)),
        "ci95_z": found and found.ci95,
        "precision": found and found.precision,
        "accuracy": found and found.accuracy,
    }


def _risk(one: Floats, two: Floats) -> dict[str, Any]:
    """Risk categories, with the scores taken as Agatston scores."""
    first, second = ([risk_category(score) for score in scores] for scores in (one, two))
    size = len(RISK_CATEGORIES)
    cells = category_cells(first, second, RISK_CATEGORIES)
    table = np.bincount(cells, minlength=size**2).reshape(size, size)
    linear = _known(lambda: weighted_kappa(first, second, RISK_CATEGORIES))
    quadratic = _known(lambda: weighted_kappa(first, second, RISK_CATEGORIES, "quadratic"))
    return {
        "kappa_linear": linear and linear.value,
        "ci95": linear and linear.ci95,
        "kappa_quadratic": quadratic and quadratic.value,
        "kappa_quadratic_ci95": quadratic and quadratic.ci95,
        "accuracy": float(np.trace(table)) / len(cells),
        "accuracy_ci95": wilson_interval(int(np.trace(table)), len(cells)),
        "categories": list(RISK_CATEGORIES),
        "table": table.tolist(),
    }
