"""One scan of an import on disk: image, mask, day and row, all or none; it judges nothing."""

from __future__ import annotations

import shutil

import pandas as pd

from cacnb.ct.clean_dicom import plausible, write_clean_series
from cacnb.ct.identity import scan_sha256
from cacnb.ct.identity_tags import SeriesIdentity
from cacnb.ct.image_headers import is_image
from cacnb.ct.reading import read_scan
from cacnb.ct.series import Series
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_dicom_series, write_image
from cacnb.errors import InputError
from cacnb.study.cohort import append_rows, read_cohort, write_cohort
from cacnb.study.days import orders_and_minutes, read_days, write_days
from cacnb.study_adding.plan import Adding


def write_added(
    plan: Adding,
    series: Series,
    who: SeriesIdentity,
    patient: str,
    scan: str,
    volume: Volume,
    heart: Volume | None,
    *,
    has_row: bool,
) -> None:
    """Scan, mask, day and row of one series; where a step fails, none of them stays."""
    _sweep(plan, scan)
    try:
        path = _write_scan(plan, series, who, patient, scan, volume)
        write_mask(plan, scan, heart)
        days = read_days(plan.pseudonyms.days_file)
        if who.made_at is not None:
            days[scan] = who.made_at
            write_days(days, plan.pseudonyms.days_file)
        z_mm, y_mm, _ = volume.spacing_mm
        row: dict[str, object] = {
            "scan": scan, "patient": patient, "set": plan.set_name, "path": path,
            "kvp": plausible("KVP", series.kvp), "slices": volume.shape[0],
            "spacing_z_mm": round(z_mm, 6), "spacing_xy_mm": round(y_mm, 6),
            "slice_thickness_mm": plausible("SliceThickness", series.slice_thickness_mm),
            "kernel": who.kernel or None, "manufacturer": who.manufacturer or None,
            "model": who.model or None,
            "frame": plan.pseudonyms.frame(who.frame_uid) or None, "verdict": series.verdict,
        }  # fmt: skip
        if not has_row:
            append_rows(plan.study, [row])
    except BaseException:
        _sweep(plan, scan)
        raise


def write_mask(plan: Adding, scan: str, heart: Volume | None) -> None:
    """Write the heart mask of a scan, where it has one."""
    if heart is not None:
        write_image(heart, plan.study / "masks" / f"{scan}.nii.gz")


def put_in_time(plan: Adding) -> None:
    """Orders of days and minutes of all scans: one that came later may have been made earlier."""
    if not (plan.study / "cohort.csv").is_file():
        return
    cohort = read_cohort(plan.study).reset_index(drop=True)
    patients = dict(zip(cohort["scan"], cohort["patient"], strict=True))
    times = orders_and_minutes(patients, read_days(plan.pseudonyms.days_file))
    known = cohort["scan"].map(times).dropna()
    told = pd.DataFrame(known.tolist(), index=known.index, columns=["study_order", "minutes"])
    there = cohort.reindex(columns=told.columns).loc[told.index].astype(float)
    if not there.equals(told.astype(float)):
        timed = cohort.reindex(columns=cohort.columns.union(told.columns, sort=False))
        timed.loc[told.index, "minutes"] = told["minutes"]
        timed["study_order"] = timed["study_order"].astype("Int64")
        timed.loc[told.index, "study_order"] = told["study_order"]
        write_cohort(plan.study, timed)


def _write_scan(
    plan: Adding, series: Series, who: SeriesIdentity, patient: str, scan: str, volume: Volume
) -> str:
    """The scan as NIfTI, or as DICOM where that was asked for; its path from the study on."""
    if not plan.keep_dicom or is_image(series.files[0]):
        write_image(volume, plan.study / "scans" / f"{scan}.nii.gz")
        return f"scans/{scan}.nii.gz"
    folder = plan.study / "scans" / scan
    names = plan.pseudonyms
    try:
        write_clean_series(series.files, folder, patient=patient, scan=scan, new_uid=names.uid)
        _, again = read_scan(folder)
        kept = scan_sha256(again) == scan_sha256(volume)
    except InputError as error:
        if error.code == "cannot_write":
            raise
        kept = False
    if not kept:
        # Multi-frame files and stacks that had to be resampled: axial slices of the same volume.
        shutil.rmtree(folder, ignore_errors=True)
        write_dicom_series(
            volume, folder, kvp=plausible("KVP", series.kvp) or 120.0,
            slice_thickness_mm=plausible("SliceThickness", series.slice_thickness_mm),
            series_uid=names.uid(who.series_uid or scan),
            study_uid=names.uid(who.study_uid or f"study {scan}"),
            frame_of_reference_uid=names.uid(who.frame_uid or f"frame {scan}"),
            patient_pseudonym=patient,
            manufacturer=who.manufacturer or "unknown",
        )  # fmt: skip
    return f"scans/{scan}"


def _sweep(plan: Adding, scan: str) -> None:
    """Take away what a scan has without a row, and the parts that a killed call left of it."""
    for folder in (plan.study / "scans", plan.study / "masks"):
        for left in (folder / f"{scan}.nii.gz", *folder.glob(f".{scan}.*part*")):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
    shutil.rmtree(plan.study / "scans" / scan, ignore_errors=True)
