"""Scans of a hospital into a study folder, de-identified at the door; it decides no pair or split.

What is written carries pseudonyms, numbers and words of known lists. What is told names a series by
the path that the user typed and its number in `cacnb inspect`, and nothing below that path.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from cacnb.ct.identity import scan_sha256
from cacnb.ct.identity_tags import SeriesIdentity, read_identity
from cacnb.ct.image_headers import is_image
from cacnb.ct.reading import read_volume
from cacnb.ct.series import Series
from cacnb.ct.verdict import Reason
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.files import one_at_a_time
from cacnb.study.cohort import read_cohort
from cacnb.study.told_labels import add_told_labels
from cacnb.study_adding.hearts import find_heart, unfit
from cacnb.study_adding.plan import LOCK, Adding, plan_adding
from cacnb.study_adding.telling import Told, account, plain
from cacnb.study_adding.written import put_in_time, write_added, write_mask

__all__ = ["Adding", "Told", "account", "add_labels", "add_series", "plan_adding"]


def add_series(plan: Adding) -> Iterator[Told]:
    """Add one series after the other, each whole or not at all; tell how each ended.

    A series that the study has is passed over, so that a call that was stopped goes on. The scan is
    written first and its row in `cohort.csv` last. Another call for the same study waits.

    Raises
    ------
    InputError
        `cannot_write` where the disk refuses: what was finished is kept.
    """
    with one_at_a_time(plan.study / LOCK):
        there = _scans_there(plan.study)
        for number, series in plan.scans():
            told = _add(plan, number, series, there)
            if told.outcome == "added":
                there[told.scan] = True
            yield told
        put_in_time(plan)


def add_labels(plan: Adding, told: Sequence[Told], file: Path) -> tuple[int, int]:
    """A user's slice labels of these scans into the study: how many were new, and of no scan.

    Raises
    ------
    InputError
        As `add_told_labels`.
    """
    scan_of: dict[str, str] = {}
    for one in told:
        if one.scan:
            series = plan.found.series[one.series - 1]
            scan_of[series.series_uid or ""] = one.scan
            scan_of[str(series.path.resolve())] = one.scan
    cohort = read_cohort(plan.study)
    slices = dict(zip(cohort["scan"], cohort["slices"], strict=True))
    return add_told_labels(plan.study, file, scan_of, slices)


def _add(plan: Adding, number: int, series: Series, there: dict[str, bool]) -> Told:
    given = plan.given(series.path)

    def refused(*reasons: Reason) -> Told:
        return Told(number, given, len(series.files), "refused", plain(reasons, series, given))

    against = tuple(reason for reason in series.reasons if reason.severity == "refuse")
    if against:
        return refused(*against)
    try:
        who, volume = _identity(series), None
        if who is None:
            volume = read_volume(series)
            who = _of_voxels(volume)
        itself = f"{who.series_uid} {who.first_sop_uid}"
        patient = plan.pseudonyms.patient(who.patient or itself)
        scan = plan.pseudonyms.scan(patient, itself)
        has_mask = (plan.study / "masks" / f"{scan}.nii.gz").exists()
        if there.get(scan) and (has_mask or not plan.hearts.of(series)):
            return Told(number, given, len(series.files), "already", (), scan, "there" * has_mask)
        volume = read_volume(series) if volume is None else volume
        heart, kind, reasons = find_heart(plan, series, volume)
        reasons = (*series.reasons, *_no_patient(who), *reasons, *unfit(volume, heart))
        against = tuple(reason for reason in reasons if reason.severity == "refuse")
        if against:
            return refused(*against)
        if there.get(scan):
            write_mask(plan, scan, heart)
            return Told(
                number, given, len(series.files), "already",
                plain(reasons, series, given), scan, kind,
            )  # fmt: skip
        write_added(plan, series, who, patient, scan, volume, heart, has_row=scan in there)
    except InputError as error:
        if error.code == "cannot_write":
            raise
        return refused(Reason(error.code, error.message))
    return Told(
        number, given, len(series.files), "added", plain(reasons, series, given), scan, kind
    )


def _identity(series: Series) -> SeriesIdentity | None:
    """Who a DICOM series is of; None for an image file, which names nobody."""
    if is_image(series.files[0]):
        return None
    try:
        return read_identity(series.files)
    except (ValueError, OSError) as error:
        raise InputError("undecodable", "a header cannot be read: send the series again") from error


def _of_voxels(volume: Volume) -> SeriesIdentity:
    """An image file is known by its voxels, and is a patient of its own."""
    voxels = f"voxels {scan_sha256(volume)}"
    return SeriesIdentity(
        patient="", study_uid="", series_uid=voxels, first_sop_uid="", frame_uid="", made_at=None,
        manufacturer="", model="", kernel="",
    )  # fmt: skip


def _no_patient(who: SeriesIdentity) -> tuple[Reason, ...]:
    if who.patient and not who.patient.startswith("study "):
        return ()
    what = "its study" if who.patient else "the scan"
    return (
        Reason(
            "no_patient",
            f"the file names no patient, {what} counts as one of its own: give all scans of a "
            "patient one name in the column patient of cohort.csv",
            "warn",
        ),
    )


def _scans_there(study: Path) -> dict[str, bool]:
    """The scans that have a row in the study, and whether their files are there too."""
    if not (study / "cohort.csv").is_file():
        return {}
    cohort = read_cohort(study)
    return {
        str(scan): (study / str(path)).exists()
        for scan, path in zip(cohort["scan"], cohort["path"], strict=True)
    }
