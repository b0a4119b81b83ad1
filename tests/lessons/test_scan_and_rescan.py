"""The pair that a first lesson shows, its scores, and the mean difference beside the paper's."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cacnb.ct.reading import read_image
from cacnb.ct.writing import write_image
from cacnb.errors import InputError
from cacnb.lessons.missing import Missing
from cacnb.lessons.scan_and_rescan import repeat_beside_paper, scan_and_rescan
from cacnb.simulation.lesions import hu_mm3_per_mg
from cacnb.studies import open_study
from tests.conftest import write_scored_scan


def with_clinical(study: Path, name: str, agatston: float) -> None:
    """Give a scored scan another clinical score, and the image of what it counts."""
    file = study / "scores" / f"{name}.json"
    told = json.loads(file.read_text())
    told["clinical"] |= {"agatston": agatston, "pseudo_mass_hu_mm3": 200 * agatston}
    file.write_text(json.dumps(told))
    grid = read_image(study / "scans" / f"{name}.nii.gz")
    counted = grid.with_array(np.zeros(grid.shape, np.uint8))
    write_image(counted, study / "scores" / f"{name}.clinical.nii.gz")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two pairs: p's clinical scores are 10 and 12, q's 10 and 60; simulated, of 5 mg each."""
    folder = tmp_path_factory.mktemp("pairs") / "pairs"
    rows = []
    for name, agatston in (("p_1", 10), ("p_2", 12), ("q_1", 10), ("q_2", 60)):
        write_scored_scan(folder, name, factor=1.5 if name.endswith("2") else 1.0)
        with_clinical(folder, name, agatston)
        rows.append((name, name[0], name[0], name.endswith("2"), f"scans/{name}.nii.gz", 120.0))
    columns = ["scan", "patient", "pair", "breath_hold", "path", "kvp"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "cohort.csv", index=False)
    truth = pd.DataFrame({"scan": [row[0] for row in rows], "mass_mg": 5.0, "visible": True})
    truth.to_csv(folder / "truth_scans.csv", index=False)
    (folder / "study.toml").write_text('name = "pairs"\nsimulated = true\n')
    return open_study(folder)


def test_the_pair_whose_clinical_scores_differ_most_is_shown(study) -> None:
    pair = scan_and_rescan(study)
    assert repr(pair) == "q_1 and q_2, two simulated scans of one person"
    scores = pair.scores
    assert scores.loc["Agatston score, from 130 HU", ["q_1", "q_2"]].tolist() == [10, 60]
    difference = scores.loc["Agatston score, from 130 HU", "relative difference"]
    assert difference == pytest.approx(50 / 35, abs=0.01)
    assert scores.loc["mass of the map (HU·mm³)", "relative difference"] == pytest.approx(0.4)
    truth = scores.loc["true mass, simulated (HU·mm³)"]
    assert truth["q_1"] == truth["q_2"] == pytest.approx(5 * hu_mm3_per_mg(120.0))


def test_each_scan_is_shown_alone_counted_and_with_its_map(study) -> None:
    pair = scan_and_rescan(study)
    first, second = pair.show_first(), pair.show_second()
    assert [pane.title for pane in first.picture.panes] == [
        "Scan", "Counted from 130 HU", "CAC map",
    ]  # fmt: skip
    assert first.title == "q_1, simulated scan"
    assert "simulated scan q_2" in second.alt
    assert "60 from 130 HU" in second.alt


def test_the_mean_difference_stands_beside_the_papers(study) -> None:
    table = repeat_beside_paper(study)
    clinical = table.loc["clinical"]
    assert (clinical["pairs"], clinical["positive in both"]) == (2, 2)
    mean = (2 / 11 + 50 / 35) / 2
    assert clinical["relative difference, simulated"] == pytest.approx(mean, abs=0.01)
    assert table.loc["proposed", "relative difference, simulated"] == pytest.approx(0.4)
    assert "0.89" in clinical["paper, section 5.3"]
    assert table.loc["proposed", "paper, section 5.3"] == "0.47"


def test_a_study_without_pairs_or_truth_shows_one_scan_and_says_what_is_missing(
    study, tmp_path
) -> None:
    alone = tmp_path / "alone"
    (alone / "scans").parent.mkdir()
    for part in ("scans", "scores"):
        (alone / part).symlink_to(study.folder / part)
    cohort = study.cohort[["scan", "patient", "path"]].iloc[[0]]
    cohort.to_csv(alone / "cohort.csv", index=False)
    opened = open_study(alone)
    pair = scan_and_rescan(opened)
    assert repr(pair).startswith("p_1, one scan: no scored pair")
    assert list(pair.scores) == ["p_1"]
    assert len(pair.scores) == 4
    assert isinstance(pair.show_second(), Missing)
    assert pair.show_first().title == "p_1, scan"
    assert isinstance(repeat_beside_paper(opened), Missing)


def test_without_a_scored_scan_it_says_how_to_score(reading_study) -> None:
    with pytest.raises(InputError, match="score_study"):
        scan_and_rescan(open_study(reading_study))
