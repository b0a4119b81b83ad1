import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest

from cacnb.ct.reading import read_image, read_mask, read_scan
from cacnb.errors import UsageError
from cacnb.simulation.cohort import StudyPlan, scan_name, simulate_study
from cacnb.simulation.scan import SimulatedScan

PLAN = StudyPlan(pairs=1, seed=3, field_of_view="heart")

#: Columns of the tables, as the section "A study folder" of the commands' page promises them.
COLUMNS = {
    "cohort": {"scan", "patient", "pair", "breath_hold", "set", "path", "kvp"},
    "slice_labels": {"scan", "slice", "contains_cac"},
    "truth_scans": {"scan", "mass_mg", "visible"},
    "truth_lesions": {"scan", "lesion", "artery", "mass_mg", "volume_mm3", "centre_mm", "peak_hu"},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study")
    assert list(simulate_study(PLAN, out, workers=1)) == ["sim00003_bh", "sim00003_fb"]
    return out


def table(study: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(study / f"{name}.csv")


def contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.mark.parametrize("name", list(COLUMNS))
def test_a_study_has_the_tables_and_columns_that_scripts_rely_on(study: Path, name: str) -> None:
    assert set(table(study, name).columns) >= COLUMNS[name]


def test_every_row_of_the_cohort_is_a_scan_with_its_grid(study: Path) -> None:
    cohort = table(study, "cohort")
    assert cohort["scan"].tolist() == ["sim00003_bh", "sim00003_fb"]
    assert cohort["breath_hold"].tolist() == [True, False]
    assert cohort["pair"].nunique() == cohort["patient"].nunique() == 1
    assert set(cohort["set"]) == {"simulated"}
    for row in cohort.itertuples():
        series, volume = read_scan(study / str(row.path))
        assert series.verdict != "refused"
        assert volume.shape[0] == row.slices
        assert volume.spacing_mm[:2] == pytest.approx((row.spacing_z_mm, row.spacing_xy_mm))


def test_every_mask_of_a_study_stands_on_its_scan(study: Path, carrier: SimulatedScan) -> None:
    for row in table(study, "cohort").itertuples():
        _, volume = read_scan(study / str(row.path))
        for folder in ("masks", "lesion_regions", "clinical_lesions"):
            read_mask(study / folder / f"{row.scan}.nii.gz", volume, may_be_empty=True)
    _, volume = read_scan(study / "scans" / "sim00003_bh.nii.gz")
    np.testing.assert_array_equal(volume.array, carrier.image.array)
    heart = read_mask(study / "masks" / "sim00003_bh.nii.gz", volume)
    np.testing.assert_array_equal(heart.array, carrier.heart.array)
    regions = read_image(study / "lesion_regions" / "sim00003_bh.nii.gz")
    np.testing.assert_array_equal(regions.array, carrier.regions.array)
    picked = read_mask(study / "clinical_lesions" / "sim00003_bh.nii.gz", volume)
    np.testing.assert_array_equal(picked.array, carrier.picked.array)


def test_every_slice_of_a_scan_has_one_label(study: Path, carrier: SimulatedScan) -> None:
    labels = table(study, "slice_labels")
    cohort = table(study, "cohort").set_index("scan")
    for scan, rows in labels.groupby("scan"):
        assert rows["slice"].tolist() == list(range(cohort.loc[scan, "slices"]))
    marks = labels.loc[labels["scan"] == "sim00003_bh", "contains_cac"]
    np.testing.assert_array_equal(marks.to_numpy(bool), carrier.visible)


def test_the_lesions_of_a_scan_make_up_its_mass(study: Path, carrier: SimulatedScan) -> None:
    lesions, scans = table(study, "truth_lesions"), table(study, "truth_scans").set_index("scan")
    for scan, rows in lesions.groupby("scan"):
        assert rows["mass_mg"].sum() == pytest.approx(scans.loc[scan, "mass_mg"])
    assert set(lesions["artery"]) <= {"LAD", "LCX", "RCA"}
    assert scans.loc["sim00003_bh", "visible"] == carrier.visible.any()


def test_the_centre_of_a_lesion_is_written_as_x_y_z_in_patient_millimetres(
    study: Path, carrier: SimulatedScan
) -> None:
    lesions = table(study, "truth_lesions")
    assert len(lesions) == 2 * sum(lesion.is_coronary for lesion in carrier.person.lesions)
    for row in lesions[lesions["scan"] == "sim00003_bh"].itertuples():
        x, y, z = (float(c) for c in str(row.centre_mm).split())
        np.testing.assert_allclose((z, y, x), carrier.centres_mm[row.lesion], atol=0.01)


def test_the_peak_of_a_lesion_is_a_value_of_the_image_near_it(
    study: Path, carrier: SimulatedScan
) -> None:
    lesions = table(study, "truth_lesions")
    rows = lesions[(lesions["scan"] == "sim00003_bh") & lesions["peak_hu"].notna()]
    assert len(rows)
    for row in rows.itertuples():
        z, y, x = carrier.centres_mm[row.lesion]
        at = np.argwhere(carrier.image.array == row.peak_hu)
        mm = at * carrier.image.spacing_mm + np.asarray(carrier.image.origin_mm)
        away = np.abs(mm - (z, y, x)).max(axis=1)
        assert away.min() <= 9.0 + max(carrier.image.spacing_mm)


def test_a_simulated_study_says_that_it_is_simulated(study: Path) -> None:
    told = tomllib.loads((study / "study.toml").read_text(encoding="utf-8"))
    assert told["simulated"] is True
    assert "simulated" in told["source"]
    assert (told["pairs"], told["seed"], told["protocol"]) == (1, 3, "rtp")
    assert told["arteries"] == ["LAD", "LCX", "RCA"]


def test_the_same_call_on_a_finished_study_simulates_nothing(study: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in study.rglob("*.nii.gz")}
    held = contents(study)
    assert list(simulate_study(PLAN, study, workers=1)) == ["sim00003_bh", "sim00003_fb"]
    assert {p: p.stat().st_mtime_ns for p in study.rglob("*.nii.gz")} == before
    assert contents(study) == held


def test_a_study_goes_on_where_it_broke_off(study: Path) -> None:
    held = contents(study)
    kept = [p for p in study.rglob("*_bh*") if p.is_file()]
    times = {p: p.stat().st_mtime_ns for p in kept}
    assert len(kept) == 6
    (study / "records" / "sim00003_fb.json").unlink()
    (study / "scans" / "sim00003_fb.nii.gz").unlink()
    for name in COLUMNS:
        (study / f"{name}.csv").unlink()
    assert list(simulate_study(PLAN, study, workers=1)) == ["sim00003_bh", "sim00003_fb"]
    assert {p: p.stat().st_mtime_ns for p in kept} == times
    assert contents(study) == held


def test_two_workers_write_the_same_study_as_one(study: Path, tmp_path: Path) -> None:
    assert list(simulate_study(PLAN, tmp_path, workers=2)) == ["sim00003_bh", "sim00003_fb"]
    assert contents(tmp_path) == contents(study)


@pytest.mark.parametrize("other", [{"seed": 4}, {"pairs": 2}, {"protocol": "nlst"}])
def test_another_study_is_refused_in_the_same_folder(study: Path, other: dict) -> None:
    held = contents(study)
    with pytest.raises(UsageError, match="holds another study"):
        list(simulate_study(replace(PLAN, **other), study, workers=1))
    assert contents(study) == held


def test_a_dicom_study_reads_as_the_nifti_study_does(
    study: Path, tmp_path: Path, carrier: SimulatedScan
) -> None:
    plan = replace(PLAN, form="dicom", scans_per_person=1)
    assert list(simulate_study(plan, tmp_path, workers=1)) == ["sim00003_bh"]
    row = table(tmp_path, "cohort").iloc[0]
    series, from_dicom = read_scan(tmp_path / row["path"])
    _, from_nifti = read_scan(study / "scans" / "sim00003_bh.nii.gz")
    assert series.verdict == "usable"
    np.testing.assert_array_equal(from_dicom.array, from_nifti.array)
    np.testing.assert_array_equal(from_dicom.array, carrier.image.array)
    np.testing.assert_allclose(from_dicom.spacing_mm, from_nifti.spacing_mm, rtol=1e-6)
    np.testing.assert_allclose(from_dicom.origin_mm, from_nifti.origin_mm, atol=1e-4)
    read_mask(tmp_path / "masks" / "sim00003_bh.nii.gz", from_dicom)
    np.testing.assert_array_equal(read_by_pydicom(tmp_path / row["path"]), from_nifti.array)


def read_by_pydicom(folder: Path) -> np.ndarray:
    """HU (z, y, x) from the tags alone, as another program would read them."""
    slices = sorted(
        (pydicom.dcmread(file) for file in folder.iterdir()),
        key=lambda header: float(header.ImagePositionPatient[2]),
    )
    gaps = np.diff([float(header.ImagePositionPatient[2]) for header in slices])
    np.testing.assert_allclose(gaps, 3.0, atol=1e-4)
    assert {header.Modality for header in slices} == {"CT"}
    return np.stack(
        [h.pixel_array * float(h.RescaleSlope) + float(h.RescaleIntercept) for h in slices]
    )


def test_a_healthy_pair_has_tables_without_lesions(tmp_path: Path) -> None:
    list(simulate_study(replace(PLAN, seed=0), tmp_path, workers=1))
    assert table(tmp_path, "truth_lesions").empty
    assert set(table(tmp_path, "truth_lesions").columns) == COLUMNS["truth_lesions"]
    assert not table(tmp_path, "truth_scans")["visible"].any()
    record = json.loads((tmp_path / "records" / "sim00000_bh.json").read_text(encoding="utf-8"))
    assert record["truth"] == {"scan": "sim00000_bh", "mass_mg": 0.0, "visible": False}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"pairs": 0}, "--pairs is 0"),
        ({"seed": -1}, "--seed is -1"),
        ({"protocol": "pet"}, "choose rtp, nlst"),
        ({"form": "png"}, "choose nifti or dicom"),
    ],
)
def test_a_plan_that_cannot_be_simulated_is_refused(wrong: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        replace(PLAN, **wrong)


def test_a_plan_names_every_person_twice_breath_hold_first() -> None:
    plan = StudyPlan(pairs=2, seed=900)
    names = [scan_name(seed, breath_hold=hold) for seed, hold in plan.scans()]
    assert names == ["sim00900_bh", "sim00900_fb", "sim00901_bh", "sim00901_fb"]
    assert replace(plan, scans_per_person=1).scans() == [(900, True), (901, True)]
