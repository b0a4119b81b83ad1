import numpy as np
import pandas as pd
import pytest

from cacnb.ct.volume import Volume
from cacnb.evaluation.map_steps import STEPS, MapSteps, NetworkAnswers
from cacnb.lessons.figure import Figure
from cacnb.lessons.map_figures import (
    map_by_slice,
    mass_against_truth,
    steps_chart,
    without_calcium,
)
from cacnb.lessons.map_views import false_positive_view, map_view, steps_view
from cacnb.lessons.missing import Missing
from cacnb.lessons.scored import scored_scan
from cacnb.scoring.proposed import score_map
from cacnb.simulation.lesions import hu_mm3_per_mg


def with_truth(study, mass_mg: dict[str, float]):
    """The study as a simulated one that knows what its scans hold."""
    study.cohort.assign(kvp=120.0).to_csv(study.folder / "cohort.csv", index=False)
    (study.folder / "study.toml").write_text("simulated = true\n", encoding="utf-8")
    truth = pd.DataFrame({"scan": list(mass_mg), "mass_mg": list(mass_mg.values())})
    truth = truth.assign(visible=truth["mass_mg"] > 0)
    truth.to_csv(study.folder / "truth_scans.csv", index=False)
    return study


def test_the_bars_of_the_slices_add_up_to_the_score(study):
    scan = scored_scan(study, "one")
    figure = map_by_slice(scan)
    mass = figure.numbers.query("what.str.startswith('pseudo')")["value"].sum()
    assert mass == pytest.approx(scan.scores.loc["proposed", "pseudo-mass (HU·mm³)"])
    assert "simulated" not in figure.alt


def test_a_simulated_map_is_called_so_in_title_and_words(study):
    figure = map_by_slice(scored_scan(with_truth(study, {"one": 1.0}), "one"))
    assert "simulated" in figure.alt
    assert "(simulated)" in str(figure.chart.to_dict()["title"])


def steps_of(scan: Volume, map_hu: np.ndarray) -> MapSteps:
    """A map of which half is left after the second step, and all of that to the end."""
    half = map_hu.copy()
    half[:, :, ::2] = 0
    last = scan.with_array(half)
    stages = [scan.with_array(map_hu)] * 2 + [last] * (len(STEPS) - 2)
    return MapSteps(dict(zip(STEPS, stages, strict=True)), score_map(last, scan))


@pytest.fixture
def scan() -> Volume:
    return Volume(np.full((6, 30, 30), 60, np.float32), (1.5, 1.0, 1.0))


def test_the_steps_chart_has_a_bar_a_step_by_each_set_of_rules(scan):
    map_hu = np.zeros(scan.shape, np.float32)
    map_hu[3, 10:14, 10:14] = 50
    one, two = steps_of(scan, map_hu), steps_of(scan, 2 * map_hu)
    figure = steps_chart({"as shipped": one, "twice": two}, simulated=True)
    left = figure.numbers.set_index(["rules", "step"])["left_hu_mm3"]
    assert len(left) == 2 * len(STEPS)
    assert left["as shipped", STEPS[0]] == 16 * 50 * 1.5
    assert left["twice", STEPS[-1]] == 8 * 100 * 1.5
    assert "1,200 by the network, 600 scored" in figure.alt


def test_the_slice_that_loses_most_is_shown_by_the_networks_and_as_it_counts(scan, study):
    map_hu = np.zeros(scan.shape, np.float32)
    map_hu[1, 5:7, 5:7], map_hu[4, 10:14, 10:14] = 30, 50
    steps = steps_of(scan, map_hu)
    region = scan.with_array(np.ones(scan.shape, bool))
    answers = NetworkAnswers(
        scan, scan, region, region, np.zeros(6, np.float32), steps.maps[STEPS[0]], True, {}
    )
    view = steps_view(scored_scan(study, "one"), answers, steps)
    assert view.at == (4,)
    assert [pane.title for pane in view.picture.panes] == [
        "As the network answers", "What counts",
    ]  # fmt: skip


def test_a_mass_is_told_in_mg_by_the_simulated_scanner_beside_its_truth(study):
    figure = mass_against_truth(with_truth(study, {"one": 2.0, "two": 4.0}))
    assert isinstance(figure, Figure)
    points = figure.numbers.query("what == 'pair' and panel.str.startswith('Proposed')")
    mass = study.scores.set_index("scan")["proposed_pseudo_mass_hu_mm3"]
    assert points["measured_mg"].tolist() == pytest.approx(
        [mass["one"] / hu_mm3_per_mg(120), mass["two"] / hu_mm3_per_mg(120)]
    )
    assert "too few" in figure.alt  # two scans have no r


def test_a_study_without_truth_says_so(study):
    assert isinstance(mass_against_truth(study), Missing)


def test_what_is_found_in_scans_without_cac_is_listed_most_first(study):
    study = with_truth(study, {"one": 0.0, "two": 0.0})
    table = without_calcium(study)
    assert table["scan"].tolist() == ["two", "one"]
    assert without_calcium(study, most=1)["scan"].tolist() == ["two"]
    view = false_positive_view(study)
    assert "two" in view.alt
    assert with_truth(study, {"one": 0.0, "two": 3.0})
    assert without_calcium(study)["scan"].tolist() == ["one"]


def test_without_truth_the_settled_slice_labels_say_which_scans_show_none(study):
    assert isinstance(without_calcium(study), Missing)
    assert isinstance(false_positive_view(study), Missing)
    rows = [("one", 3, 0), ("one", 4, 0), ("two", 3, 1)]
    labels = pd.DataFrame(rows, columns=["scan", "slice", "contains_cac"])
    labels.assign(reader="r").to_csv(study.folder / "slice_labels.csv", index=False)
    assert without_calcium(study)["scan"].tolist() == ["one"]


def test_the_map_view_shows_scan_map_and_healthy_image(study):
    scan = scored_scan(study, "two")
    view = map_view(scan)
    assert [bool(pane.layers) for pane in view.picture.panes] == [False, True, False]
    shown = int(scan.cac_map.array.any(axis=(1, 2)).sum())
    assert f"calcium in {shown} slices" in view.alt
