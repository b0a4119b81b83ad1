"""The table of a study's scans: what it may hold, and that a patient cannot leak across a split."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cacnb.errors import InputError
from cacnb.study.cohort import append_rows, read_cohort
from cacnb.study.new import new_study
from cacnb.study.sets import PAPER_SETS
from cacnb.study.splits import sides

HEADER = "scan,patient,pair,breath_hold,set,path,kvp,slices\n"


def cohort(folder: Path, *rows: str, header: str = HEADER) -> Path:
    (folder / "cohort.csv").write_text(header + "".join(f"{r}\n" for r in rows), encoding="utf-8")
    return folder


def refusal(folder: Path) -> InputError:
    with pytest.raises(InputError) as refused:
        read_cohort(folder)
    return refused.value


def test_cells_have_the_types_of_the_field(tmp_path: Path) -> None:
    table = read_cohort(cohort(tmp_path, "007,1,01,True,,a.nii,120,52", "NA,2,,False,test,b.nii,,"))
    assert table["scan"].tolist() == ["007", "NA"]
    assert table["patient"].tolist() == ["1", "2"]
    assert table["pair"].isna().tolist() == [False, True]
    assert table["breath_hold"].dtype == bool
    assert table["kvp"].tolist()[0] == 120 and pd.isna(table["kvp"][1])


def test_breathing_that_is_not_told_stays_missing(tmp_path: Path) -> None:
    table = read_cohort(cohort(tmp_path, "a,p,,true,,a.nii,,", "b,p,,,,b.nii,,"))
    assert table["breath_hold"].tolist() == [True, pd.NA]


def test_wrong_cells_are_told_by_row_and_column(tmp_path: Path) -> None:
    error = refusal(
        cohort(tmp_path, "a,p,,yes,,a.nii,120,52", "b,,,True,,b.nii,0,52", "c,p,,True,,c.nii,120,x")
    )
    assert error.code == "bad_cohort"
    told = error.message.splitlines()[1:]
    assert told == [
        "row 2, column breath_hold: 'yes' came, wanted True or False",
        "row 3, column kvp: '0' came, wanted a number above 0",
        "row 3, column patient: nothing came, wanted a text",
        "row 4, column slices: 'x' came, wanted a whole number from 1 on",
    ]


def test_many_wrong_cells_are_counted(tmp_path: Path) -> None:
    told = refusal(cohort(tmp_path, *(f"s{i},p,,True,,a.nii,-1,5" for i in range(9)))).message
    assert len(told.splitlines()) == 6
    assert told.endswith("and 5 more")


@pytest.mark.parametrize("scan", ["../up", "a/b", ".hidden", "-rf", "a:b", ""])
def test_a_scan_has_a_name_that_a_file_can_have(tmp_path: Path, scan: str) -> None:
    assert "column scan" in refusal(cohort(tmp_path, f"{scan},p,,True,,a.nii,120,5")).message


def test_two_scans_of_one_name_are_told_with_both_rows(tmp_path: Path) -> None:
    error = refusal(cohort(tmp_path, "a,p,,True,,a.nii,120,5", "a,p,,False,,b.nii,120,5"))
    assert error.code == "doubled_scan"
    assert "row 3, column scan: 'a' is also in row 2" in error.message


def test_a_pair_of_two_patients_is_refused(tmp_path: Path) -> None:
    error = refusal(cohort(tmp_path, "a,p,x,True,,a.nii,120,5", "b,q,x,False,,b.nii,120,5"))
    assert "row 3, column pair: 'x' is of another patient in row 2" in error.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("scan,patient\na,p\n", "no column 'path'"),
        ("scan,patient,path\na,p\n", "row 2 has 2 cells and the header 3"),
        ("scan,scan,patient,path\na,a,p,a.nii\n", "two columns 'scan'"),
        ("", "no column 'scan'"),
    ],
)
def test_what_is_no_cohort_is_told(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(cohort(tmp_path, header=text)).message


def test_a_spreadsheets_byte_order_mark_blank_last_lines_and_own_columns_are_read(
    tmp_path: Path,
) -> None:
    text = '\ufeffscan,patient,path,age,note\na,p,a.nii,61,"x, y"\n\n,,,,\n'
    table = read_cohort(cohort(tmp_path, header=text))
    assert table.to_dict("records") == [
        {"scan": "a", "patient": "p", "path": "a.nii", "age": 61, "note": "x, y"}
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [("train", "test"), ("RTP_train", "RTP_test1"), ("RTP_trainHS", "RTP_testHS"), ("val", "test")],
)
def test_a_patient_on_two_sides_of_the_split_is_refused_with_the_rows(
    tmp_path: Path, first: str, second: str
) -> None:
    study = cohort(
        tmp_path, f"a,p,,True,{first},a.nii,120,5", "b,q,,True,train,b.nii,120,5",
        f"c,p,,False,{second},c.nii,120,5",
    )  # fmt: skip
    error = refusal(study)
    assert error.code == "leakage"
    assert "rows 2, 4" in error.message
    with pytest.raises(InputError, match="rows 2, 4"):
        sides(read_cohort(study, leaks=True))


@pytest.mark.parametrize(
    ("first", "second"),
    [("RTP_test1", "RTP_testlesions"), ("RTP_train", "RTP_trainHS"), ("RTP_train", "RTP_testHS")],
)
def test_a_subset_and_its_set_are_one_side(tmp_path: Path, first: str, second: str) -> None:
    study = cohort(tmp_path, f"a,p,,True,{first},a.nii,120,5", f"b,p,,False,{second},b.nii,120,5")
    assert len(read_cohort(study)) == 2


def test_the_sets_are_the_papers() -> None:
    assert [one.name for one in PAPER_SETS] == [
        "NLST_train", "RTP_train", "RTP_trainHS", "RTP_val",
        "RTP_testHS", "RTP_test1", "RTP_testlesions", "RTP_test2",
    ]  # fmt: skip


def test_a_new_study_is_empty_and_takes_rows_all_or_none(tmp_path: Path) -> None:
    study = tmp_path / "study"
    new_study(study, 'the "first"', "a place\nof scans")
    assert read_cohort(study).empty
    row: dict[str, object] = {"scan": "a", "patient": "p", "path": "a.nii", "breath_hold": True}
    append_rows(study, [row, {**row, "scan": "b", "slices": 52, "minutes": 0.0, "frame": "f"}])
    before = (study / "cohort.csv").read_bytes()
    with pytest.raises(InputError, match="row 4, column scan: 'a' is also in row 2"):
        append_rows(study, [row, {**row, "scan": "c"}])
    with pytest.raises(InputError, match="no column 'name'"):
        append_rows(study, [{**row, "scan": "d", "name": "x"}])
    assert (study / "cohort.csv").read_bytes() == before
    append_rows(study, [{**row, "scan": "e", "breath_hold": None}])
    table = read_cohort(study)
    assert table["scan"].tolist() == ["a", "b", "e"]
    assert table["slices"].tolist()[1] == 52
    assert table["breath_hold"].tolist() == [True, True, pd.NA]


def test_a_folder_that_holds_something_becomes_no_study(tmp_path: Path) -> None:
    (tmp_path / "scan.dcm").write_bytes(b"")
    with pytest.raises(InputError, match="holds something already"):
        new_study(tmp_path, "name", "")
    assert [file.name for file in tmp_path.iterdir()] == ["scan.dcm"]
