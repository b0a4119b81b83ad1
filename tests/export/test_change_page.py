import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from cacnb.errors import UsageError
from cacnb.export.change_chart import BANDS, change_chart
from cacnb.export.change_page import write_change_page
from cacnb.study.change import Change, judge_change
from cacnb.study.mesa import judge_by_mesa
from cacnb.study.repeat import RepeatStudy, learn_repeat


def a_study(*, simulated: bool = True) -> RepeatStudy:
    rng = np.random.default_rng(0)
    mean = rng.uniform(20, 600, 80)
    size = rng.normal(0, 1, 80) * (3 + 0.15 * mean)
    zeros = np.zeros(30)
    beside = np.where(np.arange(30) < 6, 4.0 + np.arange(30), 0.0)
    return learn_repeat(
        np.append(mean + size / 2, zeros), np.append(mean - size / 2, beside),
        name="RTP pairs", simulated=simulated,
    )  # fmt: skip


def a_change(baseline: float, followup: float, **about: bool) -> Change:
    return judge_change(
        baseline, followup, a_study(**about), score="Clinical Agatston score", years=2.0
    )


def write(path: Path, change: Change, bmi: float | None = None) -> str:
    mesa = None if bmi is None else judge_by_mesa(change.baseline, change.followup, bmi)
    write_change_page({"clinical": change}, path, mesa=mesa, notes=["<b>Beware</b>"])
    return path.read_text(encoding="utf-8")


def test_the_page_says_what_was_found_and_that_it_is_for_research(tmp_path: Path) -> None:
    change = a_change(100.0, 160.0)
    page = write(tmp_path / "change.html", change, bmi=27.0)
    assert change.statement.replace("'", "&#39;") in page
    assert "not for diagnosis" in page
    assert "Simulated limits" in page
    assert "by MESA" in page
    assert f'value="{change.limit!r}"' in page
    assert "&lt;b&gt;Beware" in page


def test_limits_of_real_pairs_are_not_called_simulated(tmp_path: Path) -> None:
    page = write(tmp_path / "a.html", a_change(100.0, 160.0, simulated=False))
    assert "imulated" not in page[page.index("<body") :]


def test_the_page_needs_no_network_and_runs_nothing(tmp_path: Path) -> None:
    page = write(tmp_path / "change.html", a_change(100.0, 160.0), bmi=27.0)
    assert "<script" not in page
    addresses = set(re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?(https?:[^\"')\s]+)", page))
    assert addresses <= {"http://www.w3.org/1999/xlink"}


def test_as_many_marks_are_filled_as_repeat_pairs_of_a_hundred(tmp_path: Path) -> None:
    change = a_change(100.0, 125.0)
    assert change.probability is not None
    page = write(tmp_path / "change.html", change)
    assert page.count('class="filled"') == round(100 * change.probability) > 0


@pytest.mark.parametrize(("baseline", "followup"), [(0.0, 9.0), (9.0, 0.0), (0.0, 0.0)])
def test_changes_from_and_to_zero_have_a_page_of_their_own(
    tmp_path: Path, baseline: float, followup: float
) -> None:
    page = write(tmp_path / "change.html", a_change(baseline, followup))
    assert ("of scans scored 0" in page) is (baseline != followup)


def test_the_picture_is_an_svg_with_the_patient_and_the_bands() -> None:
    from cacnb.export.chart_files import chart_svg

    change = a_change(100.0, 160.0)
    chart = change_chart(change, judge_by_mesa(100.0, 160.0, 27.0))
    assert chart is not None
    svg = chart_svg(chart)
    ElementTree.fromstring(svg)  # noqa: S314 - our own picture
    for text in (
        "this patient",
        "MESA",
        "95 %",
        "99 % of repeat pairs",
        "79 simulated",
        "80 simul",
    ):
        assert (text in svg) is (text != "79 simulated")
    assert all(colour in svg.lower() for _, colour in BANDS)


def test_nothing_is_drawn_where_nothing_was_judged() -> None:
    assert change_chart(a_change(0.0, 0.0)) is None
    bare = RepeatStudy("phantom", False, "linear", 1.0, 0.1, 20)
    assert change_chart(judge_change(0.0, 10.0, bare)) is None


def test_a_page_without_a_change_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least one"):
        write_change_page({}, tmp_path / "change.html")
