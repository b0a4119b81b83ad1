"""Where repeat limits come from: a weights' card, a table, a scored study; it judges no change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cacnb.agree import read_pairs
from cacnb.change.scored_side import SCORES, ScoredSide, require_alike, result_in
from cacnb.errors import InputError, UsageError
from cacnb.study.bland_altman import Model
from cacnb.study.cohort import read_cohort
from cacnb.study.repeat import RepeatStudy, learn_repeat

if TYPE_CHECKING:
    from cacnb.learning.weights import Weights


def limits_of_card(
    weights: Weights, sides: Sequence[ScoredSide], asked: Sequence[str]
) -> tuple[dict[str, RepeatStudy], list[str]]:
    """The limits under `repeat` in the weights' card, and a sentence for each score without any.

    Raises
    ------
    InputError
        `no_repeat_limits`, `bad_limits`, `not_comparable`.
    """
    name = f"the weights {weights.name!r}"
    told = weights.card.get("repeat") or {}
    known = {key: told[SCORES[key].card] for key in asked if SCORES[key].card in told}
    if not known:
        raise InputError(
            "no_repeat_limits",
            f"{name} come without repeat limits of {' or '.join(asked)}: give --repeat STUDY, a "
            "scored study of scan pairs, or --repeat PAIRS.csv --first COLUMN --second COLUMN",
        )
    own = ScoredSide(name, {}, weights={"name": weights.name, "sha256": weights.sha256})
    require_alike(sides[0], own, "the packaged repeat study")
    left_out = [
        f"{SCORES[key].label}: {name} come without its repeat limits."
        for key in asked
        if key not in known
    ]
    return {key: RepeatStudy.from_card(card, name) for key, card in known.items()}, left_out


def limits_of_table(
    table: Path,
    first: str | None,
    second: str | None,
    asked: Sequence[str],
    simulated: bool,
    model: Model,
) -> dict[str, RepeatStudy]:
    """The limits of two columns of a CSV file, one row a patient.

    Raises
    ------
    UsageError, InputError
        As `cacnb.agree.read_pairs` and `learn_repeat`; also where no column or score is named.
    """
    if first is None or second is None:
        raise UsageError(
            f"{table} is a table: name the columns of both scans, --first and --second"
        )
    if len(asked) != 1:
        raise UsageError(
            f"{table} tells one score of each scan: say which, --score {' or '.join(asked)}"
        )
    one, two, _ = read_pairs(table, first, second)
    return {asked[0]: learn_repeat(one, two, name=table.name, simulated=simulated, model=model)}


def limits_of_study(
    study: Path, sides: Sequence[ScoredSide], asked: Sequence[str], model: Model
) -> tuple[dict[str, RepeatStudy], list[str]]:
    """The limits of a scored study's scan pairs, and a sentence for each score that has none.

    Only results on disk are read: nothing is scored, and no reader's clinical labels count.

    Raises
    ------
    InputError
        `no_study`, `no_pairs`, `no_scores`, `not_comparable`, `too_few`.
    """
    cohort = read_cohort(study)
    if "pair" not in cohort:
        raise InputError(
            "no_pairs", f"{study}/cohort.csv has no column `pair`: no scan is a rescan"
        )
    scored = {}
    for scan in cohort["scan"]:
        found = result_in(study / "scores" / f"{scan}.json")
        if found is not None and "proposed" in found:
            scored[scan] = found
            require_alike(sides[0], _made_with(study, found), "the repeat study")
    pairs = [
        [scored[scan] for scan in scans]
        for _, scans in cohort[cohort["scan"].isin(scored.keys())].groupby("pair")["scan"]
        if len(scans) == 2
    ]
    if not pairs:
        raise InputError(
            "no_scores",
            f"{study} has no pair of scored scans: run `cacnb score --study {study}` first",
        )
    simulated = (study / "truth_scans.csv").is_file()
    studies, left_out = {}, []
    for key in asked:
        kind = SCORES[key]
        values = [[scan.get(kind.method, {}).get(kind.field) for scan in pair] for pair in pairs]
        table = np.array(values, dtype=np.float64)
        table = table[np.isfinite(table).all(axis=1)]
        try:
            studies[key] = learn_repeat(*table.T, name=study.name, simulated=simulated, model=model)
        except InputError as error:
            if error.code != "too_few" or len(asked) == 1:
                raise
            left_out.append(f"{kind.label}: {error.message}.")
    if not studies:
        raise InputError("too_few", f"{study} is too small for repeat limits: {left_out[0]}")
    return studies, left_out


def _made_with(study: Path, found: Mapping[str, Any]) -> ScoredSide:
    return ScoredSide(
        str(study),
        {},
        weights=found.get("weights"),
        convention=found.get("clinical", {}).get("convention"),
    )
