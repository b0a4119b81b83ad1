"""What methods, arteries and measures are called and told apart by; it draws nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """How a method is told from the others: by colour, and in grey print by shape and dash."""

    label: str
    colour: str
    shape: str
    dash: tuple[int, int]


#: Colours of Okabe & Ito (2008), which the colour-blind tell apart.
LOOKS = {
    "proposed": Look("Proposed", "#D55E00", "circle", (1, 0)),
    "clinical_manual": Look("Clinical, reader", "#0072B2", "square", (7, 3)),
    "clinical_automatic": Look("Clinical, automatic", "#009E73", "triangle-up", (2, 2)),
}

#: What an artery is called; the paper's "CAC" is any of them.
ARTERIES = {"CAC": "Any artery", "LAD": "LAD", "RCA": "RCA", "LCX": "LCX"}


@dataclass(frozen=True)
class Measure:
    """A column of an evaluation's table: its name for people, its axis, and which end is good."""

    key: str
    name: str
    domain: tuple[float, float] | None = None
    lower_is_better: bool = False


#: What rows of an evaluation hold, in a figure's words; a relative difference is at most 2.
MEASURES = {
    measure.key: measure
    for measure in (
        Measure("sensitivity", "Sensitivity", (0, 1)),
        Measure("pair_sensitivity", "Sensitivity in both scans", (0, 1)),
        Measure("specificity", "Specificity", (0, 1)),
        Measure("false_positive_rate", "False positive rate", (0, 1), lower_is_better=True),
        Measure("f1", "F1 score", (0, 1)),
        Measure("accuracy", "Accuracy", (0, 1)),
        Measure(
            "relative_difference_any_positive", "Relative difference, all pairs", (0, 2),
            lower_is_better=True,
        ),
        Measure(
            "relative_difference_both_positive", "Relative difference, positive pairs", (0, 2),
            lower_is_better=True,
        ),
        Measure("icc_mass", "ICC of mass"),
        Measure("icc_agatston", "ICC of Agatston score"),
        Measure("icc_mass_both_positive", "ICC of mass, positive pairs"),
        Measure("icc_agatston_both_positive", "ICC of Agatston score, positive pairs"),
        Measure("kappa_linear", "Linearly weighted κ"),
        Measure("kappa_quadratic", "Quadratically weighted κ"),
        Measure("mass_bias_percent", "Bias of calcium mass (%)"),
        Measure("mass_mae_mg", "Mean absolute error (mg)", lower_is_better=True),
    )
}  # fmt: skip


def measure_of(key: str) -> Measure:
    """The measure of a column; one that no table knows keeps its own name."""
    return MEASURES.get(key) or Measure(key, key.replace("_", " "))


def label_of(method: str) -> str:
    """What people call a method; a name that is none of the three stays as it is.

    Example
    -------
    >>> label_of("clinical_manual"), label_of("theirs")
    ('Clinical, reader', 'theirs')
    """
    return LOOKS[method].label if method in LOOKS else method


def look_of(method: str | None) -> Look:
    """The look of a method; blue circles for scores that are of none of the three."""
    return LOOKS.get(method or "", Look(method or "", "#0072B2", "circle", (1, 0)))
