from pathlib import Path

import pytest

from cacnb.errors import UsageError
from cacnb.export.paper_numbers import PAPER
from cacnb.lessons.ablation import (
    PAPER_FALSE_POSITIVE_RATE,
    ablation_beside_paper,
    ablation_chart,
)
from cacnb.lessons.evidence import evidence

REPOSITORY = Path(__file__).resolve().parents[2]
LESSONS = REPOSITORY / "notebooks"


def test_the_packaged_evidence_is_the_page_of_the_docs():
    page = (REPOSITORY / "docs" / "evidence.md").read_text(encoding="utf-8")
    packaged = REPOSITORY / "cacnb" / "lessons" / "evidence.md"
    assert packaged.read_text(encoding="utf-8") == page


def test_a_table_has_numbers_where_it_can_and_words_where_it_must():
    table = evidence("Table 4")
    assert table["icc mass"].dtype == float
    assert "…" in table["icc mass 95 %"].iloc[0]
    without = evidence("Table 3B").query("artery == 'RCA' and method == 'clinical_automatic'")
    assert without["relative difference both positive"].isna().all()


def test_a_table_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(UsageError, match="Table 4"):
        evidence("Table 9")


def test_what_the_lessons_say_of_the_evidence_is_in_it():
    repeat = evidence("Table 4").set_index("method")["relative difference both positive"]
    said = (LESSONS / "08_does_the_score_repeat.ipynb").read_text(encoding="utf-8")
    for method in ("proposed", "clinical_manual"):
        assert f"{repeat[method]:.2f}" in said
    truth = evidence("Accuracy").query("group == 'lesions wholly below 130 HU'")
    found = truth.set_index("method")["sensitivity"]
    said = (LESSONS / "07_lesions_and_scores.ipynb").read_text(encoding="utf-8")
    assert f"finds {100 * found['proposed']:.0f} %" in said
    assert f"clinical scoring {100 * found['clinical_manual']:.0f} %" in said
    false = ablation_beside_paper()["false positive rate"]
    said = (LESSONS / "09_what_each_part_buys.ipynb").read_text(encoding="utf-8")
    assert f"{100 * false['HS+ CL−']:.0f} % of the simulated scans" in said
    assert f"{ablation_beside_paper()['simulated scans'].iloc[0]} simulated scans" in said


def test_the_ablation_stands_beside_the_papers_and_its_chart_has_the_same_numbers():
    table = ablation_beside_paper()
    proposed = PAPER["scan", "proposed", "", "false_positive_rate"].value
    assert PAPER_FALSE_POSITIVE_RATE[True, True] == proposed
    assert table.loc["HS+ CL+", "paper, false positive rate"] == proposed
    figure = ablation_chart()
    numbers = figure.numbers.query("measure == 'FPR'").set_index("what")["value"]
    assert numbers.round(2).to_dict() == table["false positive rate"].to_dict()
    assert "simulated" in figure.alt
