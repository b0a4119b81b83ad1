import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cacnb.agree import agree
from cacnb.cli import app
from cacnb.errors import InputError, UsageError


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
    assert found["risk_category"] == {"kappa_linear": None, "ci95": None, "accuracy": 1.0}
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


def test_a_missing_file_or_column_is_a_wrong_call(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        agree(tmp_path / "none.csv", "a", "b")
    with pytest.raises(UsageError, match="it has patient, a, b"):
        agree(write(tmp_path, PAIRS), "a", "c")
