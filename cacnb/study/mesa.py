"""The limit that MESA publishes for two scans of one patient; it knows no other study's."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cacnb.errors import InputError, UsageError
from cacnb.study.bland_altman import Floats
from cacnb.study.pairs import paired_scores

MESA_SOURCE = "Chung et al., AJR 2008;190:W87"


@dataclass(frozen=True)
class MesaLimit:
    """MESA's published limit for one patient's Agatston score, and whether the change passes it."""

    baseline: float
    followup: float
    bmi_kg_m2: float
    limit: float
    outside: bool

    def as_json(self) -> dict[str, Any]:
        """The object `mesa` of `cacnb change --json`."""
        return {**asdict(self), "source": MESA_SOURCE}


def mesa_limit(agatston: ArrayLike, bmi_kg_m2: float) -> Floats:
    """MESA's 95 % repeatability limit: 0.17 A + 4.89 √A + 0.44 BMI − 10.84, never below 0.

    Chung et al., AJR 2008;190:W87: quantile regression of the difference between two scans minutes
    apart on their Agatston score A, in 3,380 people with calcium; ECG-triggered electron-beam and
    four-slice CT. They call a change over years detectable where it passes the limit at baseline,
    so A is the baseline score. Scans without ECG triggering repeat less well.

    Parameters
    ----------
    agatston
        Clinical Agatston scores ≥ 0 of any shape.
    bmi_kg_m2
        Body mass index in kg/m²: heavier people's scans have more noise.

    Raises
    ------
    InputError
        `not_a_score`.
    UsageError
        For a body mass index outside 10 to 100 kg/m².

    Example
    -------
    >>> float(mesa_limit(100.0, 27.0).round(2))
    66.94
    """
    score = np.asarray(agatston, dtype=np.float64)
    if not (np.all(np.isfinite(score)) and np.all(score >= 0)):
        raise InputError("not_a_score", "an Agatston score is a finite number of 0 or more")
    if not 10 <= bmi_kg_m2 <= 100:
        raise UsageError(
            f"a body mass index of {bmi_kg_m2} came: kg/m² were wanted, between 10 and 100"
        )
    limit = 0.17 * score + 4.89 * np.sqrt(score) + 0.44 * bmi_kg_m2 - 10.84
    return np.maximum(limit, 0.0)


def judge_by_mesa(baseline: float, followup: float, bmi_kg_m2: float) -> MesaLimit | None:
    """Whether a change of the clinical Agatston score passes MESA's limit; None from a zero.

    Raises
    ------
    InputError, UsageError
        As `mesa_limit`.
    """
    paired_scores([baseline], [followup])
    limit = float(mesa_limit(baseline, bmi_kg_m2))
    if baseline == 0:
        return None
    return MesaLimit(baseline, followup, bmi_kg_m2, limit, abs(followup - baseline) > limit)
