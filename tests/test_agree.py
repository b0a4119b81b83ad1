import json
from math import sqrt
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cacnb.agree import agree
from cacnb.cli import app
from cacnb.errors import InputError, UsageError
from cacnb.study.concordance import concordance
from cacnb.study.intraclass import icc, icc_interval, icc_log1p


def write(folder: Path, text: str) -> Path:
    path = folder / "pairs.csv"
    path.write_text(text, encoding="utf-8")
    return path


PAIRS = "patient,a,b\n1,0,0\n2,10,30\n3,0,5\n4,120,90\n5,500,450\n6,,3\n"


def test_the_figures_are_those_of_the_pairs(tmp_path: Path) -> None:
    found = agree(write(tmp_path, PAIRS), "a", "b")
    assert (found["n_pairs"], found["n_missing"]) == (5, 1)
    assert (found["n_both_positive"], found["n_discordant"]) == (3, 1)
    both = (1.0 + 30 / 105 + 50 / 475) / 3
    assert found["relative_difference"]["both_positive"] == pytest.approx(both)
    assert found["relative_difference"]["any_positive"] == pytest.approx((3 * both + 2) / 4)
    assert found["bland_altman"]["bias"] == pytest.approx((0 - 20 - 5 + 30 + 50) / 5)
    low, high = found["icc"]["ci95"]
    assert low <= found["icc"]["value"] <= high
    assert found["risk_category"]["accuracy"] == pytest.approx(3 / 5)
    assert found["calls"] == {"both": 3, "first_only": 0, "second_only": 1, "neither": 1}
    assert found["relative_difference"]["all_pairs"] == pytest.approx((3 * both + 2) / 5)
    ratings = [[0, 0], [10, 30], [0, 5], [120, 90], [500, 450]]
    assert found["icc"]["value"] == icc(ratings).single
    assert found["icc"]["average"] == icc(ratings).average
    assert found["icc"]["ci95_f"] == icc(ratings).ci95_f
    assert found["icc"]["log1p"]["value"] == icc_log1p(ratings)
    assert found["ccc"]["value"] == concordance(*zip(*ratings, strict=True)).value
    within = sqrt((20**2 + 5**2 + 30**2 + 50**2) / 10)
    assert found["repeatability"]["coefficient"] == pytest.approx(1.96 * sqrt(2) * within)


def test_no_number_that_is_none_travels_as_nan(tmp_path: Path) -> None:
    for rows in ("0,0\n0,0\n0,0\n", "0,0\n0,0\n5,0\n", "7,7\n7,7\n7,7\n", "1,2\n2,1\n1,2\n"):
        found = agree(write(tmp_path, f"a,b\n{rows}"), "a", "b")
        assert json.dumps(found, allow_nan=False)


def test_the_command_prints_the_promised_object(tmp_path: Path) -> None:
    path = write(tmp_path, PAIRS)
    result = CliRunner().invoke(
        app, ["agree", str(path), "--first", "a", "--second", "b", "--json"]
    )
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert {
        "n_pairs", "n_both_positive", "n_discordant", "relative_difference", "icc",
        "bland_altman", "risk_category",
    } <= set(found)  # fmt: skip
    assert set(found["bland_altman"]["regression"]) == {"intercept", "slope"}


def test_scores_without_any_calcium_have_no_icc_and_no_kappa(tmp_path: Path) -> None:
    found = agree(write(tmp_path, "a,b\n0,0\n0,0\n0,0\n"), "a", "b")
    assert found["icc"]["value"] is None
    assert found["icc"]["ci95"] is None
    assert found["risk_category"]["kappa_linear"] is None
    assert found["risk_category"]["ci95"] is None
    assert found["risk_category"]["accuracy"] == 1.0
    assert found["risk_category"]["table"][0][0] == 3
    assert found["relative_difference"]["all_pairs"] == 0
    assert found["relative_difference"]["any_positive"] is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n-3,4\n5,6\n", "row 3 .*column 'a'"),
        ("a,b\n1,2\n3,many\n5,6\n", "row 3 .*column 'b'"),
        ("a,b\n1,2\n3,inf\n5,6\n", "row 3 .*column 'b'"),
        ("a,b\n1,2\n", "1 complete pairs"),
        ("", "no CSV table"),
    ],
)
def test_a_table_that_holds_no_pairs_of_scores_is_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        agree(write(tmp_path, text), "a", "b")


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffpatient;a;b\n1;0;0\n2;10,0;30\n3;0;5\n4;120;90,0\n5;500;450\n6;;3\n",
        "patient\ta\tb\n1\t0\t0\n2\t10\t30\n3\t0\t5\n4\t120\t90\n5\t500\t450\n6\t\t3\n",
        "patient,a,b\n1,0,0\n\n2, 10 ,3e1\n3,0,5\n4,120,90\n5,500,450\n6,NA,3\n\n",
    ],
)
def test_tables_as_spreadsheets_write_them_are_read_alike(tmp_path: Path, text: str) -> None:
    plain = agree(write(tmp_path, PAIRS), "a", "b")
    assert agree(write(tmp_path, text), "a", "b") == plain


def test_a_row_after_an_empty_line_is_told_by_its_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="row 5"):
        agree(write(tmp_path, "a,b\n1,2\n\n3,4\nmany,1\n"), "a", "b")


def test_very_many_pairs_get_the_plain_bootstrap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert agree(write(tmp_path, PAIRS), "a", "b")["icc"]["bootstrap"] == "calibrated"
    monkeypatch.setattr("cacnb.agree.CALIBRATED_PAIRS", 4)
    found = agree(write(tmp_path, PAIRS), "a", "b")["icc"]
    ratings = [[0, 0], [10, 30], [0, 5], [120, 90], [500, 450]]
    assert found["bootstrap"] == "percentile"
    assert found["ci95"] == icc_interval(ratings, kind="percentile")


def test_a_missing_file_or_column_is_a_wrong_call(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        agree(tmp_path / "none.csv", "a", "b")
    with pytest.raises(UsageError, match="it has patient, a, b"):
        agree(write(tmp_path, PAIRS), "a", "c")
    with pytest.raises(UsageError, match="named twice"):
        agree(write(tmp_path, PAIRS), "a", "a")
