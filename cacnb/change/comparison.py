"""Has this patient's calcium changed? Two scans against a repeat study; it writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cacnb.change.repeat_limits import limits_of_card, limits_of_study, limits_of_table
from cacnb.change.scored_side import SCORES, ScoredSide, read_sides, require_alike, require_scores
from cacnb.errors import UsageError
from cacnb.study.bland_altman import Model
from cacnb.study.change import Change, judge_change
from cacnb.study.mesa import MesaLimit, judge_by_mesa, mesa_limit

if TYPE_CHECKING:
    from cacnb.learning.weights import Weights

#: Fewer repeat pairs than this tell limits that a note warns of.
FEW_PAIRS = 50


@dataclass(frozen=True)
class Comparison:
    """Two scans, the change by each score, MESA's word where asked, and what else to know."""

    baseline: ScoredSide
    followup: ScoredSide
    by_method: Mapping[str, Change]
    mesa: MesaLimit | None
    notes: tuple[str, ...]

    @property
    def simulated(self) -> bool:
        """Whether any limit is of a simulated repeat study."""
        return any(change.repeat.simulated for change in self.by_method.values())

    def as_json(self) -> dict[str, Any]:
        """The object that `cacnb change --json` prints."""
        return {
            "baseline": self.baseline.as_json(),
            "followup": self.followup.as_json(),
            "by_method": {key: change.as_json() for key, change in self.by_method.items()},
            "mesa": None if self.mesa is None else self.mesa.as_json(),
            "notes": list(self.notes),
        }


def compare(
    baseline: str,
    followup: str,
    *,
    repeat: Path | None = None,
    first: str | None = None,
    second: str | None = None,
    simulated: bool = False,
    score: str | None = None,
    model: Model = "linear",
    bmi_kg_m2: float | None = None,
    years: float | None = None,
    weights: str = "demo",
    device: str = "cpu",
) -> Comparison:
    """Judge the change between two scans of a patient by the repeat limits of each score.

    Parameters
    ----------
    baseline, followup
        Each a result of `cacnb score` (its JSON, or a folder that holds one), a scan to score, or
        both a plain number.
    repeat
        A scored study of pairs, or a CSV with one row a patient; without it the limits in the
        weights' card.
    first, second, simulated
        Columns of that CSV, and whether its scans are simulated; a study knows that itself.
    score
        One name of `SCORES`; without it all that are known of both scans, or `clinical` for
        numbers. A CSV is of one score.
    model
        Of limits that are learned here.
    bmi_kg_m2
        Asks for MESA's limit of the clinical score, too.
    years
        Between the scans.
    weights, device
        To score scans with, and whose card holds the limits.

    Raises
    ------
    UsageError
        For a call that does not fit together.
    InputError
        `refused` for a scan without scores, `not_comparable` where the two, or the repeat study,
        were scored differently, `no_repeat_limits`, and what reading and learning raise.
    """
    if score is not None and score not in SCORES:
        raise UsageError(f"no score {score!r}: there are {', '.join(SCORES)}")
    if (first or second or simulated) and (repeat is None or repeat.is_dir()):
        raise UsageError("columns are of a table: give it, --repeat PAIRS.csv")
    if bmi_kg_m2 is not None:
        mesa_limit(0.0, bmi_kg_m2)  # a wrong one is told before minutes of scoring

    @cache
    def loaded() -> Weights:
        from cacnb.learning.weights import load_weights

        return load_weights(weights, device)

    sides = read_sides(baseline, followup, score, loaded)
    asked = (
        [score] if score is not None else [k for k in SCORES if all(k in s.scores for s in sides)]
    )
    require_scores(sides, asked)
    require_alike(*sides)
    left_out: list[str] = []
    if repeat is None:
        studies, left_out = limits_of_card(loaded(), sides, asked)
    elif repeat.is_dir():
        studies, left_out = limits_of_study(repeat, sides, asked, model)
    else:
        studies = limits_of_table(repeat, first, second, asked, simulated, model)
    one, two = sides
    by_method = {
        key: judge_change(
            one.scores[key], two.scores[key], repeated, score=SCORES[key].label, years=years
        )
        for key, repeated in studies.items()
    }
    mesa = None
    if bmi_kg_m2 is not None:
        require_scores(sides, ["clinical"])
        mesa = judge_by_mesa(one.scores["clinical"], two.scores["clinical"], bmi_kg_m2)
    notes = (*left_out, *_notes(one, two, by_method, asked_mesa=bmi_kg_m2 is not None, mesa=mesa))
    return Comparison(one, two, by_method, mesa, notes)


def _notes(
    one: ScoredSide,
    two: ScoredSide,
    by_method: Mapping[str, Change],
    *,
    asked_mesa: bool,
    mesa: MesaLimit | None,
) -> list[str]:
    """What a reader must know before believing the numbers."""
    notes = [
        f"The {name} was scored with a warning: {', '.join(side.reasons)}."
        for name, side in (("baseline", one), ("follow-up", two))
        if side.verdict == "warned"
    ]
    if one.series_uid is not None and one.series_uid == two.series_uid:
        notes.append("Baseline and follow-up are the same series.")
    for change in by_method.values():
        repeat = change.repeat
        if change.extrapolated:
            notes.append(
                f"{change.score}: no pair of the repeat study has such a mean; the limit is "
                "extrapolated."
            )
        if repeat.n_pairs < FEW_PAIRS:
            notes.append(
                f"{change.score}: only {repeat.n_pairs} repeat pairs have calcium in both scans; "
                "the limit is uncertain."
            )
    if asked_mesa and mesa is None:
        notes.append("MESA's limit is of people with calcium at baseline: it tells nothing from 0.")
    return notes
