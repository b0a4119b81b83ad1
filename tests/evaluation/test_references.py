"""One scored scan beside its references, on images small enough to count by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_image
from cacnb.evaluation.references import compare_scan, compare_with_references
from cacnb.evaluation.scores import artery_pairs, artery_table
from cacnb.scoring.conventions import CONVENTIONS

SPACING_MM = (3.0, 1.0, 1.0)
SHAPE = (6, 40, 40)


def grid(array: np.ndarray) -> Volume:
    return Volume(array, SPACING_MM)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """One scan: a bright lesion in the LAD, a faint one in the RCA, a spot that is no calcium."""
    for folder in ("scores", "lesion_regions", "clinical_lesions", "calcium", "masks", "scans"):
        (tmp_path / folder).mkdir()
    image = np.full(SHAPE, 40, np.int16)
    image[2, 10:12, 10:12] = 300  # LAD
    image[3, 30, 30] = 100  # RCA, below the threshold
    image[4, 10:12, 30:32] = 200  # no coronary
    write_image(grid(image), tmp_path / "scans" / "s.nii.gz")
    regions = np.zeros(SHAPE, np.uint8)
    regions[2, 8:14, 8:14] = 1
    regions[3, 28:33, 28:33] = 3
    write_image(grid(regions), tmp_path / "lesion_regions" / "s.nii.gz")
    picked = np.zeros(SHAPE, bool)
    picked[2, 10:12, 10:12] = True
    write_image(grid(picked), tmp_path / "clinical_lesions" / "s.nii.gz")
    calcium = np.zeros(SHAPE, np.int16)
    calcium[2, 10:12, 10:12], calcium[3, 30, 30] = 260, 60
    write_image(grid(calcium), tmp_path / "calcium" / "s.nii.gz")
    heart = np.zeros(SHAPE, bool)
    heart[1:5, 5:35, 5:35] = True
    write_image(grid(heart), tmp_path / "masks" / "s.nii.gz")

    scores = tmp_path / "scores"
    fine = (2 * SHAPE[0] - 1, *SHAPE[1:])
    cac_map = np.zeros(fine, np.float32)
    cac_map[4, 10:12, 10:12] = 200
    cac_map[6, 30, 30] = 50
    cac_map[8, 10, 30] = 80
    on_map = (1.5, 1.0, 1.0)
    write_image(Volume(cac_map, on_map), scores / "s.cac_map.nii.gz")
    write_image(Volume(np.repeat(heart, 2, axis=0)[:-1], on_map), scores / "s.heart.nii.gz")
    counted = picked.copy()
    counted[4, 10:12, 30:32] = True
    write_image(grid(counted), scores / "s.clinical.nii.gz")
    content = {
        "verdict": "usable", "reasons": [], "weights": {"name": "none"},
        "proposed": {"pseudo_mass_hu_mm3": 1395.0, "agatston_adjusted": 9.0},
        "clinical": {"pseudo_mass_hu_mm3": 6000.0, "agatston": 20.0, "convention": "literature"},
        "probability_of_cac": [None, None, None, 0.1, 0.9, 0.7, 0.6, 0.2, None, None, None],
    }  # fmt: skip
    (scores / "s.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


LESIONS = pd.DataFrame(
    {
        "artery": ["LAD", "RCA"], "mass_mg": [4.0, 0.2], "peak_hu": [300.0, 100.0],
        "centre_mm": ["10.5 10.5 6.0", "30.0 30.0 9.0"],
    }
)  # fmt: skip

LABELS = pd.DataFrame({"slice": range(6), "contains_cac": [0, 0, 1, 1, 0, 0]})


def compared(study: Path) -> dict:
    return compare_scan(study, "s", study / "scans" / "s.nii.gz", LABELS, LESIONS)


def test_a_methods_mass_in_an_artery_is_what_lies_in_its_painted_region(study: Path) -> None:
    arteries = compared(study)["arteries"]
    assert arteries["LAD"]["proposed"] == pytest.approx(4 * 200 * 1.5)
    assert arteries["RCA"]["proposed"] == pytest.approx(50 * 1.5)
    assert arteries["LAD"]["clinical_manual"] == pytest.approx(4 * 300 * 3)
    assert arteries["RCA"]["clinical_automatic"] == 0
    assert [arteries[a]["visible"] for a in ("LAD", "RCA", "LCX")] == [True, True, False]


def test_mass_off_every_true_lesion_is_told_apart(study: Path) -> None:
    found = compared(study)
    assert found["elsewhere"] == pytest.approx(
        {"proposed": 80 * 1.5, "clinical_manual": 0.0, "clinical_automatic": 4 * 200 * 3}
    )
    lad, rca = found["lesions"]
    assert lad["proposed"] == pytest.approx(4 * 200 * 1.5)
    assert rca["proposed"] == pytest.approx(50 * 1.5)
    assert rca["clinical_automatic"] == 0


def test_the_readers_lesions_are_scored_by_every_convention(study: Path) -> None:
    found = compared(study)
    assert set(found["conventions"]) == set(CONVENTIONS)
    assert found["manual"] == {"mass": pytest.approx(3600.0), "agatston": pytest.approx(12.0)}
    assert found["conventions"]["literature"] == found["manual"]["agatston"]


def test_heart_and_slices_stand_beside_their_references(study: Path) -> None:
    found = compared(study)
    assert found["heart"]["dice"] > 0.9
    assert found["slices"] == [(0.1, 1), (0.9, 1), (0.7, 1), (0.6, 1), (0.2, 0)]


def test_a_scan_that_was_scored_again_is_compared_again(study: Path) -> None:
    cohort = pd.DataFrame({"scan": ["s"], "path": ["scans/s.nii.gz"]})
    first = compare_with_references(study, cohort)
    kept = study / "scores" / "s.compared.json"
    stamp = kept.stat().st_mtime_ns
    assert compare_with_references(study, cohort) == first
    assert kept.stat().st_mtime_ns == stamp
    (study / "clinical_lesions" / "s.nii.gz").unlink()
    (study / "scores" / "s.json").touch()
    again = compare_with_references(study, cohort)
    assert "manual" in first["s"]
    assert "manual" not in again["s"]


def test_an_artery_pair_shows_calcium_in_both_scans() -> None:
    cohort = pd.DataFrame({"scan": ["a", "b"], "pair": ["p", "p"], "breath_hold": [False, True]})
    found = {
        scan: {
            "arteries": {
                "LAD": {"visible": True, "proposed": 10.0 * n},
                "RCA": {"visible": scan == "a", "proposed": 1.0},
                "LCX": {"visible": False, "proposed": 0.0},
            }
        }
        for n, scan in enumerate("ab", start=1)
    }
    pairs = artery_pairs(artery_table(cohort, found))
    assert pairs["artery"].tolist() == ["LAD"]
    assert pairs[["proposed_mass_1", "proposed_mass_2"]].to_numpy().tolist() == [[10.0, 20.0]]
