"""How the networks before the map do: heart masks and slice labels beside their references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import rankdata

from cacnb.study.detection import count_detections

Rows = list[dict[str, Any]]

#: A slice is called positive from this probability on: the larger of the softmax's two (section 3).
CALLED_POSITIVE = 0.5


def heart_rows(compared: Mapping[str, Mapping[str, Any]]) -> Rows:
    """Dice, Hausdorff and average surface distance of heart masks: median and quartiles.

    The paper's are 0.95, 15 mm and 1.6 mm.
    """
    found = [each["heart"] for each in compared.values() if each.get("heart")]
    if not found:
        return []
    row: dict[str, Any] = {"n_scans": len(found)}
    for key in ("dice", "hausdorff_mm", "surface_mm"):
        low, middle, high = np.percentile([each[key] for each in found], (25, 50, 75))
        row |= {f"{key}_median": float(middle), f"{key}_iqr": [float(low), float(high)]}
    return [row]


def slice_rows(compared: Mapping[str, Mapping[str, Any]]) -> Rows:
    """Accuracy, sensitivity and false positive rate of the slice classifier, and its ROC area.

    The paper's are 0.93, 0.78 and 0.06.
    """
    pairs = [pair for each in compared.values() for pair in each.get("slices", ())]
    if not pairs:
        return []
    probability = np.array([p for p, _ in pairs])
    label = np.array([bool(seen) for _, seen in pairs])
    found = count_detections(label, probability >= CALLED_POSITIVE)
    return [
        {
            "n_slices": found.n, "n_positive": found.n_positive,
            "accuracy": found.accuracy, "accuracy_ci95": found.accuracy_ci95,
            "sensitivity": found.sensitivity, "sensitivity_ci95": found.sensitivity_ci95,
            "false_positive_rate": found.false_positive_rate,
            "false_positive_rate_ci95": found.false_positive_rate_ci95,
            "roc_area": _roc_area(probability, label),
        }
    ]  # fmt: skip


def _roc_area(score: np.ndarray[Any, Any], label: np.ndarray[Any, Any]) -> float | None:
    """Mann–Whitney's U as a share: how often a positive slice scores above a negative one."""
    positive, negative = int(label.sum()), int((~label).sum())
    if not positive or not negative:
        return None
    above = rankdata(score)[label].sum() - positive * (positive + 1) / 2
    return float(above / (positive * negative))
