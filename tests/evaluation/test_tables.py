"""From scores on disk to tables, on a study small enough to work out by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cacnb.errors import InputError
from cacnb.evaluation import evaluate_study
from cacnb.simulation.lesions import hu_mm3_per_mg

#: Scan, pair, true mass in mg, visible, proposed mass, clinical mass in HU·mm³.
SCANS = [
    ("a1", "a", 10.0, True, 10_000.0, 9_000.0),
    ("a2", "a", 10.0, True, 12_000.0, 3_000.0),
    ("b1", "b", 20.0, True, 20_000.0, 20_000.0),
    ("b2", "b", 20.0, True, 20_000.0, 10_000.0),
    ("c1", "c", 5.0, True, 4_000.0, 0.0),
    ("c2", "c", 5.0, False, 6_000.0, 0.0),
    ("d1", "d", 0.0, False, 0.0, 500.0),
    ("d2", "d", 0.0, False, 0.0, 0.0),
]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    cohort = [
        {"scan": name, "patient": pair, "pair": pair, "breath_hold": name.endswith("1"),
         "path": f"scans/{name}.nii.gz", "kvp": 120.0}
        for name, pair, *_ in SCANS
    ]  # fmt: skip
    pd.DataFrame(cohort).to_csv(tmp_path / "cohort.csv", index=False)
    truth = [{"scan": s[0], "mass_mg": s[2], "visible": s[3]} for s in SCANS]
    pd.DataFrame(truth).to_csv(tmp_path / "truth_scans.csv", index=False)
    (tmp_path / "scores").mkdir()
    for name, _, _, _, proposed, clinical in SCANS:
        content = {
            "verdict": "usable", "reasons": [],
            "proposed": {"pseudo_mass_hu_mm3": proposed, "agatston_adjusted": proposed / 100},
            "clinical": {"pseudo_mass_hu_mm3": clinical, "agatston": clinical / 100},
        }  # fmt: skip
        (tmp_path / "scores" / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


def row(rows: list[dict[str, object]], method: str) -> dict[str, object]:
    return next(r for r in rows if r["method"] == method)


def test_relative_differences_are_means_over_pairs_positive_in_both(study: Path) -> None:
    rows = evaluate_study(study).tables["reproducibility"]
    proposed = (2 / 11 + 0 + 2 / 5) / 3
    assert row(rows, "proposed")["relative_difference_both_positive"] == pytest.approx(proposed)
    clinical = (6 / 6 + 10 / 15) / 2
    found = row(rows, "clinical_automatic")
    assert found["relative_difference_both_positive"] == pytest.approx(clinical)
    assert found["n_both_positive"] == 2
    assert found["n_discordant"] == 1
    assert found["relative_difference_any_positive"] == pytest.approx((2 * clinical + 2) / 3)


def test_detection_is_told_against_what_the_reader_saw(study: Path) -> None:
    rows = evaluate_study(study).tables["detection_per_scan"]
    proposed = row(rows, "proposed")
    assert proposed["sensitivity"] == 1.0
    assert proposed["false_positive_rate"] == pytest.approx(1 / 3)
    assert row(rows, "clinical_automatic")["sensitivity"] == pytest.approx(4 / 5)


def test_truth_is_followed_without_fitting_for_the_bias(study: Path) -> None:
    found = row(evaluate_study(study).tables["truth"], "proposed")
    total = sum(s[4] for s in SCANS if s[2] > 0) / hu_mm3_per_mg(120.0)
    assert found["mass_bias_percent"] == pytest.approx(100 * (total / 70.0 - 1))
    assert found["simulated"] is True
    assert found["n"] == 6


def test_a_study_without_truth_tells_none(study: Path) -> None:
    (study / "truth_scans.csv").unlink()
    tables = evaluate_study(study).tables
    assert tables["truth"] == []
    assert tables["detection_per_scan"] == []
    assert len(tables["reproducibility"]) == 2


def test_a_refused_scan_is_listed_and_its_pair_left_out(study: Path) -> None:
    refused = {"verdict": "refused", "reasons": [{"code": "contrast", "message": "…"}]}
    (study / "scores" / "a1.json").write_text(json.dumps(refused), encoding="utf-8")
    tables = evaluate_study(study).tables
    assert tables["refused"] == [{"scan": "a1", "why": "contrast"}]
    assert row(tables["reproducibility"], "proposed")["n_pairs"] == 3


def test_a_study_that_is_not_scored_says_what_to_run(study: Path) -> None:
    for file in (study / "scores").glob("*.json"):
        file.unlink()
    with pytest.raises(InputError, match="cacnb run --study") as refusal:
        evaluate_study(study)
    assert refusal.value.code == "no_scores"


def test_the_tables_are_plain_json(study: Path) -> None:
    assert json.loads(json.dumps(evaluate_study(study).tables, allow_nan=False))
    assert np.isfinite(
        [
            r["relative_difference_both_positive"]
            for r in evaluate_study(study).tables["reproducibility"]
        ]  # type: ignore[list-item]
    ).all()


def test_limits_are_told_of_proposed_scores_on_the_clinical_range(study: Path) -> None:
    evidence = evaluate_study(study)
    proposed = row(evidence.tables["limits"], "proposed")
    clinical = row(evidence.tables["limits"], "clinical_automatic")
    own, theirs = (
        evidence.pairs[[f"{m}_agatston_1", f"{m}_agatston_2"]].to_numpy()
        for m in ("proposed", "clinical_automatic")
    )
    scaled = own * theirs.mean() / own.mean()
    assert proposed["bias"] == pytest.approx((scaled[:, 0] - scaled[:, 1]).mean())
    assert clinical["bias"] == pytest.approx((theirs[:, 0] - theirs[:, 1]).mean())
    assert all(r[f"limit_at_{at}"] >= 0 for r in evidence.tables["limits"] for at in (10, 100))


def test_categories_are_compared_in_all_pairs_and_in_those_positive_by_automatic(
    study: Path,
) -> None:
    rows = evaluate_study(study).tables["risk_categories"]
    n = {(r["method"], r["pairs"]): r["n_pairs"] for r in rows}
    assert n["proposed", "all"] == 4
    assert n["proposed", "both_positive_by_automatic"] == 2
    # clinical scores 90 and 30, 200 and 100, 0 and 0, 5 and 0: II II, III II, I I, I I
    found = next(r for r in rows if (r["method"], r["pairs"]) == ("clinical_automatic", "all"))
    assert found["accuracy"] == 3 / 4


def test_a_method_is_compared_on_the_patients_that_both_saw(study: Path) -> None:
    rows = evaluate_study(study).tables["comparison"]
    found = {r["statistic"]: r for r in rows}
    # of the scans with visible CAC the proposed method finds 5 of 5, the clinical one 4 of 5
    assert found["sensitivity"]["difference"] == pytest.approx(1 / 5)
    assert found["sensitivity"]["n"] == 5
    assert found["specificity"]["n"] == 3
    assert found["relative_difference_both_positive"]["difference"] is None  # only two pairs


def test_a_scan_that_the_reader_labelled_stands_in_for_a_truth(study: Path) -> None:
    (study / "truth_scans.csv").unlink()
    labels = [(s[0], k, int(s[3] and k == 1)) for s in SCANS for k in range(3)]
    pd.DataFrame(labels, columns=["scan", "slice", "contains_cac"]).to_csv(
        study / "slice_labels.csv", index=False
    )
    found = row(evaluate_study(study).tables["detection_per_scan"], "proposed")
    assert found["sensitivity"] == 1.0
    assert found["false_positive_rate"] == pytest.approx(1 / 3)
