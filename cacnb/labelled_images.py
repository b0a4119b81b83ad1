"""What readers painted and picked, as the images of a study folder; it asks nobody anything.

`lesion_regions/` and `clinical_lesions/` are what evaluation, calibration and the training of the
clinical baseline read, whoever filled them: a simulated reader, or these labels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from cacnb.ct.identity import scan_sha256
from cacnb.ct.image_headers import is_image
from cacnb.ct.reading import read_scan
from cacnb.ct.series import Series
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_image
from cacnb.errors import InputError
from cacnb.labels.regions import one_readers, region_image
from cacnb.scoring.candidates import candidate_lesions
from cacnb.scoring.picks import picked_mask, picks_of, threshold_of
from cacnb.study.cohort import read_cohort

#: Which app's work each folder holds, and the subject of its labels.
_FOLDERS = {"lesion_regions": ("paint", "region"), "clinical_lesions": ("clinical", "lesion")}


def write_labelled_images(
    study: Path,
    labels: pd.DataFrame,
    reader: str | None = None,
    *,
    seg: bool = False,
    replace: bool = False,
) -> tuple[Path, ...]:
    """Write the images that a reader's current labels make, each whole or not at all.

    `lesion_regions/<scan>.nii.gz` holds 1 LAD, 2 LCX, 3 RCA; `clinical_lesions/<scan>.nii.gz` the
    voxels picked in coronary arteries. An image is written for each scan that the reader worked on
    or called done, also where nothing is left of it: no calcium is an answer too.

    Parameters
    ----------
    study
        A study folder with `cohort.csv`.
    labels
        Current labels of this study, as `LabelStore.current` gives them.
    reader
        Whose; None for the adjudicator, or the only reader that there is.
    seg
        Also `lesion_regions/<scan>.dcm`, a DICOM Segmentation for the archive, for scans that came
        as DICOM and have a region. It carries its patient's name and number, as the standard wants.
    replace
        Write over images that are there already, whoever made them.

    Returns
    -------
    tuple of Path
        The files written, in the order of `cohort.csv`.

    Raises
    ------
    InputError
        `no_study`; `exists` where an image is there already: nothing is written; `other_scan` where
        a scan is not the one that was labelled: nothing of it is written; `several_readers`; as
        `read_scan`, `region_image`, `picked_mask`, `write_image`.
    """
    wanted_of: dict[str, dict[str, pd.DataFrame]] = {}
    cohort = read_cohort(study)
    for name in cohort["scan"]:
        of_scan = labels[labels["scan"] == name]
        wanted_of[name] = {
            folder: rows
            for folder, (app, subject) in _FOLDERS.items()
            if len(rows := one_readers(_of_app(of_scan, app, subject), reader))
        }
        for folder in wanted_of[name]:
            _require_new(study / folder / f"{name}.nii.gz", replace)
    written: list[Path] = []
    for row in cohort.itertuples():
        name = str(row.scan)
        wanted = wanted_of[name]
        if not wanted:
            continue
        series, volume = read_scan(study / str(row.path))
        _require_same_scan(name, volume, pd.concat(wanted.values()))
        for folder, rows in wanted.items():
            painted = folder == "lesion_regions"
            image = region_image(rows, volume) if painted else _picked(rows, volume)
            written.append(study / folder / f"{name}.nii.gz")
            write_image(image, written[-1])
            if seg and painted:
                written.extend(_segmentation(image, series, study / folder / f"{name}.dcm"))
    return tuple(written)


def _of_app(labels: pd.DataFrame, app: str, subject: str) -> pd.DataFrame:
    """What an app's readers said: labels of its subject (not another app's), and what is done."""
    said = (labels["subject"] == subject) & (labels["app"] == app)
    done = (labels["subject"] == "done") & (labels["item"] == app) & labels["value"].notna()
    return labels[said | done]


def _picked(labels: pd.DataFrame, volume: Volume) -> Volume:
    picks = picks_of(labels)
    threshold = threshold_of(picks)
    if threshold is None:
        return volume.with_array(np.zeros(volume.shape, dtype=bool))
    hu, strictly_above = threshold
    return picked_mask(candidate_lesions(volume, hu, strictly_above=strictly_above), picks)


def _segmentation(regions: Volume, series: Series, path: Path) -> tuple[Path, ...]:
    """The Segmentation where there can be one; one of regions that are no more is removed."""
    if is_image(series.files[0]) or not regions.array.any():
        path.unlink(missing_ok=True)
        return ()
    from cacnb.export.segmentation import write_segmentation

    write_segmentation(regions, series, path)
    return (path,)


def _require_new(path: Path, replace: bool) -> None:
    if path.exists() and not replace:
        raise InputError(
            "exists",
            f"{path} is there already, and may be another's work: --replace writes over it",
        )


def _require_same_scan(name: str, volume: Volume, labels: pd.DataFrame) -> None:
    if set(labels["scan_sha256"]) != {scan_sha256(volume)}:
        raise InputError(
            "other_scan",
            f"scan {name} is not the one that was labelled, its voxels or its grid changed since: "
            "put the labelled scan back, or label this one under another name",
        )
