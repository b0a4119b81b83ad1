import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cacnb.errors import InputError, UsageError
from cacnb.export.chart_ablation import ablation_detection_chart, ablation_reproducibility_chart
from cacnb.export.chart_files import chart_svg, inline_svg, numbers_behind, save_chart
from cacnb.export.chart_intervals import (
    artery_chart,
    difference_chart,
    scan_detection_chart,
    truth_group_chart,
)
from cacnb.export.chart_pairs import (
    ScorePairs,
    bland_altman_chart,
    scan_rescan_chart,
    truth_chart,
)
from cacnb.export.chart_parameters import parameter_chart
from cacnb.export.chart_points import MOST_POINTS
from cacnb.export.chart_words import LOOKS
from cacnb.study.bland_altman import bland_altman

SVG = "{http://www.w3.org/2000/svg}"

#: What a browser draws at most (Vega-Lite).
MOST_ROWS = 5000

TRIED = [
    {"identity_weight": 10, "sparsity_weight": s, "f1": f, "relative_difference_both_positive": r}
    for s, f, r in ((0.001, 0.8, 0.47), (0.01, 0.7, 0.61), (0.1, None, None))
]


class Drawn:
    """A chart as it is drawn: its words, line by line, and how many marks of a kind it has."""

    def __init__(self, svg):
        self.root = ET.fromstring(svg)  # noqa: S314 - we made it
        parts = [e for kind in ("text", "tspan") for e in self.root.iter(f"{SVG}{kind}")]
        self.words = [part.text for part in parts if part.text]

    def marks(self, kind):
        groups = self.root.iter(f"{SVG}g")
        wanted = f"mark-{kind} role-mark"
        return sum(len(list(group)) for group in groups if wanted in group.get("class", ""))


def words(chart):
    return Drawn(chart_svg(chart)).words


def drawn_marks(chart, kind):
    return Drawn(chart_svg(chart)).marks(kind)


def scores(pairs, method, label=None):
    one, two = (pairs[f"{method}_agatston_{i}"].to_numpy() for i in (1, 2))
    return ScorePairs(label or LOOKS[method].label, one, two, method)


def fitted(pairs, *methods):
    found = [scores(pairs, method) for method in methods]
    return [(each, bland_altman(each.first, each.second)) for each in found]


def test_methods_differ_in_colour_and_in_grey_print():
    for trait in ("label", "colour", "shape", "dash"):
        assert len({getattr(look, trait) for look in LOOKS.values()}) == len(LOOKS)


@pytest.mark.parametrize("simulated", [True, False])
def test_a_title_says_where_numbers_are_simulated(evidence, simulated):
    chart = scan_detection_chart(evidence["detection_per_scan"], simulated=simulated)
    assert (f"Detection of visible calcium per scan{' (simulated)' * simulated}") in words(chart)


def test_detection_shows_each_method_once_for_each_measure(evidence):
    rows = evidence["detection_per_scan"]
    chart = scan_detection_chart(rows, simulated=True)
    numbers = numbers_behind(chart)
    assert drawn_marks(chart, "symbol") == len(numbers) == 9
    sensitivity = numbers[numbers["measure"] == "Sensitivity"].set_index("method")
    for row in rows:
        drawn = sensitivity.loc[LOOKS[row["method"]].label]
        assert [drawn["low"], drawn["high"]] == row["sensitivity_ci95"]
        assert drawn["value"] == row["sensitivity"]


def test_table_3_as_a_picture_has_every_artery_and_method(evidence):
    chart = artery_chart(
        evidence["detection_per_artery"], evidence["reproducibility_per_artery"], simulated=True
    )
    drawn = Drawn(chart_svg(chart))
    said = drawn.words
    assert drawn.marks("symbol") == 3 * 4 * 3
    assert {"Any artery", "LAD", "RCA", "LCX", "Detected, single scans"} <= set(said)
    order = [said.index(artery) for artery in ("Any artery", "LAD", "RCA", "LCX")]
    assert order == sorted(order)


def test_a_number_that_a_study_lacks_is_not_drawn(evidence):
    rows = evidence["detection_per_artery"]
    rows[0] |= {"sensitivity": None, "sensitivity_ci95": None, "pair_sensitivity_ci95": None}
    chart = artery_chart(rows, [], simulated=True)
    assert drawn_marks(chart, "symbol") == 2 * 4 * 3 - 1


def test_a_forest_plot_says_difference_interval_and_p(evidence):
    rows = evidence["comparison"]
    rows.append({**rows[0], "statistic": "f1", "difference": None, "difference_ci95": None})
    said = words(difference_chart(rows, simulated=True))
    assert said.count("−0.42 (−0.47 to −0.37), p < 0.001") == 2
    assert said.count("+0.06 (+0.01 to +0.11), p = 0.031") == 2
    assert "Relative difference, positive pairs (lower is better)" in said
    assert "Proposed − Clinical, automatic" in said
    assert not any("F1" in text for text in said)


def test_figure_6a_has_a_bar_a_setting_and_a_line_a_clinical_method(evidence):
    chart = ablation_detection_chart(
        evidence["ablation"], evidence["detection_per_scan"], simulated=True
    )
    numbers, drawn = numbers_behind(chart), Drawn(chart_svg(chart))
    assert drawn.marks("rect") == (numbers["kind"] == "setting").sum() == 4 * 3
    assert drawn.marks("rule") == (numbers["kind"] == "clinical").sum() == 2 * 3
    both = numbers[(numbers["what"] == "HS+ CL+") & (numbers["measure"] == "F1 score")]
    assert both["value"].tolist() == [evidence["ablation"][0]["f1"]]


def test_figure_6b_has_all_and_positive_pairs(evidence):
    chart = ablation_reproducibility_chart(
        evidence["ablation"], evidence["reproducibility"], simulated=True
    )
    drawn = Drawn(chart_svg(chart))
    assert drawn.marks("rect") == 4 * 2
    assert {"All pairs", "Positive pairs", "HS− CL+"} <= set(drawn.words)


def test_an_ablation_without_clinical_methods_has_no_line(evidence):
    chart = ablation_detection_chart(evidence["ablation"], [], simulated=True)
    assert drawn_marks(chart, "rule") == 0


def test_figure_5_marks_the_chosen_setting():
    chart = parameter_chart(TRIED, chosen=0, simulated=True)
    numbers = numbers_behind(chart)
    assert numbers["f1"].tolist()[:2] == [0.8, 0.7]
    assert numbers["chosen"].tolist() == [True, False, False]
    said = words(chart)
    assert {"α 10, β 0.001", "F1 score per scan"} <= set(said)
    assert said.count("chosen") == 2


def test_figure_5_needs_a_row_that_was_tried():
    with pytest.raises(UsageError, match="row 3 was chosen of 3"):
        parameter_chart(TRIED, chosen=3, simulated=True)


@pytest.mark.parametrize("axis", ["linear", "symlog"])
def test_a_bland_altman_plot_has_a_point_a_pair(pairs_of, axis):
    pairs = pairs_of(40)
    methods = fitted(pairs, "proposed", "clinical_manual")
    chart = bland_altman_chart(methods, unit="Agatston score", simulated=True, axis=axis)
    numbers = numbers_behind(chart)
    points = numbers[numbers["what"] == "pair"]
    drawn = Drawn(chart_svg(chart))
    assert drawn.marks("symbol") == len(points) == 80
    first, second = methods[0][0].first, methods[0][0].second
    own = points[points["panel"].str.startswith("Proposed")]
    assert np.allclose(own["difference"], first - second)
    assert np.allclose(own["mean"], (first + second) / 2)
    assert "First − second, Agatston score" in drawn.words


def test_limits_widen_with_the_mean_and_are_never_negative():
    falling = ScorePairs("theirs", np.array([9.0, 11, 50, 100]), np.array([1.0, 19, 50, 100]))
    found = bland_altman(falling.first, falling.second)
    chart = bland_altman_chart([(falling, found)], unit="score", simulated=False)
    numbers = numbers_behind(chart)
    lines = numbers[numbers["line"] == "95 % limits of agreement"]
    upper, lower = (part for _, part in lines.groupby("part"))
    assert (upper["difference"] >= 0).all()
    assert (upper["difference"] == 0).any()
    assert np.allclose(upper["difference"], found.limit_at(upper["mean"]))
    assert np.array_equal(lower["difference"].to_numpy(), -upper["difference"].to_numpy())


def test_panels_of_scan_and_rescan_have_one_line_of_equal_scores_each(pairs_of):
    pairs = pairs_of(30)
    methods = [scores(pairs, method) for method in LOOKS]
    chart = scan_rescan_chart(methods, unit="Agatston score", simulated=True)
    numbers = numbers_behind(chart)
    line = numbers[numbers["line"] == "equal scores"]
    assert line["panel"].nunique() == 3
    assert np.array_equal(line["first"], line["second"])
    top = max(max(each.first.max(), each.second.max()) for each in methods)
    assert line["first"].max() == pytest.approx(top)


def test_twenty_thousand_pairs_are_counted_on_a_grid_that_a_browser_can_draw(pairs_of):
    pairs = pairs_of(20_000)
    methods = fitted(pairs, *LOOKS)
    for axis in ("linear", "symlog"):
        chart = bland_altman_chart(methods, unit="score", simulated=True, axis=axis)
        numbers = numbers_behind(chart)
        assert len(numbers) < MOST_ROWS
        assert numbers.groupby("panel")["n"].sum().tolist() == [20_000] * 3
        assert not (numbers["what"] == "pair").any()
    assert drawn_marks(chart, "rect") == (numbers["what"] == "count").sum()


@settings(deadline=None, max_examples=8)
@given(
    st.lists(st.floats(0, 1e5), min_size=3, max_size=12),
    st.sampled_from(["linear", "symlog"]),
)
def test_no_pair_falls_off_the_grid(values, axis):
    many = np.resize(np.array(values), MOST_POINTS + 1)
    pairs = ScorePairs("theirs", many, many[::-1].copy())
    chart = scan_rescan_chart([pairs], unit="score", simulated=False, axis=axis)
    assert numbers_behind(chart)["n"].sum() == many.size


def test_measured_mass_stands_against_the_truth_of_the_same_scan():
    truth = np.array([0.0, 2.0, 30.0, 400.0])
    measured = {"proposed": truth * 0.9, "clinical_manual": [0.0, np.nan, 20.0, 300.0]}
    chart = truth_chart(truth, measured, notes={"proposed": ["bias −10 %"]})
    numbers = numbers_behind(chart)
    points = numbers[numbers["what"] == "pair"]
    drawn = Drawn(chart_svg(chart))
    assert drawn.marks("symbol") == len(points) == 7
    assert {"True mass (mg)", "Measured mass (mg)", "bias −10 %"} <= set(drawn.words)
    assert "Calcium mass against the truth (simulated)" in drawn.words
    with pytest.raises(UsageError, match="3 masses by proposed and 4 true ones"):
        truth_chart(truth, {"proposed": truth[:3]})


def test_accuracy_by_group_keeps_the_groups_of_the_study(evidence):
    chart = truth_group_chart(evidence["truth"])
    drawn = Drawn(chart_svg(chart))
    assert "lesions wholly below 130 HU" in drawn.words
    assert drawn.marks("symbol") == 3 * 2 * 2


def test_scores_that_are_all_zero_are_still_drawn():
    nothing = ScorePairs("theirs", np.zeros(4), np.zeros(4))
    for axis in ("linear", "symlog"):
        chart = scan_rescan_chart([nothing], unit="score", simulated=False, axis=axis)
        assert drawn_marks(chart, "symbol") == 4


def test_a_figure_is_written_as_svg_png_and_its_numbers(tmp_path, evidence):
    chart = scan_detection_chart(evidence["detection_per_scan"], simulated=True)
    svg, png, csv = save_chart(chart, tmp_path / "figures" / "figure.6a")
    assert [path.name for path in (svg, png, csv)] == [
        "figure.6a.svg", "figure.6a.png", "figure.6a.csv",
    ]  # fmt: skip
    assert sorted(tmp_path.rglob("*.*")) == sorted((svg, png, csv))
    pd.testing.assert_frame_equal(pd.read_csv(csv), numbers_behind(chart))
    root = Drawn(svg.read_text()).root
    with Image.open(png) as picture:
        assert picture.width > 2.5 * float(root.get("width"))
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10


def test_a_figure_that_cannot_be_written_says_so(tmp_path, evidence):
    (tmp_path / "file").touch()
    chart = scan_detection_chart(evidence["detection_per_scan"], simulated=True)
    with pytest.raises(InputError, match="cannot be written"):
        save_chart(chart, tmp_path / "file" / "figure")


def test_a_name_from_a_file_does_not_become_markup(pairs_of):
    evil = ScorePairs("<script>alert(1)</script>", np.arange(4.0), np.arange(4.0))
    svg = chart_svg(
        scan_rescan_chart([evil], unit="score", simulated=False, names=("a' + b\\", '"<i>'))
    )
    assert "<script" not in svg
    said = Drawn(svg).words
    assert {"<script>alert(1)</script>", "a' + b\\, score", '"<i>, score'} <= set(said)


def test_pictures_on_one_page_share_no_identifier(pairs_of):
    svg = chart_svg(
        bland_altman_chart(fitted(pairs_of(10), "proposed"), unit="score", simulated=True)
    )
    one, two = (inline_svg(svg, name, 'x "y" <z>') for name in ("one", "two"))
    ids = [{element.get("id") for element in Drawn(s).root.iter()} - {None} for s in (one, two)]
    assert not ids[0] & ids[1]
    for own, text in zip(ids, (one, two), strict=True):
        assert all(f"url(#{name})" in text for name in own)
    assert Drawn(one).root.get("aria-label") == 'x "y" <z>'
