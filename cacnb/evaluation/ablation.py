"""What heart segmentation and slice classification buy: a study scored without each (Figure 6)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cacnb.ct.reading import read_scan
from cacnb.evaluation.scores import pair_table, score_table
from cacnb.evaluation.tables import detection, reproducibility
from cacnb.files import write_atomically
from cacnb.results import named_scans

if TYPE_CHECKING:
    from cacnb.learning.weights import Weights

Rows = list[dict[str, Any]]

#: With and without heart segmentation (HS) and slice classification (CL).
SETTINGS = tuple(product((True, False), repeat=2))


def ablate_study(study: Path, weights: Weights) -> Iterator[tuple[str, bool]]:
    """Score a study's usable scans in the four settings; yields names, and whether it was new.

    A scan's masses are kept in `scores/<scan>.ablation.json` and made anew for other weights.
    """
    # torch is for this alone: tables are read without it
    from cacnb.pipeline import Clock, Options, find_calcium, heart_of

    for name, path in named_scans([], study):
        result = study / "scores" / f"{name}.json"
        kept = study / "scores" / f"{name}.ablation.json"
        if not result.is_file() or "proposed" not in json.loads(result.read_text(encoding="utf-8")):
            continue
        if (
            kept.is_file()
            and json.loads(kept.read_text(encoding="utf-8"))["sha256"] == weights.sha256
        ):
            yield name, False
            continue
        _, volume = read_scan(path)
        heart, _ = heart_of(volume, weights)
        masses = {
            _key(use_heart, use_slices): find_calcium(
                volume,
                heart,
                weights,
                Options(use_heart=use_heart, use_slices=use_slices),
                Clock(),
            ).proposed.pseudo_mass_hu_mm3
            for use_heart, use_slices in SETTINGS
        }
        write_atomically(json.dumps({"sha256": weights.sha256, "masses": masses}), kept)
        yield name, True


def ablation_rows(study: Path) -> Rows:
    """Detection and relative differences in each setting; empty where no scan was ablated."""
    files = {file.name.split(".")[0]: file for file in (study / "scores").glob("*.ablation.json")}
    if not files:
        return []
    masses = {
        scan: json.loads(file.read_text(encoding="utf-8"))["masses"] for scan, file in files.items()
    }
    scans = score_table(study)
    scans = scans[scans["scan"].isin(masses)]
    rows = []
    for use_heart, use_slices in SETTINGS:
        mass = [masses[scan][_key(use_heart, use_slices)] for scan in scans["scan"]]
        rows.append(_row(scans.assign(proposed_mass=mass), use_heart, use_slices))
    return rows


def _row(scans: pd.DataFrame, use_heart: bool, use_slices: bool) -> dict[str, Any]:
    keys = ("sensitivity", "false_positive_rate", "f1", "accuracy")
    found = next(iter(detection(scans, ["proposed"])), {})
    repeat = reproducibility(pair_table(scans), ["proposed"])[0]
    return {
        "heart": use_heart, "slices": use_slices, "n_scans": len(scans),
        **{key: found.get(key) for key in keys},
        **{key: value for key, value in repeat.items() if key.startswith(("relative", "n_"))},
    }  # fmt: skip


def _key(use_heart: bool, use_slices: bool) -> str:
    return f"HS{'+' if use_heart else '-'}/CL{'+' if use_slices else '-'}"
