import re

import numpy as np
import pytest
from typer.testing import CliRunner

from cacnb import RESEARCH_ONLY
from cacnb.agree import agreement
from cacnb.cli import app
from cacnb.errors import InputError
from cacnb.export.agreement_page import write_agreement_page
from cacnb.export.agreement_statements import agreement_statements

FIRST = np.array([0.0, 10, 0, 120, 40, 480, 0])
SECOND = np.array([0.0, 30, 5, 90, 44, 350, 0])


def found_in(first, second, names=("scan", "rescan")):
    return {
        "first": names[0], "second": names[1], "n_missing": 1, **agreement(first, second),
    }  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("agreement") / "page.html"
    write_agreement_page(found_in(FIRST, SECOND), FIRST, SECOND, path, title="Two readers")
    return path.read_text()


def test_the_page_says_what_was_compared_and_that_it_is_for_research(page):
    assert "<title>Two readers</title>" in page
    assert page.count(RESEARCH_ONLY) == 2
    assert "First: <b>scan</b>. Second: <b>rescan</b>" in page


def test_the_page_loads_nothing_and_runs_nothing(page):
    assert "<script" not in page
    assert "default-src 'none'" in page
    outside = re.findall(r'(?:src|href|xlink:href)="(?!#|data:)([^"]*)"', page)
    assert outside == []
    assert re.findall(r"@import|javascript:|\son\w+=", page) == []


def test_three_plots_stand_in_the_page_and_are_described(page):
    assert re.findall(r'<svg role="img" aria-label="([^"]+)"', page) == [
        "rescan against scan, each point a patient.",
        "The same differences on logarithmic axes.",
        "Differences of scan and rescan against their mean.",
    ]


def test_every_number_stands_with_its_meaning(page):
    found = found_in(FIRST, SECOND)
    shown = re.findall(
        r'<th scope="row">([^<]+)</th><td class="value">([^<]+)</td>'
        r'<td class="interval">([^<]*)</td><td>([^<]+)</td>',
        page,
    )
    said = [s for group in agreement_statements(found).values() for s in group]
    assert len(shown) == len(said) >= 14
    by_name = {name: value for name, value, _, _ in shown}
    assert by_name["Pairs"] == "7"
    assert by_name["Discordant"] == "1"
    assert by_name["ICC"] == f"{found['icc']['value']:.2f}"
    assert by_name["Bias"] == "18.7", "(-20 - 5 + 30 - 4 + 130) / 7 to three digits"
    assert all(len(meaning) > 20 for *_, meaning in shown)


def test_relative_differences_read_as_per_cent_of_the_mean():
    relative = agreement_statements(found_in(FIRST, SECOND))["Relative difference"]
    each = [20 / 20, 30 / 105, 4 / 42, 130 / 415]
    assert relative[0].value == f"{100 * np.mean(each):.0f} %"
    assert relative[1].value == f"{100 * np.mean([*each, 2.0]):.0f} %"


def test_a_row_left_out_is_told():
    pairs = agreement_statements(found_in(FIRST, SECOND))["Pairs"]
    assert "1 without one of them was left out" in pairs[0].meaning


def test_limits_are_told_with_the_factor_of_a_half_normal_distribution():
    found = found_in(FIRST, SECOND)
    regression = found["bland_altman"]["regression"]
    widening = agreement_statements(found)["Limits of agreement"][-1].value
    slope = 1.96 * np.sqrt(np.pi / 2) * regression["slope"]
    assert f"{slope:.2f} × mean" in widening


def test_scores_without_calcium_have_a_page_too(tmp_path):
    nothing = np.zeros(4)
    write_agreement_page(
        found_in(nothing, nothing), nothing, nothing, tmp_path / "page.html", title="Nothing"
    )
    page = (tmp_path / "page.html").read_text()
    assert "No patient has two scores above 0" in page
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", page, flags=re.S).lower()


def test_simulated_scores_are_called_simulated(tmp_path):
    path = tmp_path / "page.html"
    write_agreement_page(
        found_in(FIRST, SECOND), FIRST, SECOND, path, title="Pairs", simulated=True
    )
    page = path.read_text()
    assert "<title>Pairs (simulated)</title>" in page
    assert page.count("(simulated)</text>") == 3


def test_a_column_that_is_markup_is_shown_as_text(tmp_path):
    path = tmp_path / "page.html"
    found = found_in(FIRST, SECOND, ("<img src=x onerror=alert(1)>", "b"))
    write_agreement_page(found, FIRST, SECOND, path, title="<i>")
    assert not re.search(r"<img|<i>", path.read_text())


def test_a_page_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_agreement_page(
            found_in(FIRST, SECOND), FIRST, SECOND, tmp_path / "file" / "p.html", title="t"
        )


def test_agree_prints_a_table_and_writes_the_page(tmp_path):
    table, page = tmp_path / "pairs.csv", tmp_path / "out" / "page.html"
    rows = [f"{a},{b}" for a, b in zip(FIRST, SECOND, strict=True)]
    table.write_text("scan,rescan\n" + "\n".join(rows))
    call = ["agree", str(table), "--first", "scan", "--second", "rescan", "--html", str(page)]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    assert "Relative difference" in done.stdout
    assert "what it says" in done.stdout
    assert "<title>Agreement of scan and rescan</title>" in page.read_text()
