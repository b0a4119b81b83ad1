"""A baseline or a follow-up with its scores, as given or as found; it knows no limit."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cacnb.errors import InputError, UsageError

if TYPE_CHECKING:
    from cacnb.learning.weights import Weights


@dataclass(frozen=True)
class Score:
    """A score that can be compared: where a scan's result, a weights' card and people have it."""

    method: str
    field: str
    card: str
    label: str


#: By their names in `by_method`.
SCORES = {
    "proposed": Score("proposed", "pseudo_mass_hu_mm3", "mass", "Pseudo-mass (HU·mm³)"),
    "proposed_agatston": Score(
        "proposed", "agatston_adjusted", "agatston_adjusted", "Adjusted Agatston score"
    ),
    "clinical": Score("clinical", "agatston", "clinical_agatston", "Clinical Agatston score"),
}


@dataclass(frozen=True)
class ScoredSide:
    """One of the two scans: its scores by name of `SCORES`, and what they were made with.

    `weights` and `convention` are None for a score given as a number.
    """

    given: str
    scores: Mapping[str, float]
    verdict: str | None = None
    reasons: tuple[str, ...] = ()
    series_uid: str | None = None
    weights: Mapping[str, Any] | None = None
    convention: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The object `baseline` or `followup` of `cacnb change --json`."""
        return {
            "given": self.given, "verdict": self.verdict, "reasons": list(self.reasons),
            "scores": dict(self.scores), "weights": self.weights and dict(self.weights),
            "convention": self.convention,
        }  # fmt: skip


def read_sides(
    baseline: str, followup: str, score: str | None, loaded: Callable[[], Weights]
) -> tuple[ScoredSide, ScoredSide]:
    """Baseline and follow-up: two scans, or two numbers that are the score asked for.

    Raises
    ------
    UsageError
        For one of each.
    InputError
        `missing`, `refused`, `not_a_result`.
    """
    numbers = [_number(given) for given in (baseline, followup)]
    if numbers[0] is not None and numbers[1] is not None:
        name = score or "clinical"
        return (
            ScoredSide(baseline, {name: numbers[0]}),
            ScoredSide(followup, {name: numbers[1]}),
        )
    if numbers[0] is not None or numbers[1] is not None:
        raise UsageError(
            f"a number and a scan came ({baseline}, {followup}): give two scans or two numbers"
        )
    return _read_side(Path(baseline), loaded), _read_side(Path(followup), loaded)


def _number(given: str) -> float | None:
    if Path(given).exists():
        return None
    try:
        return float(given)
    except ValueError:
        return None


def _read_side(path: Path, loaded: Callable[[], Weights]) -> ScoredSide:
    """A scan's scores, read where they are written already."""
    if not path.exists():
        raise InputError("missing", f"{path} does not exist: check the path")
    found = _written_result(path)
    if found is None:
        from cacnb.pipeline import score_scan

        found = score_scan(path, loaded()).as_json()
    if "proposed" not in found:
        why = ", ".join(reason["code"] for reason in found["reasons"]) or "it has no scores"
        raise InputError(
            "refused", f"{path} was refused ({why}): a change needs two scans that can be scored"
        )
    values = {key: found.get(k.method, {}).get(k.field) for key, k in SCORES.items()}
    return ScoredSide(
        given=str(path),
        scores={key: float(value) for key, value in values.items() if value is not None},
        verdict=found["verdict"],
        reasons=tuple(reason["code"] for reason in found["reasons"]),
        series_uid=found.get("series_uid"),
        weights=found.get("weights"),
        convention=found.get("clinical", {}).get("convention"),
    )


def _written_result(path: Path) -> dict[str, Any] | None:
    """What `cacnb score` wrote at a path; None where there is a scan instead."""
    if path.is_file():
        if path.suffix != ".json":
            return None
        found = result_in(path)
        if found is None:
            raise InputError(
                "not_a_result", f"{path} is no result of `cacnb score`: give one of its JSON files"
            )
        return found
    results = {file: result_in(file) for file in sorted(path.glob("*.json"))}
    known = {file: found for file, found in results.items() if found is not None}
    if len(known) > 1:
        raise UsageError(f"{path} holds {len(known)} results: name one of its JSON files")
    return next(iter(known.values()), None)


def result_in(file: Path) -> dict[str, Any] | None:
    """The result of one scan in a JSON file of `cacnb score`; None where it holds none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return None
    if isinstance(found, dict) and len(found.get("scans") or ()) == 1:
        found = found["scans"][0]  # what `cacnb score --json` prints
    is_result = isinstance(found, dict) and {"verdict", "reasons"} <= set(found)
    return found if is_result else None


def require_scores(sides: Sequence[ScoredSide], asked: Sequence[str]) -> None:
    """Raise UsageError where a side lacks an asked score, or none is asked."""
    for side in sides:
        for key in asked:
            if key not in side.scores:
                raise UsageError(
                    f"{side.given} has no {SCORES[key].label}: it has "
                    f"{', '.join(side.scores) or 'no score'}"
                )
    if not asked:
        raise UsageError("the two scans have no score in common: score both by one method")


def require_alike(one: ScoredSide, two: ScoredSide, second: str = "the follow-up") -> None:
    """Refuse scores made by other weights or another convention: their change is not calcium's.

    Raises
    ------
    InputError
        `not_comparable`.
    """
    if one.convention is not None and two.convention not in (None, one.convention):
        raise InputError(
            "not_comparable",
            f"the baseline was scored by the convention {one.convention!r} and {second} by "
            f"{two.convention!r}: score both by one",
        )
    names = [_weights_name(side) for side in (one, two)]
    if None not in names and names[0] != names[1]:
        raise InputError(
            "not_comparable",
            f"the baseline was scored with the weights {names[0]} and {second} with {names[1]}: "
            "score both with one `--weights`",
        )


def _weights_name(side: ScoredSide) -> str | None:
    if side.weights is None:
        return None
    return f"{side.weights.get('name')!r} ({str(side.weights.get('sha256'))[:8]})"
