"""`cacnb export`: what it writes and refuses, and what it never tells of a patient."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pydicom
import pytest
from click.testing import Result
from typer.testing import CliRunner

from cacnb.cli import app
from cacnb.ct.writing import write_image
from cacnb.errors import InputError
from cacnb.export.archive import TARGETS, export_scan
from cacnb.export.scored_result import find_results
from tests.export.scored_dicom import PLANTED, chest, planted_series, score


def called(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def told(*arguments: object) -> tuple[int, dict]:
    result = called(*arguments, "--json")
    return result.exit_code, json.loads(result.stdout)


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """A folder with the results of a DICOM series `first` and of an image file `second`."""
    write_image(chest(), tmp_path / "chest.nii.gz")
    score(planted_series(tmp_path / "series"), tmp_path / "scored", "first")
    score(tmp_path / "chest.nii.gz", tmp_path / "scored", "second")
    return tmp_path / "scored"


def test_a_folder_goes_on_where_one_scan_was_an_image_file(scored: Path, tmp_path: Path) -> None:
    status, found = told(scored, "--to", "all", "--out", tmp_path / "out")
    assert status == 1
    files = {f"first.{target}.dcm" for target in TARGETS}
    assert {Path(one["path"]).name for one in found["exported"]} == files
    assert {path.name for path in (tmp_path / "out").iterdir()} == files
    (refusal,) = found["refused"]
    assert (refusal["scan"], refusal["code"]) == ("second", "not_dicom")
    assert "--keep-dicom" in refusal["message"]


def test_scans_are_chosen_by_name(scored: Path, tmp_path: Path) -> None:
    status, found = told(scored, "--to", "map", "--out", tmp_path / "out", "--scan", "first")
    assert (status, len(found["exported"]), found["refused"]) == (0, 1, [])


def test_what_is_there_stays_unless_it_is_to_be_replaced(scored: Path, tmp_path: Path) -> None:
    result, out = scored / "first.json", tmp_path / "out"
    assert told(result, "--to", "map", "--out", out)[0] == 0
    before = (out / "first.map.dcm").read_bytes()
    status, found = told(result, "--to", "map", "--to", "seg", "--out", out)
    assert (status, found["refused"][0]["code"]) == (1, "exists")
    assert [path.name for path in out.iterdir()] == ["first.map.dcm"]
    assert (out / "first.map.dcm").read_bytes() == before
    assert told(result, "--to", "map", "--to", "seg", "--out", out, "--replace")[0] == 0
    assert (out / "first.map.dcm").read_bytes() != before
    assert sorted(path.name for path in out.iterdir()) == ["first.map.dcm", "first.seg.dcm"]


def test_nothing_of_the_patient_is_told_or_names_a_file(scored: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    broken = planted_series(tmp_path / "broken")
    score(broken, scored, "broken")
    for file in broken.iterdir():
        slice_ = pydicom.dcmread(file)
        del slice_.StudyInstanceUID
        slice_.save_as(file)
    results = [
        called(scored, "--to", "all", "--out", out),
        called(scored, "--to", "all", "--out", out, "--json"),
        called(scored, "--to", "map", "--out", out, "--replace"),
    ]
    said = " ".join(result.output + result.stderr for result in results)
    assert "undecodable" in said
    names = " ".join(path.name for path in out.iterdir())
    assert "first.seg.dcm" in names
    for value in (*PLANTED.values(), "Hidden", "4711", "secret"):
        assert value not in said
        assert value not in names
    for path in out.iterdir():
        made = pydicom.dcmread(path)
        for keyword, value in PLANTED.items():
            assert made[keyword].value == value, "the file belongs to its patient's study"


def test_every_result_belongs_to_the_study_and_is_a_series_of_its_own(
    scored: Path, tmp_path: Path
) -> None:
    told(scored / "first.json", "--to", "all", "--out", tmp_path / "out")
    source = pydicom.dcmread(next((tmp_path / "series").iterdir()))
    made = [pydicom.dcmread(path) for path in (tmp_path / "out").iterdir()]
    assert {one.StudyInstanceUID for one in made} == {source.StudyInstanceUID}
    assert len({one.SeriesInstanceUID for one in made} | {source.SeriesInstanceUID}) == 4
    assert sorted(one.Modality for one in made) == ["OT", "SEG", "SR"]
    frames = {one.FrameOfReferenceUID for one in made if "FrameOfReferenceUID" in one}
    assert frames == {source.FrameOfReferenceUID}


def test_a_study_is_exported_from_where_it_lies_now(tmp_path: Path) -> None:
    study = tmp_path / "study"
    score(planted_series(study / "scans" / "one"), study / "scores", "one")
    rows = [("one", "p", "scans/one"), ("two", "q", "scans/two")]
    pd.DataFrame(rows, columns=["scan", "patient", "path"]).to_csv(
        study / "cohort.csv", index=False
    )
    moved = tmp_path / "moved"
    study.rename(moved)
    for given in (moved, moved / "scores", moved / "scores" / "one.json"):
        status, found = told(given, "--to", "map", "--out", tmp_path / "out", "--replace")
        assert (status, [one["scan"] for one in found["exported"]]) == (0, ["one"])


def _other_uid(folder: Path) -> None:
    for file in folder.iterdir():
        slice_ = pydicom.dcmread(file)
        slice_.SeriesInstanceUID = "1.2.3.4.5"
        slice_.save_as(file)


def _shifted(result: Path) -> None:
    other = chest(slices=20)
    score_of = result.with_name("first.cac_map.nii.gz")
    write_image(other.with_array(other.array * 0), score_of)


def _fewer_lesions(result: Path) -> None:
    content = json.loads(result.read_text())
    content["lesions"] = content["lesions"][:-1]
    result.write_text(json.dumps(content))


def _refused(result: Path) -> None:
    content = {**json.loads(result.read_text()), "verdict": "refused"}
    content["reasons"] = [{"code": "contrast", "message": "contrast medium"}]
    result.write_text(json.dumps(content))


#: By code what is done to the result `first.json` before it is exported.
SPOILT: dict[str, list[Callable[[Path], object]]] = {
    "damaged_result": [
        lambda result: result.write_text(result.read_text()[:-100]),
        lambda result: result.write_text("[]"),
        lambda result: result.write_text(result.read_text().replace('"clinical"', '"other"')),
    ],
    "missing_image": [
        lambda result: result.with_name("first.cac_map.nii.gz").unlink(),
        lambda result: result.with_name("first.clinical.nii.gz").unlink(),
    ],
    "undecodable": [
        lambda result: result.with_name("first.heart.nii.gz").write_bytes(b"no image"),
    ],
    "missing_scan": [lambda result: shutil.rmtree(result.parents[1] / "series")],
    "other_series": [lambda result: _other_uid(result.parents[1] / "series")],
    "different_grid": [_shifted, _fewer_lesions],
    "no_scores": [_refused],
}
CASES = [(code, spoil) for code, spoils in SPOILT.items() for spoil in spoils]


@pytest.mark.parametrize(("code", "spoil"), CASES)
def test_what_cannot_be_exported_is_refused_in_one_line_and_writes_nothing(
    tmp_path: Path, code: str, spoil: Callable[[Path], object]
) -> None:
    result = score(planted_series(tmp_path / "series"), tmp_path / "scored", "first")
    (found,) = find_results(result)
    spoil(result)
    with pytest.raises(InputError) as refusal:
        export_scan(found, TARGETS, tmp_path / "out")
    assert refusal.value.code == code
    assert "\n" not in refusal.value.message
    assert not (tmp_path / "out").exists()


def test_a_file_that_cannot_be_written_takes_the_others_with_it(
    scored: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (out / "first.sr.dcm").mkdir(parents=True)
    status, found = told(scored / "first.json", "--to", "all", "--out", out, "--replace")
    assert (status, found["refused"][0]["code"]) == (1, "cannot_write")
    assert [path.name for path in out.iterdir()] == ["first.sr.dcm"]


def test_a_call_that_names_nothing_to_export_is_told_so(scored: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert called(scored, "--to", "pdf", "--out", out).exception.exit_status == 2
    absent = called(scored, "--to", "sr", "--out", out, "--scan", "third").exception
    assert (absent.code, "third" in absent.message) == ("missing", True)
    (tmp_path / "empty").mkdir()
    assert called(tmp_path / "empty", "--to", "sr", "--out", out).exception.code == "not_scored"
    assert called(tmp_path / "nowhere", "--to", "sr", "--out", out).exception.code == "missing"


def test_another_programs_json_beside_results_is_passed_over(scored: Path, tmp_path: Path) -> None:
    (scored / "notes.json").write_text('{"made": "by somebody"}')
    (scored / "torn.json").write_text('{"scan": "torn", "verd')
    _, found = told(scored, "--to", "map", "--out", tmp_path / "out")
    assert {one["scan"] for one in found["refused"]} == {"second", "torn"}
    assert [one["scan"] for one in found["exported"]] == ["first"]
