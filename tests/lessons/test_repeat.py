import numpy as np
import pandas as pd
import pytest

from cacnb.evaluation.scores import pair_table, score_table
from cacnb.evaluation.tables import reproducibility
from cacnb.lessons.figure import Figure
from cacnb.lessons.missing import Missing
from cacnb.lessons.repeat import (
    categories_beside_paper,
    differences_beside_paper,
    icc_beside_paper,
    judged_change,
    pair_scores,
    widening_limits,
)
from cacnb.study.relative_difference import pair_differences

CELLS = (
    pair_scores, differences_beside_paper, icc_beside_paper, widening_limits,
    categories_beside_paper, judged_change,
)  # fmt: skip


@pytest.fixture
def twelve(pairs, tmp_path):
    return pairs(tmp_path / "twelve", 24, calcium=12)


def test_each_pair_stands_with_both_scores_and_their_difference(twelve):
    table = pair_scores(twelve)
    assert len(table) == 24
    one, two = table["Proposed 1"].to_numpy(), table["Proposed 2"].to_numpy()
    assert np.allclose(table["Proposed Δ"], pair_differences(one, two), atol=0.006, equal_nan=True)
    assert table["Proposed Δ"].isna().sum() == 12
    assert not any("reader" in column for column in table)


def test_the_second_scan_of_a_pair_is_the_breath_hold(twelve):
    scores = twelve.scores.set_index("scan")["proposed_pseudo_mass_hu_mm3"]
    table = pair_scores(twelve)
    assert table.loc["p00", "Proposed 2"] == round(scores["p00_bh"])


def test_the_tables_are_the_evaluations_beside_the_papers(twelve):
    (row, _) = reproducibility(
        pair_table(score_table(twelve.folder)), ["proposed", "clinical_automatic"]
    )
    table = differences_beside_paper(twelve)
    assert table.loc["Proposed", "positive in both"] == 12
    both = row["relative_difference_both_positive"]
    assert table.loc["Proposed", "Δ, both positive"] == f"{both:.2f}"
    assert table.loc["Proposed", "paper, both positive"] == 0.47
    found = icc_beside_paper(twelve).loc["Proposed, pseudo-mass"]
    low, high = row["icc_mass_ci95"]
    assert found["95 % by bootstrap"] == f"{low:.2f} … {high:.2f}"
    assert found["95 % by bootstrap"] != found["95 % by F"]
    assert found["paper, Table 4"] == "0.97"
    assert categories_beside_paper(twelve).loc["Proposed", "paper, κ"] == "0.82 (0.71 … 0.94)"


def test_limits_of_agreement_widen_with_the_mean(twelve):
    figure = widening_limits(twelve)
    assert isinstance(figure, Figure)
    numbers = figure.numbers
    upper = numbers[numbers["part"].astype(str).str.endswith("agreement 0")]
    panel = upper[upper["panel"].str.startswith("Clinical, automatic")].sort_values("mean")
    assert panel["difference"].iloc[-1] > 2 * panel["difference"].iloc[0]
    assert "24 scan pairs" in figure.alt


def test_the_pair_that_differs_most_is_judged_by_the_study_where_it_has_enough_pairs(twelve):
    table = judged_change(twelve)
    assert isinstance(table, pd.DataFrame)
    row = table.loc["Pseudo-mass (HU·mm³)"]
    pairs = pair_scores(twelve)
    apart = (pairs["Proposed 1"] - pairs["Proposed 2"]).abs()
    assert abs(row["first scan"] - row["second scan"]) == pytest.approx(apart.max(), abs=2)
    assert row["limit"] > 0


def test_a_small_study_of_other_weights_has_no_limits_to_be_judged_by(pairs, tmp_path):
    found = judged_change(pairs(tmp_path / "few", 6, calcium=3))
    assert isinstance(found, Missing)
    assert "cannot be judged" in repr(found)


@pytest.mark.parametrize("cell", CELLS, ids=[cell.__name__ for cell in CELLS])
def test_without_pairs_a_cell_says_what_is_missing(cell, twelve):
    cohort = twelve.cohort
    cohort.drop(columns="pair").to_csv(twelve.folder / "cohort.csv", index=False)
    assert "no pair" in repr(cell(twelve))
    cohort.assign(pair=np.nan).to_csv(twelve.folder / "cohort.csv", index=False)
    assert "no pair" in repr(cell(twelve))
    cohort[cohort["breath_hold"]].to_csv(twelve.folder / "cohort.csv", index=False)
    assert "no pair" in repr(cell(twelve))


def test_without_scores_a_cell_says_what_is_missing(twelve):
    for file in (twelve.folder / "scores").iterdir():
        file.unlink()
    assert "score_study" in repr(pair_scores(twelve))
