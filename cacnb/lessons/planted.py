"""A simulated scan with a made-up patient's name in it, and what a study keeps of that.

Nothing here reads a real header: only what was planted is shown.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom

from cacnb.ct.clean_dicom import write_clean_series
from cacnb.ct.series import find_series
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_dicom_series
from cacnb.files import or_cannot_write
from cacnb.study.new import new_study
from cacnb.study.pseudonyms import open_pseudonyms

#: What stands in the header of the simulated scan, by keyword; the person does not exist.
PLANTED = {
    "PatientName": "Example^Erika", "PatientID": "0000-EXAMPLE", "PatientBirthDate": "19500101",
    "PatientSex": "F", "StudyDate": "20200229", "InstitutionName": "Example Hospital",
    "ReferringPhysicianName": "Example^Otto", "StudyDescription": "Planning CT of Erika Example",
    "ImageComments": "Call Erika Example back",
}  # fmt: skip

#: What is needed to score a scan, and is kept.
NEEDED = ("KVP", "SliceThickness", "PixelSpacing", "ImagePositionPatient", "RescaleIntercept")

#: A private element: group, creator, and what stands in it.
PRIVATE = (0x0011, "EXAMPLE", "Erika Example, ward 7")

#: What the table calls them, and how much of a text it shows.
PRIVATE_ROW, UID_ROW, GONE, LONGEST = "a private element", "SeriesInstanceUID", "nothing", 28


def deidentified(folder: Path) -> pd.DataFrame:
    """Write a scan of a made-up patient, take it into a study, and compare the two headers.

    Both lie in the folder and are made anew each time; the study's key lies beside them, as the
    key of a real study must not.

    Returns
    -------
    DataFrame
        A row an element: `planted`, `kept in the study`, and `what became of it`.

    Raises
    ------
    InputError
        `cannot_write`.
    """
    with or_cannot_write(folder):
        for part in ("planted", "study"):
            shutil.rmtree(folder / part, ignore_errors=True)
        (folder / "key").unlink(missing_ok=True)
        _plant(folder / "planted")
        new_study(folder / "study", "de-identified", "a simulated scan with a made-up name")
        names = open_pseudonyms(folder / "study", folder / "key")
        series = find_series([folder / "planted"]).series[0]
        patient = names.patient(PLANTED["PatientID"])
        scan = names.scan(patient, "one")
        kept = folder / "study" / "scans" / scan
        write_clean_series(series.files, kept, patient=patient, scan=scan, new_uid=names.uid)
    before = pydicom.dcmread(series.files[0], stop_before_pixels=True)
    after = pydicom.dcmread(sorted(kept.iterdir())[0], stop_before_pixels=True)
    rows = [_row(keyword, before, after) for keyword in (*PLANTED, UID_ROW, *NEEDED)]
    private = [element for element in after if element.tag.is_private]
    left = str(private[0].value) if private else ""
    rows.insert(len(PLANTED), _told(PRIVATE_ROW, PRIVATE[2], left))
    return pd.DataFrame(rows).set_index("element")


def _plant(folder: Path) -> None:
    hu = np.full((8, 32, 32), -1000, np.int16)
    hu[:, 6:-6, 6:-6] = 40
    for file in write_dicom_series(Volume(hu, (3.0, 5.0, 5.0)), folder, seed="planted"):
        with pydicom.dcmread(file) as image:
            for keyword, value in PLANTED.items():
                setattr(image, keyword, value)
            group, creator, value = PRIVATE
            image.private_block(group, creator, create=True).add_new(0x01, "LO", value)
            image.save_as(file, enforce_file_format=True)


def _row(keyword: str, before: pydicom.Dataset, after: pydicom.Dataset) -> dict[str, str]:
    return _told(keyword, _text(before, keyword), _text(after, keyword))


def _told(element: str, planted: str, kept: str) -> dict[str, str]:
    if not kept:
        became = "taken out"
    elif kept == planted:
        became = "kept: scores need it"
    else:
        became = "replaced by a pseudonym"
    return {
        "element": element, "planted": _short(planted), "kept in the study": _short(kept) or GONE,
        "what became of it": became,
    }  # fmt: skip


def _short(text: str) -> str:
    """A long number by its beginning."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _text(header: pydicom.Dataset, keyword: str) -> str:
    value = header.get(keyword)
    if isinstance(value, pydicom.multival.MultiValue):
        return " \\ ".join(f"{float(one):g}" for one in value)
    return "" if value is None else str(value)
