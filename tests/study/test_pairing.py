"""Same-day scans: breath-hold pairs, repeats, and reconstructions that are no repeat."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cacnb.errors import InputError
from cacnb.study.pairing import proposed_pairs, read_pairs, with_pairs, write_pairs


def day(*scans: dict[str, object]) -> pd.DataFrame:
    rows = [{"patient": "p", "study_order": 1, "path": "x", **scan} for scan in scans]
    return pd.DataFrame(rows)


def one(scan: str, minutes: float | None, frame: str | None = "f", **told: object):
    return {"scan": scan, "minutes": minutes, "frame": frame, "kernel": "B30f", **told}


def kinds(cohort: pd.DataFrame) -> dict[str, tuple[str, str]]:
    rows = proposed_pairs(cohort)
    return {f"{row.first}{row.second}": (str(row.kind), str(row.use)) for row in rows.itertuples()}


def test_breath_hold_and_free_breathing_of_one_day_are_paired() -> None:
    cohort = day(one("a", 0.0, breath_hold=False), one("b", 6.0, breath_hold=True))
    (row,) = proposed_pairs(cohort).to_dict("records")
    assert (row["kind"], row["use"], row["minutes_apart"]) == ("breath_hold", "yes", 6.0)
    assert row["pair"] == "p_1"


def test_two_kernels_of_one_acquisition_are_no_repeat() -> None:
    cohort = day(one("a", 3.0), one("b", 3.0, kernel="B50f"))
    assert kinds(cohort) == {"ab": ("reconstruction", "no")}


def test_a_second_acquisition_is_paired_with_the_same_kernel_and_once_only() -> None:
    cohort = day(
        one("a", 0.0), one("b", 0.0, kernel="B50f"), one("c", 15.0, frame="g", kernel="B50f"),
        one("d", 15.0, frame="g"),
    )  # fmt: skip
    found = kinds(cohort)
    assert found["ad"] == ("repeat", "yes")
    assert found["ab"] == found["cd"] == ("reconstruction", "no")
    assert sum(use == "yes" for _, use in found.values()) == 1


def test_repositioned_scans_at_one_minute_are_two_acquisitions() -> None:
    assert kinds(day(one("a", 2.0), one("b", 2.1, frame="g"))) == {"ab": ("repeat", "yes")}


def test_headers_that_do_not_tell_are_left_to_a_person() -> None:
    assert kinds(day(one("a", None), one("b", None))) == {"ab": ("unclear", "no")}
    assert kinds(day(one("a", 1.0, None), one("b", 1.0, None))) == {"ab": ("unclear", "no")}


def test_scans_of_other_days_patients_and_pairs_are_not_proposed() -> None:
    assert proposed_pairs(day(one("a", 0.0), one("b", 9.0, study_order=2))).empty
    assert proposed_pairs(day(one("a", 0.0), one("b", 9.0, patient="q"))).empty
    assert proposed_pairs(day(one("a", 0.0, pair="x"), one("b", 9.0, pair="x"))).empty
    assert proposed_pairs(pd.DataFrame({"scan": ["a"], "patient": ["p"], "path": ["x"]})).empty


def test_two_pairs_of_a_day_have_two_names() -> None:
    cohort = day(*(one(name, 10.0 * i, frame=name) for i, name in enumerate("abcd")))
    used = proposed_pairs(cohort).query("use == 'yes'")
    assert used["pair"].tolist() == ["p_1", "p_1_2"]
    assert with_pairs(cohort, proposed_pairs(cohort))["pair"].nunique() == 2


def test_an_edited_table_is_what_is_confirmed(tmp_path: Path) -> None:
    cohort = day(one("a", 0.0), one("b", 9.0, frame="g"), one("c", 30.0, frame="h"))
    file = write_pairs(tmp_path, proposed_pairs(cohort))
    table = pd.read_csv(file, dtype=str)
    table.loc[table["second"] == "b", "use"] = "No"
    table.loc[(table["first"] == "b"), ["use", "pair"]] = ["YES", "mine"]
    table.to_csv(file, index=False)
    edited = read_pairs(tmp_path)
    assert edited is not None
    paired = with_pairs(cohort, edited)
    assert paired["pair"].fillna("").tolist() == ["", "mine", "mine"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("x,a,zz,yes", "row 2: no scan 'zz'"),
        ("x,a,q1,yes", "row 2: two patients"),
        ("x,a,a,yes", "row 2: a scan cannot repeat itself"),
        ("x,a,b,yes\ny,b,c,yes", "row 3: a scan that has a pair"),
        ("x,a,b,yes\nx,c,d,yes", "row 3: the name 'x' is taken"),
        ("x,a,b,perhaps", "row 2, column use: 'perhaps'"),
    ],
)
def test_an_edit_that_cannot_be_is_told_with_its_row(tmp_path: Path, rows: str, said: str) -> None:
    cohort = day(*(one(name, 0.0) for name in "abcd"), one("q1", 0.0, patient="q"))
    (tmp_path / "pairs.csv").write_text(f"pair,first,second,use\n{rows}\n", encoding="utf-8")
    with pytest.raises(InputError, match=said):
        edited = read_pairs(tmp_path)
        assert edited is not None
        with_pairs(cohort, edited)
