import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cacnb.studies import Study, open_study
from tests.ui.conftest import done_at_once

__all__ = ["done_at_once"]


@pytest.fixture
def study(scored_study, tmp_path) -> Study:
    """A copy of a pair of small scored scans, `one` and `two`, and nothing else."""
    copy = tmp_path / "small"
    shutil.copytree(scored_study, copy)
    cohort = open_study(copy).cohort
    cohort[cohort["scan"] != "three"].to_csv(copy / "cohort.csv", index=False)
    return open_study(copy)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty folder as the current one: what a lesson makes goes below it."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def write_pairs(folder: Path, n: int, *, calcium: int, seed: int = 0) -> Study:
    """A study of n pairs that has score files alone; `calcium` of them have some in both scans."""
    rng = np.random.default_rng(seed)
    rows = []
    (folder / "scores").mkdir(parents=True)
    for i in range(n):
        true = rng.lognormal(9, 0.8) if i < calcium else 0.0
        for scan, noise in (("fb", 0.2), ("bh", 0.2)):
            mass = true * float(np.exp(rng.normal(0, noise)))
            clinical = true * float(np.exp(rng.normal(0, 3 * noise))) / 4
            name = f"p{i:02d}_{scan}"
            rows.append((name, f"p{i:02d}", f"p{i:02d}", scan == "bh", f"scans/{name}.nii.gz"))
            told = {
                "scan": name, "path": "", "series_uid": None, "verdict": "usable", "reasons": [],
                "seconds": {}, "weights": {"name": "other", "sha256": "0" * 64}, "lesions": [],
                "probability_of_cac": [0.1],
                "proposed": {"pseudo_mass_hu_mm3": mass, "agatston_adjusted": mass / 30},
                "clinical": {
                    "pseudo_mass_hu_mm3": clinical, "agatston": clinical / 60,
                    "convention": "literature", "threshold_hu": 130.0,
                },
            }  # fmt: skip
            (folder / "scores" / f"{name}.json").write_text(json.dumps(told), encoding="utf-8")
    columns = ["scan", "patient", "pair", "breath_hold", "path"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "cohort.csv", index=False)
    return open_study(folder)


@pytest.fixture
def pairs() -> object:
    return write_pairs
