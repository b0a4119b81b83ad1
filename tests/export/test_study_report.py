import re

import numpy as np
import pandas as pd
import pytest

from cacnb import RESEARCH_ONLY
from cacnb.errors import InputError, UsageError
from cacnb.export.paper_numbers import PAPER
from cacnb.export.paper_tables import artery_table, repeat_table, risk_table
from cacnb.export.study_figures import pair_figures, table_figures
from cacnb.export.study_report import SECTIONS, write_study_report
from cacnb.scoring.risk import scale_to_clinical

METHODS = ("proposed", "clinical_manual", "clinical_automatic")

TRIED = [
    {"identity_weight": 10, "sparsity_weight": s, "f1": f, "relative_difference_both_positive": r}
    for s, f, r in ((0.001, 0.8, 0.47), (0.01, 0.7, 0.61))
]


def sections(html):
    return re.findall(r'<section id="(\w+)">', html)


def cell_of(table, heading, label, column):
    """The cell of a row below a heading."""
    below = None
    for line in table.lines:
        if not line.cells:
            below = line.label
        elif below == heading and line.label == label:
            return line.cells[table.columns.index(column)]
    raise LookupError((heading, label))


@pytest.fixture(scope="module")
def whole(evidence_of, pairs_of, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "study"
    masses = pd.DataFrame({"truth_mg": [0.0, 5, 60], "proposed_mg": [0.0, 4, 61]})
    write_study_report(
        evidence_of(), pairs_of(30), folder, title="Held-out pairs", simulated=True,
        facts={"Convention": "literature & co"}, masses_mg=masses, tried=TRIED, chosen=0,
        examples_png=b"png", examples_caption="Figure 7. Chosen by size.",
    )  # fmt: skip
    return folder


def test_a_whole_study_has_every_section_figure_and_table(whole, evidence):
    html = (whole / "report.html").read_text()
    assert sections(html) == ["study", *(name for name, *_ in SECTIONS)]
    names = {
        "table_3", "figure_5", "figure_6a", "figure_6b", "figure_8", "figure_8_log",
        "scan_rescan", "differences", "truth", "truth_groups",
    }  # fmt: skip
    files = {path.name for path in (whole / "figures").iterdir()}
    assert files == {"figure_7.png"} | {f"{n}.{e}" for n in names for e in ("svg", "png", "csv")}
    tables = {path.stem for path in (whole / "tables").iterdir()}
    assert tables == {*evidence, "tried", "pairs"}
    for number in ("Table 3", "Table 4", "Table 5", "Figure 5", "Figure 6A", "Figure 8"):
        assert number in html


def test_the_page_loads_nothing_runs_nothing_and_is_for_research(whole):
    html = (whole / "report.html").read_text()
    assert "<script" not in html
    assert re.findall(r'(?:src|href)="(?!#|data:)([^"]*)"', html) == []
    assert html.count(RESEARCH_ONLY) == 2
    assert "<title>Held-out pairs (simulated)</title>" in html
    assert "literature &amp; co" in html
    assert "holds &lt;b&gt;287 HU&lt;/b&gt;" in html


def test_every_table_and_figure_of_a_simulated_study_says_so(whole):
    html = (whole / "report.html").read_text()
    captions = re.findall(r"<caption><b>([^<]+)</b>", html)
    figures = re.findall(r"<figcaption>(.*?)</figcaption>", html)
    assert len(captions) == 10
    assert len(figures) == 11
    assert all("(simulated)" in caption for caption in captions)
    assert all(caption.endswith("Simulated.") for caption in figures)


def test_tables_are_written_with_intervals_as_two_columns(whole, evidence):
    table = pd.read_csv(whole / "tables" / "reproducibility.csv")
    for row in evidence["reproducibility"]:
        own = table[table["method"] == row["method"]].iloc[0]
        assert [own["icc_mass_ci95_low"], own["icc_mass_ci95_high"]] == pytest.approx(
            row["icc_mass_ci95"]
        )
    limits = pd.read_csv(whole / "tables" / "limits.csv")
    assert limits["limits_low"].tolist() == [-60.8] * 3


def test_scores_of_pairs_are_written_without_the_names_of_patients(whole, pairs_of):
    written = pd.read_csv(whole / "tables" / "pairs.csv")
    pairs = pairs_of(30).drop(columns="patient")
    pd.testing.assert_frame_equal(written, pairs)
    everything = [path.read_bytes() for path in whole.rglob("*") if path.is_file()]
    assert not any(b"name-of-" in content for content in everything)


def test_a_study_without_labels_truth_or_regions_leaves_their_headings_out(
    evidence, pairs_of, tmp_path
):
    few = {"reproducibility": evidence["reproducibility"][:1], "truth": [], "refused": []}
    pairs = pairs_of(12)[["proposed_agatston_1", "proposed_agatston_2"]]
    path = write_study_report(few, pairs, tmp_path, title="Real scans", simulated=False)
    html = path.read_text()
    assert sections(html) == ["study", "numbers", "reproducibility"]
    assert "imulated" not in re.sub(r"<style>.*?</style>", "", html, flags=re.S)
    assert "Table 3" not in html
    assert "<dt>Refused scans</dt><dd>none</dd>" in html


def test_a_study_with_nothing_yet_is_a_page_without_tables(tmp_path):
    path = write_study_report({}, pd.DataFrame(), tmp_path, title="Empty", simulated=False)
    html = path.read_text()
    assert sections(html) == ["study"]
    assert "<table" not in html
    assert not (tmp_path / "figures").exists()


def test_only_a_simulated_study_has_a_truth(evidence, tmp_path):
    with pytest.raises(UsageError, match="not simulated"):
        write_study_report(evidence, pd.DataFrame(), tmp_path, title="t", simulated=False)


def test_a_report_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_study_report({}, pd.DataFrame(), tmp_path / "file", title="t", simulated=False)


def test_the_paper_stands_beside_the_study_where_it_is_wanted(evidence):
    rows = evidence["detection_per_artery"], evidence["reproducibility_per_artery"]
    beside = artery_table(*rows, paper=True)
    cell = cell_of(beside, "Proposed", "RCA", "Single, n (%)")
    assert (cell.text, cell.interval) == ("91/100 (90 %)", "85 to 95 %")
    assert (cell.paper, cell.place) == ("16 (57 %)", "Table 3, RTP_testlesions")
    alone = artery_table(*rows, paper=False)
    assert not any(cell.paper for line in alone.lines for cell in line.cells)


def test_table_4_has_the_papers_numbers_of_rtp_test2(evidence):
    table = repeat_table(evidence["reproducibility"], paper=True)
    cells = {line.label: line.cells for line in table.lines}
    assert [c.paper for c in cells["Proposed"]] == [
        "0.88", "0.97", "0.96", "", "0.44", "0.96", "0.95",
    ]  # fmt: skip
    assert [c.paper for c in cells["Clinical, automatic"]] == [
        "0.92", "0.93", "0.91", "", "0.58", "0.92", "0.90",
    ]  # fmt: skip
    assert cells["Proposed"][3].text == "51 (43 %)"
    assert "119 scan pairs" in table.caption


def test_table_5_has_methods_side_by_side(evidence):
    table = risk_table(evidence["risk_categories"], paper=True)
    assert table.columns == ("Proposed", "Clinical, reader", "Clinical, automatic")
    cell = cell_of(table, "All pairs, n = 119", "κ, linear weights", "Clinical, reader")
    assert (cell.text, cell.paper) == ("0.80", "0.63")
    assert cell.place == "Table 5, RTP_test1, 0.42 to 0.84"


def test_a_number_that_is_missing_is_a_dash(evidence):
    rows = evidence["reproducibility"][:1]
    rows[0] |= {"icc_mass": None, "icc_mass_ci95": None, "n_both_positive": None}
    cells = repeat_table(rows, paper=False).lines[0].cells
    assert (cells[1].text, cells[1].interval, cells[3].text) == ("–", "", "–")


def test_the_papers_table_3_adds_up():
    """Single lesions of the three arteries are those of "CAC", as the paper prints them."""
    for method in METHODS:
        counts = {
            artery: PAPER["artery", method, artery, "sensitivity"].count
            for artery in ("CAC", "LAD", "RCA", "LCX")
        }
        assert counts.pop("CAC") == sum(counts.values())


def test_the_proposed_scores_are_scaled_to_the_automatic_range_and_named_so(pairs_of):
    pairs = pairs_of(30)
    figure = next(f for f in pair_figures(pairs, simulated=True) if f.name == "figure_8")
    numbers = figure.chart.data
    proposed = numbers[numbers["panel"].str.startswith("Proposed, scaled")]
    points = proposed[proposed["what"] == "pair"]
    ours, theirs = (
        pairs[[f"{m}_agatston_1", f"{m}_agatston_2"]].to_numpy()
        for m in ("proposed", "clinical_automatic")
    )
    assert np.allclose(points["mean"], scale_to_clinical(ours, theirs).mean(axis=1))
    assert "the range of clinical, automatic" in points["panel"].iloc[0]


def test_scores_stay_as_they_are_where_the_clinical_method_found_nothing(pairs_of):
    pairs = pairs_of(30)
    columns = [f"clinical_{m}_agatston_{i}" for m in ("automatic", "manual") for i in (1, 2)]
    pairs[columns] = 0.0
    figure = next(f for f in pair_figures(pairs, simulated=True) if f.name == "figure_8")
    assert figure.chart.data["panel"].iloc[0].startswith("Proposed\n")


def test_pairs_that_one_method_did_not_score_leave_only_its_panel(pairs_of):
    pairs = pairs_of(30)
    pairs.loc[:9, "clinical_manual_agatston_1"] = np.nan
    pairs[["clinical_automatic_agatston_1", "clinical_automatic_agatston_2"]] = np.nan
    figure = next(f for f in pair_figures(pairs, simulated=True) if f.name == "scan_rescan")
    points = figure.chart.data[figure.chart.data["what"] == "pair"]
    assert points.groupby("panel").size().to_dict() == {"Proposed": 30, "Clinical, reader": 20}


def test_detection_per_scan_is_drawn_only_without_an_ablation(evidence):
    names = [figure.name for figure in table_figures(evidence, simulated=True)]
    assert "detection_per_scan" not in names
    names = [f.name for f in table_figures({**evidence, "ablation": []}, simulated=True)]
    assert "detection_per_scan" in names
