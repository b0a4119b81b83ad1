"""A small folder of the files that an export really holds, one of each kind; all simulated."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom

from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_dicom_series
from cacnb.files import or_cannot_write

#: Slices (z, y, x) of each series, and their spacing in mm.
SHAPE, SPACING_MM = (24, 48, 48), (3.0, 4.0, 4.0)

#: What each sub-folder holds and how it comes about.
KINDS = ("whole", "one_slice_lost", "tilted_stack", "other_voltage", "scout", "cut_short", "letter")


def awkward_folder(folder: Path) -> Path:
    """Write a folder of small DICOM series, all simulated, and return it; made anew each time.

    One series is whole; of the others one lost a slice, one was stacked with a tilted gantry, one
    was made at 80 kVp, one is a scout view, one was cut while it was copied; and one file is a
    letter.

    Raises
    ------
    InputError
        `cannot_write`.
    """
    with or_cannot_write(folder):
        for kind in KINDS:
            shutil.rmtree(folder / kind, ignore_errors=True)
        body = _body()
        for kind in KINDS[:-1]:
            kvp = 80.0 if kind == "other_voltage" else 120.0
            write_dicom_series(body, folder / kind, kvp=kvp, seed=kind)
        (folder / "one_slice_lost" / "slice_0012.dcm").unlink()
        for number, file in enumerate(sorted((folder / "tilted_stack").iterdir())):
            _changed(file, shift_mm=0.5 * number)
        for number, file in enumerate(sorted((folder / "scout").iterdir())):
            if number:
                file.unlink()
            else:
                _changed(file, kind=["ORIGINAL", "PRIMARY", "LOCALIZER"])
        cut = folder / "cut_short" / "slice_0005.dcm"
        cut.write_bytes(cut.read_bytes()[:2000])
        (folder / "letter").mkdir(parents=True)
        (folder / "letter" / "letter.txt").write_text("Dear colleague", encoding="utf-8")
    return folder


def _body() -> Volume:
    """A block of soft tissue in air, (z, y, x) in HU."""
    hu = np.full(SHAPE, -1000, np.int16)
    hu[:, 8:-8, 8:-8] = 40
    return Volume(hu, SPACING_MM)


def _changed(file: Path, *, shift_mm: float = 0.0, kind: list[str] | None = None) -> None:
    with pydicom.dcmread(file) as image:
        x, y, z = image.ImagePositionPatient
        image.ImagePositionPatient = [x, float(y) + shift_mm, z]
        if kind:
            image.ImageType = kind
        image.save_as(file, enforce_file_format=True)
