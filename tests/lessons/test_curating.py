"""What the lesson on curating writes and shows: verdicts, a split, a made-up name, Table 1."""

import re
from pathlib import Path

import pandas as pd
import pytest

from cacnb.lessons.awkward import KINDS, awkward_folder
from cacnb.lessons.inspected import inspected, inspected_study
from cacnb.lessons.missing import Missing
from cacnb.lessons.planted import PLANTED, PRIVATE_ROW, deidentified
from cacnb.lessons.public_scans import inspected_public, phantom_scores, real_data
from cacnb.lessons.splitting import tried_split
from cacnb.lessons.study_tables import PAPER_SETS, paper_table1, status_frame, table1_frame
from cacnb.studies import open_study
from cacnb.study.cohort import read_cohort


@pytest.fixture
def study(tmp_path):
    """Ten patients with two scans each, labelled; no image is there."""
    folder = tmp_path / "clinic"
    rows = [
        (f"p{i}_{at}", f"p{i}", f"p{i}", f"scans/p{i}_{at}.nii.gz")
        for i in range(10) for at in (1, 2)
    ]  # fmt: skip
    cohort = pd.DataFrame(rows, columns=["scan", "patient", "pair", "path"])
    folder.mkdir()
    cohort.to_csv(folder / "cohort.csv", index=False)
    labels = pd.DataFrame({"scan": cohort["scan"], "slice": 3, "contains_cac": [0, 1] * 10})
    labels.to_csv(folder / "slice_labels.csv", index=False)
    return open_study(folder)


def test_each_awkward_series_has_the_fault_that_it_was_given(tmp_path: Path) -> None:
    folder = awkward_folder(tmp_path / "awkward")
    awkward_folder(folder)  # written again it is the same
    found = inspected(folder)
    found.index = found["where"].str.split("/").str[0]
    assert sorted(found.index) == sorted(KINDS)
    assert found["verdict"].to_dict() == {
        "whole": "usable", "one_slice_lost": "refused", "tilted_stack": "refused",
        "other_voltage": "warned", "scout": "refused", "cut_short": "refused", "letter": "no scan",
    }  # fmt: skip
    codes = {"one_slice_lost": "missing_slice", "tilted_stack": "gantry_tilt",
             "other_voltage": "kvp", "scout": "localizer", "cut_short": "undecodable"}  # fmt: skip
    assert all(code in found.loc[kind, "code"] for kind, code in codes.items())
    assert found.loc["one_slice_lost", "slices"] == 23
    assert not found.loc["whole", "why"]


def test_the_scans_of_a_study_are_inspected(reading_study) -> None:
    found = inspected_study(open_study(reading_study))
    assert len(found) == 10
    assert set(found["verdict"]) == {"usable"}
    assert found["where"].iloc[0] == "s0.nii.gz"


def test_a_split_is_tried_on_a_copy_and_a_leak_is_refused(study, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = (study.folder / "cohort.csv").read_bytes()
    split = tried_split(study)
    assert (study.folder / "cohort.csv").read_bytes() == before
    assert split.folder.is_relative_to(Path("out") / "lessons")
    assert split.scans["patients"].sum() == 10
    assert split.scans["scans"].sum() == 20
    drawn = read_cohort(split.folder)
    assert drawn.groupby("patient")["set"].nunique().max() == 1
    said = repr(split.with_a_leak())
    assert re.search(r"1 of the patients on two sides .* rows 2, 3", said)
    pd.testing.assert_frame_equal(read_cohort(split.folder), drawn)
    assert tried_split(study).scans.equals(split.scans)


def test_nobody_leaks_who_has_one_scan(study, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    study.cohort.drop_duplicates("patient").to_csv(study.folder / "cohort.csv", index=False)
    assert "no patient" in repr(tried_split(study).with_a_leak())


def test_of_a_made_up_patient_a_study_keeps_nothing_but_pseudonyms(tmp_path: Path) -> None:
    table = deidentified(tmp_path / "lesson")
    kept = table["kept in the study"]
    assert (
        kept[["PatientBirthDate", "StudyDate", "ImageComments", PRIVATE_ROW]] == "nothing"
    ).all()
    assert re.fullmatch("p[a-z0-9]{10}", kept["PatientID"])
    assert kept["KVP"] == "120.0"
    assert table.loc["PatientName", "planted"] == PLANTED["PatientName"]
    written = [file for file in (tmp_path / "lesson" / "study").rglob("*") if file.is_file()]
    assert len(written) > 8
    for file in written:
        assert not re.search(
            b"Erika|Otto|0000-EXAMPLE|19500101|Example Hospital", file.read_bytes()
        )
    again = deidentified(tmp_path / "lesson")
    assert list(again.index) == list(table.index)


def test_table_1_has_a_row_a_set_beside_the_papers(study) -> None:
    table = table1_frame(study.table1())
    assert list(table.index) == ["(no set)"]
    assert table[("A. Scans", "Scans")].tolist() == ["20"]
    assert table[("B. Reference annotations", "Per-slice CAC")].tolist() == ["✓"]
    paper = paper_table1()
    assert paper.loc["RTP_test2", "Scans"] == "3,086"
    assert paper.loc["RTP_testlesions", "Lesion regions"] == "✓"
    # section 2: 4,038 scans of 2,276 patients, and 626 of 626; subsets are counted once
    whole = [name for name in PAPER_SETS if not name.endswith(("HS", "lesions"))]
    assert sum(PAPER_SETS[name][0] for name in whole) == 2276 + 626
    assert sum(sum(PAPER_SETS[name][1:3]) for name in whole) == 4038 + 626


def test_the_state_of_a_study_names_the_command_that_fills_a_gap(study) -> None:
    state = status_frame(study.status())
    assert state.loc["slice labels", ["done", "of"]].tolist() == [20, 20]
    assert state.loc["heart masks", "command"].startswith("cacnb study add")
    assert state.loc["slice labels", "command"] == ""


def test_without_real_scans_it_says_where_they_were_looked_for(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CACNB_DATA", raising=False)
    assert "data/" in repr(real_data())
    assert all(isinstance(shown(), Missing) for shown in (inspected_public, phantom_scores))
    monkeypatch.setenv("CACNB_DATA", str(tmp_path / "nowhere"))
    assert "CACNB_DATA" in repr(real_data())
    monkeypatch.setenv("CACNB_DATA", str(tmp_path))
    assert "QRM phantom" in repr(phantom_scores())
    assert len(inspected_public()) == 0


def test_the_phantoms_inserts_are_scored_beside_their_true_mass(shared_data, monkeypatch) -> None:
    """The scores are those of tests/scoring/test_phantom.py, which counts by hand."""
    monkeypatch.setenv("CACNB_DATA", str(shared_data))
    found = phantom_scores().set_index(["diameter_mm", "mg_cm3"])
    assert found.loc[(5, 800), "agatston"] == 402.9
    assert found.loc[(3, 200), "agatston"] == 22.9
    assert found.loc[(1, 200), "clinical_mg"] == 0
    assert found.loc[(5, 400), "true_mg"] == 39.3  # π/4 × 5³ mm³ × 0.4 mg/mm³
    assert found["clinical_mg"].corr(found["true_mg"]) > 0.99
