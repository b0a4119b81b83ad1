"""What lesson 04 shows: balanced batches, probabilities beside labels, and what they cost."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cacnb.lessons.missing import Missing
from cacnb.lessons.slice_balance import (
    CLASSIFIER,
    CYCLEGAN,
    SHOWS,
    SHOWS_NOT,
    STUDY,
    balance,
    labelled_slices,
)
from cacnb.lessons.slice_evidence import (
    OPEN,
    classifier_table,
    scans_by_label,
    slice_evidence,
    telling_scans,
)
from cacnb.lessons.slice_figures import probability_along_heart, threshold_trade
from cacnb.studies import Study, open_study
from tests.lessons.rounds import HEART, SLICES, SPACING_MM, WITH_CAC, write_round_study

THRESHOLDS = {"slice_probability": 0.5, "slice_probability_beside": 0.2}
WEIGHTS = SimpleNamespace(sha256="ours", threshold=THRESHOLDS.get)

#: The scan's slice nearest to each slice of 1.5 mm.
NEAREST = np.rint(np.arange(1 + (SLICES - 1) * 2) * 1.5 / SPACING_MM[0]).astype(int)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    """Two patients; in the first scan the classifier finds two of three slices, and another."""
    made = write_round_study(tmp_path_factory.mktemp("round"), patients=2)
    inside = np.isin(NEAREST, HEART)
    for name in made.cohort["scan"]:
        high = np.isin(NEAREST, [*list(WITH_CAC)[:2], 15]) & (name == "p0_0")
        told = [(0.9 if up else 0.1) if at else None for at, up in zip(inside, high, strict=True)]
        file = made.folder / "scores" / f"{name}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"weights": {"sha256": "ours"}, "probability_of_cac": told}))
    return made


@pytest.fixture
def unlabelled(tmp_path) -> Study:
    table = pd.DataFrame({"scan": ["a"], "patient": ["a"], "path": ["scans/a.nii.gz"]})
    table.to_csv(tmp_path / "cohort.csv", index=False)
    return open_study(tmp_path)


@pytest.fixture
def slices(study) -> pd.DataFrame:
    return slice_evidence(study, WEIGHTS)


def test_a_batch_of_the_classifier_holds_as_many_slices_with_cac_as_without(study):
    shares = balance(study).numbers.groupby(["drawn", "label"])["share"].sum()

    assert shares[STUDY, SHOWS] == pytest.approx(3 / (4 * len(HEART)))
    assert shares[CLASSIFIER, SHOWS] == pytest.approx(0.5)
    assert shares[CYCLEGAN, SHOWS] == pytest.approx(0.5)


def test_a_batch_of_the_cyclegan_holds_as_many_of_both_in_each_part_of_the_heart(study):
    numbers = balance(study).numbers
    drawn = numbers[numbers["drawn"] == CYCLEGAN].pivot_table(
        index="part", columns="label", values="share"
    )
    shown = drawn[drawn[SHOWS] > 0]

    assert len(shown) > 0
    assert shown[SHOWS].tolist() == pytest.approx(shown[SHOWS_NOT].tolist())
    assert set(drawn.index[drawn[SHOWS_NOT] > 0]) == set(shown.index)


def test_places_in_the_heart_go_from_its_lowest_slice_to_its_highest(study):
    slices = labelled_slices(study).query("scan == 'p0_0'").set_index("slice")["position"]

    assert slices.index.tolist() == list(HEART)
    assert slices.iloc[[0, -1]].tolist() == [0.0, 1.0]


def test_probabilities_of_a_scored_scan_are_read_and_stand_beside_the_nearest_label(slices):
    first = slices[slices["scan"] == "p0_0"]

    assert set(slices["scan"]) == {"p0_0", "p0_1", "p1_0", "p1_1"}
    assert first["height_mm"].iloc[0] == 0.0
    assert (first["label"] == SHOWS).sum() == np.isin(NEAREST, WITH_CAC).sum()
    assert set(slices["label"]) == {SHOWS, SHOWS_NOT}


def test_the_table_counts_slices_as_the_paper_does(slices):
    table = classifier_table(slices, simulated=True)
    column = "these slices (simulated)"

    found, shows = np.isin(NEAREST, list(WITH_CAC)[:2]).sum(), np.isin(NEAREST, WITH_CAC).sum()
    assert table.loc["sensitivity", column] == pytest.approx(found / shows, abs=0.01)
    assert table.loc["sensitivity", "paper"] == 0.78
    assert table.loc["false positive rate", "paper"] == 0.06
    assert table.index.name == f"{len(slices)} slices, {shows} with CAC"


def test_a_lower_threshold_finds_more_and_is_wrong_more_often(slices):
    trade = threshold_trade(slices, simulated=False).numbers

    assert (trade["sensitivity"].diff().dropna() <= 0).all()
    assert (trade["false_positive_rate"].diff().dropna() <= 0).all()
    assert trade.iloc[0][["sensitivity", "false_positive_rate"]].tolist() == [1.0, 1.0]
    assert trade.iloc[-1][["sensitivity", "false_positive_rate"]].tolist() == [0.0, 0.0]


def test_the_scans_to_look_at_are_one_with_cac_and_the_most_suspect_of_those_without(slices, study):
    assert telling_scans(slices)[0] == "p0_0"
    assert telling_scans(slices)[1] != "p0_0"
    assert scans_by_label(study, 2)[0] == "p0_0"
    assert len(scans_by_label(study, 10)) == 4
    assert telling_scans(slices[:0]) == []


def test_a_hearts_slices_are_drawn_with_the_thresholds_of_the_card(slices, study):
    figure = probability_along_heart(study, WEIGHTS, slices, ["p0_0"])

    assert len(figure.numbers) == (slices["scan"] == "p0_0").sum()
    assert f"{np.isin(NEAREST, WITH_CAC).sum()} are labelled as containing CAC" in figure.alt
    assert "0.5: certain" in figure._repr_mimebundle_()[0]["image/svg+xml"]


def test_without_labels_nothing_is_counted_and_a_sentence_says_so(unlabelled, slices):
    bare = slices.assign(label=OPEN)

    assert isinstance(balance(unlabelled), Missing)
    assert isinstance(classifier_table(bare, simulated=False), Missing)
    assert isinstance(threshold_trade(bare, simulated=False), Missing)
    assert isinstance(probability_along_heart(unlabelled, WEIGHTS, slices, []), Missing)
    assert slice_evidence(unlabelled, WEIGHTS).empty
