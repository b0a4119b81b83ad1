"""How near each method comes to the calcium that a simulated scan truly holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cacnb.simulation.lesions import hu_mm3_per_mg

Rows = list[dict[str, Any]]

#: Fewer than this give no figure worth printing.
LEAST = 3

#: Borders in mg between small, middle and large lesions.
MASS_EDGES_MG = (5.0, 20.0)

#: A lesion whose brightest voxel stays below this is lost to clinical scoring.
CLINICAL_THRESHOLD_HU = 130.0


def truth_table(
    scans: pd.DataFrame, compared: Mapping[str, Mapping[str, Any]], methods: list[str]
) -> Rows:
    """Bias, slope, correlation and error of the calcium mass in mg: simulated scans only.

    Groups: all scans with calcium, held in breath or not (motion), and lesions by artery, by true
    mass, and those wholly below 130 HU. A mass is told in mg by the simulated scanner's own
    calibration; `mass_mae_mg` after one factor for the whole group, so that it does not tell
    the unit. `sensitivity` is the share of the group with any mass.
    """
    if "mass_mg" not in scans:
        return []
    with_calcium = scans[scans["mass_mg"] > 0]
    lesions = lesion_table(scans, compared)
    rows = []
    for method in methods:
        column = f"{method}_mass"
        groups = {"all": with_calcium}
        if "breath_hold" in with_calcium:
            hold = with_calcium["breath_hold"].astype(bool)
            groups |= {"breath-hold": with_calcium[hold], "free breathing": with_calcium[~hold]}
        if not lesions.empty:
            groups |= _lesion_groups(lesions)
        rows += [
            {"method": method, "group": name, "simulated": True, **_accuracy(group, column)}
            for name, group in groups.items()
        ]
    return rows


def lesion_table(scans: pd.DataFrame, compared: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One row a true lesion of a scan: its truth, `kvp`, and the mass that each method gives it."""
    kvp = scans.set_index("scan")["kvp"]
    rows = [
        {"scan": scan, "kvp": kvp[scan], "artery": row["artery"], "mass_mg": row["mass_mg"],
         "peak_hu": row["peak_hu"],
         **{f"{k}_mass": v for k, v in row.items() if k not in ("artery", "mass_mg", "peak_hu")}}
        for scan, found in compared.items()
        if scan in kvp.index
        for row in found.get("lesions", ())
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _lesion_groups(lesions: pd.DataFrame) -> dict[str, pd.DataFrame]:
    low, high = MASS_EDGES_MG
    mass = lesions["mass_mg"]
    return {
        **{f"lesions, {artery}": rows for artery, rows in lesions.groupby("artery")},
        f"lesions below {low:g} mg": lesions[mass < low],
        f"lesions {low:g}–{high:g} mg": lesions[(mass >= low) & (mass < high)],
        f"lesions from {high:g} mg": lesions[mass >= high],
        "lesions wholly below 130 HU": lesions[lesions["peak_hu"] < CLINICAL_THRESHOLD_HU],
    }


def _accuracy(group: pd.DataFrame, column: str) -> dict[str, Any]:
    keys = ("mass_bias_percent", "mass_slope", "mass_r", "mass_mae_mg", "mg_per_hu_mm3",
            "sensitivity")  # fmt: skip
    known = group[group[column].notna()] if column in group else group[:0]
    if len(known) < LEAST:
        return {"n": len(known), **dict.fromkeys(keys)}
    mass, truth = known[column].to_numpy(float), known["mass_mg"].to_numpy(float)
    mg = physical_mg(mass, known)
    spread = np.ptp(mass) > 0 and np.ptp(truth) > 0
    factor = truth.sum() / mass.sum() if mass.sum() else None
    return {
        "n": len(known),
        "mass_bias_percent": float(100 * (mg - truth).sum() / truth.sum()),
        "mass_slope": float(np.polyfit(truth, mg, 1)[0]) if spread else None,
        "mass_r": float(np.corrcoef(mass, truth)[0, 1]) if spread else None,
        "mass_mae_mg": float(np.abs(mass * factor - truth).mean()) if factor else None,
        "mg_per_hu_mm3": factor and float(factor),
        "sensitivity": float((mass > 0).mean()),
    }


def physical_mg(mass_hu_mm3: NDArray[np.float64], scans: pd.DataFrame) -> NDArray[np.float64]:
    """Mass in mg by the simulated scanner's own calibration, without fitting anything."""
    per_mg = np.array([hu_mm3_per_mg(float(kvp)) for kvp in scans["kvp"]])
    return np.asarray(mass_hu_mm3 / per_mg)
